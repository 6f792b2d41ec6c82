"""One reconciler for the tick and for the run-status sensors: they share a process, so one works at a time."""

import contextlib
import functools
import threading
import time
from collections.abc import Iterator

from dagster import DagsterInstance

from vis_assets.delivery import leadership, ledger
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.decide import Limits
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.reconcile import Reconciler
from vis_assets.delivery.vigil import Vigil
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.sensors.dagster_runs import DagsterRuns
from vis_assets.settings import Settings

_one_at_a_time = threading.Lock()


def limits_of(settings: Settings) -> Limits:
    """Read the bounds of delivery from the settings."""
    return Limits(
        slots=settings.max_concurrent_jobs,
        max_attempts=settings.max_attempts,
        max_lost_attempts=settings.max_lost_attempts,
        lease_seconds=settings.lease_seconds,
        retry_delays_seconds=settings.retry_delays_seconds,
    )


@functools.cache
def vigil_of(lease_seconds: float) -> Vigil:
    """One for the whole process: whoever of its sensors looks at the leases, it is a look."""
    return Vigil(lease_seconds)


@contextlib.contextmanager
def reconciler(
    instance: DagsterInstance, settings: Settings, jobs: DeliveredJobs, name: str
) -> Iterator[tuple[Reconciler, NatsConnection]]:
    """Connect, make what is missing in JetStream, and give a reconciler until the block ends."""
    with NatsConnection(NatsAccess.of(settings), f"vis_assets {name}") as connection:
        connection.run(lambda c: ledger.ensure(c, settings.result_days, settings.dead_letter_days))
        connection.run(leadership.ensure_workers)
        vigil = vigil_of(settings.lease_seconds)
        with _one_at_a_time:
            vigil.look(time.time())
        runs = DagsterRuns(instance, connection, vigil)
        yield Reconciler(connection, runs, jobs, limits_of(settings), settings.result_subject), connection


def reconcile(worker: Reconciler, *, may_start: bool) -> list[JobRecord]:
    """Reconcile, unless another thread of this process does, then after it."""
    with _one_at_a_time:
        return worker.reconcile(may_start=may_start)
