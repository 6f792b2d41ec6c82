"""How an ended run reads as the end of a job, in words for its sender."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from vis_assets import errors
from vis_assets.protocol.result import Outcome, Status


@dataclass(frozen=True)
class EndedRun:
    """A run that is over, as a small value.

    Attributes:
        run_id: Dagster's id.
        status: how it ended.
        duration_ms: from start to end, milliseconds.
        error_chain: (class name, message) of its error and that error's causes, outermost first.
        report: what the page's materialization says: html_key, point_count, cluster_count, stats.
        timed_out: it was stopped for running too long.
    """

    run_id: str
    status: Status
    duration_ms: int
    error_chain: Sequence[tuple[str, str]] = ()
    report: dict[str, Any] | None = None
    timed_out: bool = False


def outcome_of(run: EndedRun, warnings: Sequence[str] = ()) -> Outcome:
    """Say how the job ended; never with a stack trace.

    Args:
        run: the ended run.
        warnings: what its sender should be told however it ended; a finished map's stats hold them already.
    """
    stats = {"warnings": list(warnings)} if warnings else {}
    if run.status is Status.COMPLETED and run.report is not None:
        report = run.report
        return Outcome(
            Status.COMPLETED,
            html_key=report["html_key"],
            point_count=report["point_count"],
            cluster_count=report["cluster_count"],
            duration_ms=run.duration_ms,
            stats=report["stats"],
        )
    if run.status is Status.CANCELED:
        return Outcome(Status.CANCELED, duration_ms=run.duration_ms, error="the job was canceled", stats=stats)
    return Outcome(Status.FAILED, duration_ms=run.duration_ms, error=_explain(run), stats=stats)


def is_retryable(run: EndedRun) -> bool:
    """Whether another attempt may mend it: anything but an error that the same input would meet again."""
    for class_name, _ in run.error_chain:
        known = getattr(errors, class_name, None)
        if isinstance(known, type) and issubclass(known, errors.VisAssetsError):
            return known.retry
    return run.status is Status.FAILED


def _explain(run: EndedRun) -> str:
    """Pick the error of ours out of the chain: Dagster's own say only which step failed."""
    if run.timed_out:
        return "timeout: the run took longer than PROCESSING_TIMEOUT_SECS allows and was stopped"
    for class_name, message in run.error_chain:
        if isinstance(getattr(errors, class_name, None), type):
            return message
    if run.status is Status.COMPLETED:
        return f"the run ended well but made no page; see Dagster run {run.run_id}"
    if run.error_chain:
        return f"unexpected {run.error_chain[-1][0]}; the log of Dagster run {run.run_id} holds the details"
    return f"the run's process ended without a word (killed, or out of memory?); see Dagster run {run.run_id}"
