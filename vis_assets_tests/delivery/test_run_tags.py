"""Tags: how a run remembers its message."""

from vis_assets.delivery.job_stream import QueuedMessage
from vis_assets.delivery.run_tags import SETTLED, Delivery, delivery_of, tags_for
from vis_assets_tests.protocol.messages import CANARY, parsed

MESSAGE = QueuedMessage(b"", "$JS.ACK.S.C.1.7.1.1700000000000000000.0", 1_700_000_000, 7, 1)


def test_identity_names_stream_and_sequence() -> None:
    """A message is named by its stream's creation time and its sequence."""
    assert MESSAGE.identity == "1700000000:7"


def test_tags_round_trip() -> None:
    """What a run's tags say is what was written, settled only when marked so."""
    job = parsed().job
    tags = tags_for(job, MESSAGE, "worker-1")
    assert delivery_of(tags, is_copy=False) == Delivery(job.job_id, MESSAGE.reply, "1700000000:7", settled=False)
    assert delivery_of({**tags, SETTLED: "now"}, is_copy=False) == Delivery(
        job.job_id, MESSAGE.reply, "1700000000:7", settled=True
    )


def test_nobody_waits_for_a_copy() -> None:
    """A re-execution, which has its parent's tags, serves no message."""
    assert delivery_of(tags_for(parsed().job, MESSAGE, "w"), is_copy=True) is None


def test_nobody_waits_for_a_launch_from_the_ui() -> None:
    """A run without our tags serves no message."""
    assert delivery_of({"dagster/partition": "1"}, is_copy=False) is None


def test_tags_hold_no_secret() -> None:
    """No secret of a job is in the tags of its run."""
    job = parsed(vector_database_config={"connection_url": "http://q:1", "api_key": CANARY}).job
    assert CANARY not in str(tags_for(job, MESSAGE, "w"))
