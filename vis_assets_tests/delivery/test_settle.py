"""How an ended run is told to its sender."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.delivery.settle import EndedRun, outcome_of
from vis_assets.protocol.result import Outcome, Status

REPORT: dict[str, Any] = {
    "html_key": "visualizations/o/1/2.html",
    "point_count": 14,
    "cluster_count": 2,
    "stats": {"warnings": []},
}
TRACE = 'Traceback (most recent call last):\n  File "/app/x.py", line 3, in f\n    raise KeyError(1)'


def ended(status: Status = Status.FAILED, **facts: Any) -> EndedRun:
    """A run that took 1.5 s."""
    return EndedRun("run-1", status, 1500, **facts)


def test_a_finished_map_is_completed() -> None:
    """A succeeded run with a page is completed, with the page's figures."""
    assert outcome_of(ended(Status.COMPLETED, report=REPORT)) == Outcome(
        Status.COMPLETED, "visualizations/o/1/2.html", 14, 2, 1500, None, {"warnings": []}
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("CollectionMissing", "collection c does not exist"),
        ("NoPoints", "the collection is empty"),
        ("PointsMismatch", "embedding_2d was made from other points"),
        ("SourceUnavailable", "Qdrant at http://q:6334 does not answer"),
        ("ComputeFailed", "UMAP ran out of memory"),
    ],
)
@pytest.mark.parametrize("depth", [0, 1, 3])
def test_an_error_of_ours_is_told_in_its_own_words(name: str, message: str, depth: int) -> None:
    """Permanent or transient, our error is the answer, however many errors of Dagster surround it."""
    outer = [("DagsterExecutionStepExecutionError", f'Error in "vectors": {TRACE}')] * depth
    outcome = outcome_of(ended(error_chain=[*outer, (name, message), ("RpcError", TRACE)]))
    assert (outcome.status, outcome.error, outcome.duration_ms) == (Status.FAILED, message, 1500)
    assert outcome.html_key is None


def test_an_unexpected_error_is_named_and_nothing_of_it_shown() -> None:
    """An error that nobody foresaw is named by its class and run; its message, which may hold anything, is not told."""
    outcome = outcome_of(ended(error_chain=[("DagsterExecutionStepExecutionError", TRACE), ("KeyError", TRACE)]))
    assert outcome.error is not None
    assert "KeyError" in outcome.error
    assert "run-1" in outcome.error
    assert "Traceback" not in outcome.error
    assert "/app" not in outcome.error


def test_a_killed_process_is_told_as_such() -> None:
    """A run that ended without any error was killed."""
    error = outcome_of(ended()).error
    assert error is not None
    assert "killed" in error
    assert "run-1" in error


def test_a_timeout_begins_with_timeout() -> None:
    """A run that was stopped for its duration fails with a text that begins with "timeout"."""
    outcome = outcome_of(ended(timed_out=True, error_chain=[("DagsterExecutionInterruptedError", TRACE)]))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert outcome.error.startswith("timeout")


def test_a_canceled_run_is_canceled() -> None:
    """A canceled run is reported so, whatever error it left."""
    outcome = outcome_of(ended(Status.CANCELED, error_chain=[("DagsterExecutionInterruptedError", TRACE)]))
    assert (outcome.status, outcome.error) == (Status.CANCELED, "the job was canceled")


def test_a_success_without_a_page_is_no_completed_job() -> None:
    """A run that succeeded without making the page is no completed job, and was not killed either."""
    outcome = outcome_of(ended(Status.COMPLETED))
    assert outcome.status is Status.FAILED
    assert outcome.error is not None
    assert "killed" not in outcome.error


def test_every_error_of_ours_is_told_by_its_message() -> None:
    """Each class of the error tree, the branches too, is told in its own words."""
    from vis_assets_tests.test_errors import CLASSES

    told = {kind.__name__: outcome_of(ended(error_chain=[(kind.__name__, "why")])).error for kind in CLASSES}
    assert told == dict.fromkeys(told, "why")


@given(st.sampled_from([Status.FAILED, Status.CANCELED]), st.lists(st.tuples(st.text(), st.just(TRACE))), st.booleans())
def test_no_answer_holds_a_stack_trace(status: Status, chain: list[tuple[str, str]], timed_out: bool) -> None:
    """However a run failed, its sender gets one line of text and never a stack trace."""
    error = outcome_of(ended(status, error_chain=chain, timed_out=timed_out)).error
    assert error
    assert "Traceback" not in error
