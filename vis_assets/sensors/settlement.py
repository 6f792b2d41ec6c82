"""Settling ended runs from Dagster's side: find them, ask `delivery.settle` to tell the sender, mark them."""

import logging
import threading
from datetime import UTC, datetime, timedelta

from dagster import DagsterInstance, DagsterRun, RunsFilter

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.run_tags import SETTLED, delivery_of
from vis_assets.delivery.settle import settle
from vis_assets.errors import ObjectMissing, TransientError
from vis_assets.protocol.job import JobEnvelope
from vis_assets.resources.specs import SpecStore
from vis_assets.sensors.ended_runs import STATUS_OF, describe

LOOK_BACK = timedelta(hours=24)
"""How far back a tick looks for ended runs that nobody settled."""

_log = logging.getLogger(__name__)
_one_at_a_time = threading.Lock()
"""The tick and the run-status sensors share a process: whoever comes second sees the other's mark."""


def settle_run(
    instance: DagsterInstance, run_id: str, connection: NatsConnection, specs: SpecStore, subject: str
) -> bool:
    """Settle one ended run, unless nobody waits for it or it is settled already.

    Returns:
        Whether a result was published.

    Raises:
        BrokerUnavailable, StoreUnavailable: not settled; call again.
    """
    with _one_at_a_time:
        run = instance.get_run_by_id(run_id)
        delivery = delivery_of(run.tags, is_copy=run.parent_run_id is not None) if run else None
        if run is None or delivery is None or delivery.settled:
            return False
        ended = describe(instance, run_id)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        outcome = settle(
            connection,
            subject,
            *_sender(run, delivery.job_id, specs),
            ended,
            delivery,
            lambda: instance.add_run_tags(run_id, {SETTLED: now}),
        )
        _log.info("job %s: %s", delivery.job_id, outcome.status.value)
        return True


def settle_ended_runs(instance: DagsterInstance, connection: NatsConnection, specs: SpecStore, subject: str) -> int:
    """Settle every run that ended lately and that is not settled; return how many were."""
    ended = instance.get_run_records(
        RunsFilter(statuses=list(STATUS_OF), updated_after=datetime.now(UTC) - LOOK_BACK), limit=200
    )
    waiting = [
        record.dagster_run
        for record in ended
        if (delivery := delivery_of(record.dagster_run.tags, record.dagster_run.parent_run_id is not None))
        and not delivery.settled
    ]
    return sum(_try_to_settle(instance, run.run_id, connection, specs, subject) for run in waiting)


def _try_to_settle(
    instance: DagsterInstance, run_id: str, connection: NatsConnection, specs: SpecStore, subject: str
) -> bool:
    """Settle a run; one that cannot be settled now must not keep others waiting."""
    try:
        return settle_run(instance, run_id, connection, specs, subject)
    except TransientError as error:
        _log.warning("run %s is not settled yet: %s", run_id, error)
        return False


def _sender(run: DagsterRun, job_id: str, specs: SpecStore) -> tuple[JobEnvelope, tuple[str, ...]]:
    """Read who asked, and what to warn of; where the spec was deleted meanwhile, the run's tags still know the ids."""
    partition = run.tags.get("dagster/partition", "")
    try:
        spec = specs.load(partition, job_id)
    except ObjectMissing:
        return JobEnvelope(job_id=job_id, visualization_transform_id=int(partition)), ()
    return spec.envelope, spec.warnings
