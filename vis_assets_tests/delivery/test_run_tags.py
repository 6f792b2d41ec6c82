"""Tags: how a run remembers which attempt at which job it is."""

from dataclasses import replace

import pytest

from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.run_tags import ATTEMPT, JOB_ID, TRACEPARENT, Delivery, delivery_of, tags_for

RECORD = JobRecord("job-1", "7", 1, "o", (1_700_000_000, 7), "$JS.ACK.CANARY.7.1.0.0")


def test_a_run_key_names_stream_sequence_and_attempt() -> None:
    """The run of an attempt is named by the stream's creation time, the message's sequence and the attempt."""
    assert RECORD.run_key == "1700000000:7:1"
    assert RECORD.failed("down", 0.0, [30.0])[0].run_key == RECORD.vanished(0.0).run_key == "1700000000:7:2"


def test_tags_round_trip() -> None:
    """What a run's tags say is what was written: the job and the attempt."""
    tags = tags_for(replace(RECORD, attempt=4), "worker-1")
    assert delivery_of(tags, is_copy=False) == Delivery("job-1", 4)
    assert "worker-1" in tags.values()


def test_the_trace_of_the_sender_is_kept() -> None:
    """A trace context goes into the tags, and where there is none, no tag stands for it."""
    assert tags_for(replace(RECORD, traceparent="00-a-b-01"), "w")[TRACEPARENT] == "00-a-b-01"
    assert TRACEPARENT not in tags_for(RECORD, "w")


def test_nobody_waits_for_a_copy() -> None:
    """A re-execution, which has its parent's tags, is no attempt."""
    assert delivery_of(tags_for(RECORD, "w"), is_copy=True) is None


@pytest.mark.parametrize(
    "tags",
    [{"dagster/partition": "1"}, {JOB_ID: "job-1"}, {ATTEMPT: "1"}, {JOB_ID: "job-1", ATTEMPT: "x"}],
    ids=["ui", "no attempt", "no job", "no number"],
)
def test_nobody_waits_for_a_launch_from_the_ui(tags: dict[str, str]) -> None:
    """A run whose tags do not name both a job and an attempt is no attempt."""
    assert delivery_of(tags, is_copy=False) is None


def test_tags_do_not_say_how_to_acknowledge() -> None:
    """What a run's tags hold suffices to find its job, and not to take its message out of the queue."""
    assert "CANARY" not in str(tags_for(RECORD, "w"))
