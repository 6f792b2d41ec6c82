"""Settling a job: publish its terminal result, then acknowledge its message, then mark the run. In that order."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client

from vis_assets import errors
from vis_assets.delivery.connection import NatsConnection, publish_stored
from vis_assets.delivery.intake import Rejection
from vis_assets.delivery.job_stream import QueuedMessage, acknowledge
from vis_assets.delivery.run_tags import Delivery
from vis_assets.protocol.job import JobEnvelope
from vis_assets.protocol.result import Outcome, Status, result_message
from vis_assets.protocol.subjects import result_subject


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


def settle(
    connection: NatsConnection,
    subject_template: str,
    job: JobEnvelope,
    warnings: Sequence[str],
    run: EndedRun,
    delivery: Delivery,
    mark_settled: Callable[[], None],
) -> Outcome:
    """Publish the result of an ended run, acknowledge its message, mark it. Repeating it is harmless.

    Raises:
        BrokerUnavailable: nothing is marked; call again.
    """
    outcome = outcome_of(run, warnings)
    subject, payload = result_subject(subject_template, job), result_message(job, outcome)

    async def tell(client: Client) -> None:
        await publish_stored(client, subject, payload, f"{delivery.job_id}:result")
        await acknowledge(client, delivery.reply, delivery.message)

    connection.run(tell)
    mark_settled()
    return outcome


def refuse(connection: NatsConnection, subject_template: str, message: QueuedMessage, rejection: Rejection) -> None:
    """Publish the error result of a message that is no job, then acknowledge it."""
    subject = result_subject(subject_template, rejection.sender)

    async def tell(client: Client) -> None:
        await publish_stored(client, subject, rejection.result, f"{message.identity}:rejected")
        await acknowledge(client, message.reply, message.identity)

    connection.run(tell)


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
