"""Whether the worker is ready, and if not, why: a pure function of what it knows."""

from collections.abc import Iterator
from dataclasses import dataclass

from vis_assets.delivery.job_record import JobState
from vis_assets.delivery.observation import Queue
from vis_assets.operations.watch import OVERDUE_SECONDS, Sight

STALE_TICK_SECONDS = 60.0
RECENT_SECONDS = 600.0
DEGRADED_FAILURES = 3
"""So many jobs in trouble, and none completed, within `RECENT_SECONDS` make a worker degraded."""
GRACE_SECONDS = 120.0
"""How much longer than PROCESSING_TIMEOUT_SECS an attempt may take before something must be wrong."""


@dataclass(frozen=True)
class State:
    """What the worker knows of itself.

    Attributes:
        holder: its name as a leader.
        leads: it holds the lease.
        leader: who does, as far as is known.
        draining: it was told to stop.
        daemon_seconds: since the daemon was started; None while there is none.
        timeout_seconds: PROCESSING_TIMEOUT_SECS.
    """

    holder: str
    leads: bool
    leader: str = ""
    draining: bool = False
    daemon_seconds: float | None = None
    timeout_seconds: float = 3600.0


@dataclass(frozen=True)
class Reason:
    """Why the worker is not ready.

    Attributes:
        name: one of starting, draining, standby, nats, consumer, store, stale tick, overdue, degraded.
        detail: a sentence for a person.
    """

    name: str
    detail: str


def reasons(state: State, sight: Sight, wall: float, monotonic: float) -> list[Reason]:
    """List why no new job would be done now; empty where the worker is ready.

    Args:
        state: of the worker.
        sight: of the world.
        wall: seconds since 1970.
        monotonic: on the clock of `Sight`.
    """
    return [*_of_role(state), *_of_servers(sight, monotonic), *_of_work(state, sight, wall)]


def tick_age(state: State, queue: Queue | None, wall: float) -> float | None:
    """Seconds since our sensor last reconciled, or since our daemon was started if it did not yet; None without one."""
    if not state.leads or state.daemon_seconds is None or queue is None:
        return None
    tick = queue.tick
    since_start = state.daemon_seconds
    return since_start if tick is None or tick.holder != state.holder else min(since_start, max(0.0, wall - tick.at))


def has_ticked(state: State, queue: Queue | None) -> bool:
    """Whether a sensor of ours has reconciled since this worker began."""
    return queue is not None and queue.tick is not None and queue.tick.holder == state.holder


def _of_role(state: State) -> Iterator[Reason]:
    if state.draining:
        yield Reason("draining", "the worker was told to stop and lets its runs finish")
    elif not state.leads and state.leader and state.leader != state.holder:
        yield Reason("standby", f"{state.leader} reconciles; this worker takes over when it falls silent")
    elif not state.leads or state.daemon_seconds is None:
        yield Reason("starting", "Dagster is not up yet")


def _of_servers(sight: Sight, monotonic: float) -> Iterator[Reason]:
    if sight.nats_error is not None:
        yield Reason("nats", sight.nats_error)
    elif sight.queue is None or monotonic - sight.queue_at > OVERDUE_SECONDS:
        yield Reason("nats", "NATS has not answered yet")
    elif sight.queue.waiting is None:
        yield Reason("consumer", "the stream of jobs, its consumer or a stream of ours is missing; a tick makes them")
    if sight.store_error is not None:
        yield Reason("store", sight.store_error)
    elif not sight.store_seen or (sight.store_asked and monotonic - sight.store_asked > OVERDUE_SECONDS):
        yield Reason("store", "the object store has not answered yet")


def _of_work(state: State, sight: Sight, wall: float) -> Iterator[Reason]:
    age = tick_age(state, sight.queue, wall)
    if age is None or sight.queue is None:
        return
    if age > STALE_TICK_SECONDS:
        yield Reason("stale tick", f"no tick has reconciled for {age:.0f} s; is Dagster's database reachable?")
    elif not has_ticked(state, sight.queue):
        yield Reason("starting", "no tick has reconciled yet")
    overdue = [
        record.job_id
        for record in sight.queue.records
        if record.state is JobState.RUNNING and wall - record.requested_at > state.timeout_seconds + GRACE_SECONDS
    ]
    if overdue:
        yield Reason("overdue", f"{len(overdue)} jobs exceed PROCESSING_TIMEOUT_SECS, e.g. {overdue[0]}")
    troubled = in_trouble(sight, wall)
    if troubled >= DEGRADED_FAILURES:
        yield Reason("degraded", f"{troubled} jobs failed or wait for another attempt, and none completed recently")


def in_trouble(sight: Sight, wall: float) -> int:
    """Count jobs that wait for another attempt or were given up recently; 0 where any completed recently.

    Failures that the sender has to mend, such as a missing collection, are not the worker's.
    """
    recent = [job for job in sight.totals.recent if wall - job.at < RECENT_SECONDS]
    if sight.queue is None or any(job.outcome == "completed" for job in recent):
        return 0
    retrying = sum(1 for record in sight.queue.records if record.failures + record.lost > 0)
    return retrying + sum(1 for job in recent if job.given_up)
