"""Reading from Dagster how a run ended, as the small value that `delivery` works with."""

from collections.abc import Iterator
from typing import Any

from dagster import DagsterEventType, DagsterInstance, DagsterRunStatus
from dagster._core.events import DagsterEvent
from dagster_shared.error import SerializableErrorInfo

from vis_assets.delivery.settle import EndedRun
from vis_assets.protocol.result import Status

STATUS_OF = {
    DagsterRunStatus.SUCCESS: Status.COMPLETED,
    DagsterRunStatus.FAILURE: Status.FAILED,
    DagsterRunStatus.CANCELED: Status.CANCELED,
}
ACTIVE = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]
TIMED_OUT = "Exceeded maximum runtime"
"""How Dagster's run monitoring begins the message with which it ends a run that took too long."""


def describe(instance: DagsterInstance, run_id: str, *, timed_out: bool = False) -> EndedRun:
    """Describe an ended run.

    Args:
        instance: Dagster.
        run_id: which run.
        timed_out: its lease keeper ended it for taking too long; Dagster's own monitoring says so itself.
    """
    record = instance.get_run_record_by_id(run_id)
    assert record is not None
    status = STATUS_OF[record.dagster_run.status]
    seconds = (record.end_time or 0.0) - (record.start_time or record.end_time or 0.0)
    failures = list(_events(instance, run_id, {DagsterEventType.STEP_FAILURE, DagsterEventType.PIPELINE_FAILURE}))
    return EndedRun(
        run_id=run_id,
        status=status,
        duration_ms=round(seconds * 1000),
        error_chain=next((chain for chain in map(_error_chain, failures) if chain), ()),
        report=_report(instance, run_id) if status is Status.COMPLETED else None,
        timed_out=timed_out or any(TIMED_OUT in (failure.message or "") for failure in failures),
    )


def _events(instance: DagsterInstance, run_id: str, kinds: set[DagsterEventType]) -> Iterator[DagsterEvent]:
    for entry in instance.all_logs(run_id, of_type=kinds):
        if entry.dagster_event is not None:
            yield entry.dagster_event


def _report(instance: DagsterInstance, run_id: str) -> dict[str, Any] | None:
    for event in _events(instance, run_id, {DagsterEventType.ASSET_MATERIALIZATION}):
        materialization = event.step_materialization_data.materialization
        if materialization.asset_key.path[-1] == "html_map":
            names = ("html_key", "point_count", "cluster_count", "stats")
            return {name: materialization.metadata[name].value for name in names}
    return None


def _error_chain(event: DagsterEvent) -> tuple[tuple[str, str], ...]:
    data = event.event_specific_data
    error: SerializableErrorInfo | None = getattr(data, "error", None)
    chain = []
    while error is not None:
        name = error.cls_name or "Error"
        chain.append((name, error.message.partition(f"{name}: ")[2].strip() or error.message.strip()))
        error = error.cause or error.context
    return tuple(chain)
