"""Result and progress messages: exactly the keys of document 000, in the dialect of the job."""

import json
from typing import Any

import pytest

from vis_assets.protocol.job import Dialect, JobEnvelope
from vis_assets.protocol.result import (
    Outcome,
    Status,
    is_success,
    is_terminal,
    progress_message,
    result_message,
    retrying_message,
)
from vis_assets.protocol.stages import Stage

WORKER = JobEnvelope(Dialect.WORKER, "j1", 123, 456, "user@example.com", 789)
EXPLORER = JobEnvelope(Dialect.SEMANTIC_EXPLORER, "j1", 123, 456, "user@example.com", 789)
DONE = Outcome(Status.COMPLETED, "visualizations/user@example.com/123/456.html", 5000, 42, 125000, None, {"a": 1})


def result(job: JobEnvelope, outcome: Outcome) -> dict[str, Any]:
    """A result as a client reads it."""
    message: dict[str, Any] = json.loads(result_message(job, outcome))
    return message


def test_result_is_that_of_the_specification() -> None:
    """A finished map is reported with exactly the keys of 000, in its order."""
    assert list(result(WORKER, DONE).items()) == [
        ("jobId", "j1"),
        ("visualizationTransformId", 123),
        ("visualizationId", 456),
        ("owner", "user@example.com"),
        ("status", "completed"),
        ("htmlS3Key", "visualizations/user@example.com/123/456.html"),
        ("pointCount", 5000),
        ("clusterCount", 42),
        ("processingDurationMs", 125000),
        ("errorMessage", None),
        ("statsJson", {"a": 1}),
    ]


def test_explorer_result_differs_in_two_words() -> None:
    """The Semantic Explorer dialect says `ownerId` and `success`, and is the same otherwise."""
    answer = result(EXPLORER, DONE)
    assert answer.pop("ownerId") == "user@example.com"
    assert answer == {k: v for k, v in result(WORKER, DONE).items() if k != "owner"} | {"status": "success"}


@pytest.mark.parametrize("status", [Status.FAILED, Status.CANCELED])
@pytest.mark.parametrize("job", [WORKER, EXPLORER])
def test_other_ends_have_the_same_keys(job: JobEnvelope, status: Status) -> None:
    """A job that did not complete is reported with the same keys and the same word in both dialects."""
    answer = result(job, Outcome(status, error="why"))
    assert answer.keys() == result(job, DONE).keys()
    assert (answer["status"], answer["errorMessage"], answer["htmlS3Key"]) == (status.value, "why", None)


def test_unknown_ids_are_null() -> None:
    """Of a message that is no job nothing is known, and every id is null."""
    answer = result(JobEnvelope(), Outcome(Status.FAILED, error="no JSON"))
    assert [answer[key] for key in ("jobId", "visualizationTransformId", "visualizationId", "owner")] == [None] * 4


@pytest.mark.parametrize(("job", "owner"), [(WORKER, "owner"), (EXPLORER, "ownerId")])
def test_progress_is_that_of_the_specification(job: JobEnvelope, owner: str) -> None:
    """A progress message has exactly the keys of 000."""
    assert json.loads(progress_message(job, Stage.APPLYING_UMAP, 50)) == {
        "jobId": "j1",
        "visualizationTransformId": 123,
        "visualizationId": 456,
        owner: "user@example.com",
        "status": "processing",
        "statsJson": {"stage": "applying_umap", "progress_percent": 50},
    }


@pytest.mark.parametrize(("job", "owner"), [(WORKER, "owner"), (EXPLORER, "ownerId")])
def test_a_retry_is_progress_that_says_why_and_when(job: JobEnvelope, owner: str) -> None:
    """The news of a failed attempt has the keys of progress, which attempt failed, why, and when the next one comes."""
    assert json.loads(retrying_message(job, 2, 120.0, "Qdrant does not answer")) == {
        "jobId": "j1",
        "visualizationTransformId": 123,
        "visualizationId": 456,
        owner: "user@example.com",
        "status": "processing",
        "errorMessage": "Qdrant does not answer",
        "statsJson": {"stage": "retrying", "attempt": 2, "delay_seconds": 120.0},
    }


def test_terminal_messages_are_recognised_in_both_dialects() -> None:
    """Clients can tell the end from progress, and success from failure."""
    for job in (WORKER, EXPLORER):
        progress = json.loads(progress_message(job, Stage.STARTING, 0))
        retrying = json.loads(retrying_message(job, 1, 30.0, "why"))
        for message in (progress, retrying):
            assert not is_terminal(message)
            assert not is_success(message)
        assert is_terminal(result(job, DONE))
        assert is_success(result(job, DONE))
        for status in (Status.FAILED, Status.CANCELED):
            assert is_terminal(result(job, Outcome(status)))
            assert not is_success(result(job, Outcome(status)))


def test_text_is_utf8() -> None:
    """Text of any script is written as UTF-8, readable in a log."""
    assert "日本語 🎉".encode() in result_message(WORKER, Outcome(Status.FAILED, error="日本語 🎉"))
