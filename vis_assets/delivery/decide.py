"""What to do next, from what is seen: pure functions, no I/O, no clock.

One record and the run of its attempt lead to one action. Repeating an action is harmless, so it does not matter after
which step a process dies: the next reconciliation sees the same state, or the next one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS, Ending, JobRecord, JobState
from vis_assets.delivery.settle import EndedRun, is_retryable, outcome_of
from vis_assets.protocol.result import Outcome, Status


class RunPhase(StrEnum):
    """How far a run is."""

    QUEUED = "queued"
    """Dagster has it; no process works on it yet."""
    ACTIVE = "active"
    """A process works on it, or did when it last said so."""
    ENDED = "ended"


@dataclass(frozen=True)
class RunView:
    """The run of one attempt, as Dagster and its lease show it.

    Attributes:
        run_id: Dagster's id.
        phase: how far it is.
        silent_seconds: since its process last renewed its lease, or since it was started if it never did.
        ended: how it ended; None unless `phase` is ENDED.
        canceling: a person asked Dagster to stop it.
        timed_out: its lease keeper ended it for taking too long; Dagster may not know yet.
    """

    run_id: str
    phase: RunPhase
    silent_seconds: float = 0.0
    ended: EndedRun | None = None
    canceling: bool = False
    timed_out: bool = False


@dataclass(frozen=True)
class Limits:
    """Bounds of delivery, all settings.

    Attributes:
        slots: runs at the same time.
        max_attempts: failures after which a job is given up.
        max_lost_attempts: vanished processes after which a job is given up.
        lease_seconds: silence after which a process counts as vanished.
        request_seconds: how long a requested run may be missing before it is asked for again.
        retry_delays_seconds: waits after the first, second, ... failure of a job; the last one repeats.
        park_seconds: waits longer than this leave the job stream; the record alone holds the job then.
    """

    slots: int = 3
    max_attempts: int = 6
    max_lost_attempts: int = 10
    lease_seconds: float = 60.0
    request_seconds: float = 30.0
    park_seconds: float = 20.0
    retry_delays_seconds: tuple[float, ...] = RETRY_DELAYS_SECONDS


@dataclass(frozen=True)
class Start:
    """Ask for the run of the record's attempt."""

    record: JobRecord


@dataclass(frozen=True)
class Keep:
    """Let it go on: renew the message's deadline."""

    record: JobRecord


@dataclass(frozen=True)
class Note:
    """Write down that a person canceled the run, so that it is stopped for good."""

    record: JobRecord


@dataclass(frozen=True)
class Stop:
    """Stop a run whose job was canceled."""

    record: JobRecord
    run_id: str


@dataclass(frozen=True)
class Retry:
    """Note a failed attempt; `lost_run` is set where Dagster must be told that the process is gone."""

    record: JobRecord
    delay_seconds: float
    lost_run: str | None = None


@dataclass(frozen=True)
class Finish:
    """Bring a job to its end; `lost_run` is set where Dagster must be told that the process is gone."""

    record: JobRecord
    ending: Ending
    lost_run: str | None = None

    @property
    def outcome(self) -> Outcome:
        """What the sender is told."""
        return self.ending.outcome


Newest = Mapping[str, tuple[str, tuple[int, int]]]
"""Page -> the newest job that made it: its id and when it was accepted."""

Action = Start | Keep | Note | Stop | Retry | Finish


def plan(
    records: Sequence[JobRecord], runs: Mapping[str, RunView], newest: Newest, limits: Limits, now: float
) -> list[Action]:
    """Decide about every unfinished job.

    Args:
        records: the unfinished jobs.
        runs: run key -> run.
        newest: the newest job that made each page.
        limits: bounds.
        now: seconds since 1970.

    Returns:
        At most one action a job. Starts respect the free slots, and one run at a time for each partition; of two jobs
        of one partition the older goes first.
    """
    actions = [
        action for record in records if (action := _judge(record, runs.get(record.run_key), newest, limits, now))
    ]
    settled = {action.record.job_id for action in actions if isinstance(action, Finish | Retry)}
    busy = {r.partition for r in records if r.state is JobState.RUNNING and r.job_id not in settled}
    running = sum(1 for r in records if r.state is JobState.RUNNING and r.job_id not in settled)
    free = limits.slots - running
    decided = {action.record.job_id for action in actions}
    for record in sorted(records, key=lambda r: r.accepted):
        if record.job_id in decided or record.state is not JobState.WAITING or record.not_before > now:
            continue
        if free <= 0 or record.partition in busy:
            actions.append(Keep(record))
            continue
        actions.append(Start(record.started(now)))
        busy.add(record.partition)
        free -= 1
    return actions


def _judge(record: JobRecord, run: RunView | None, newest: Newest, limits: Limits, now: float) -> Action | None:
    if record.ending is not None:
        return Finish(record, record.ending)
    if record.state is JobState.WAITING:
        return _judge_waiting(record, newest)
    if run is None:
        missing = now - record.requested_at > limits.request_seconds
        return Start(record.started(now)) if missing else Keep(record)
    if run.phase is RunPhase.ENDED and run.ended is not None:
        return _judge_ended(record, run.ended, newest, limits, now)
    return _judge_live(record, run, limits, now)


def _judge_live(record: JobRecord, run: RunView, limits: Limits, now: float) -> Action:
    if run.phase is RunPhase.ACTIVE and run.silent_seconds > limits.lease_seconds:
        if run.timed_out and not record.canceled:
            gone = EndedRun(run.run_id, Status.FAILED, 0, timed_out=True)
            return _after_failure(record, gone, limits, now, lost_run=run.run_id)
        return _judge_lost(record, run.run_id, limits, now)
    if run.canceling and not record.canceled:
        return Note(record.to_cancel())
    if record.canceled and not run.canceling:
        return Stop(record, run.run_id)
    return Keep(record)


def _judge_waiting(record: JobRecord, newest: Newest) -> Action | None:
    if record.canceled:
        return Finish(record, Ending(Outcome(Status.CANCELED, error="the job was canceled")))
    winner = _superseding(record, newest)
    if winner is not None:
        return Finish(record, Ending(Outcome(Status.FAILED, error=f"superseded by {winner}")))
    return None


def _judge_ended(record: JobRecord, ended: EndedRun, newest: Newest, limits: Limits, now: float) -> Action:
    outcome = outcome_of(ended)
    if record.canceled or ended.status is Status.CANCELED:
        return Finish(
            record, Ending(Outcome(Status.CANCELED, duration_ms=ended.duration_ms, error="the job was canceled"))
        )
    if outcome.status is Status.COMPLETED:
        winner = _superseding(record, newest)
        if winner is not None:
            return Finish(record, Ending(Outcome(Status.FAILED, error=f"superseded by {winner}")))
        return Finish(record, Ending(outcome, winner=True))
    if not ended.error_chain and not ended.timed_out:
        return _judge_lost(record, ended.run_id, limits, now)
    if not is_retryable(ended):
        return Finish(record, Ending(outcome))
    return _after_failure(record, ended, limits, now)


def _after_failure(
    record: JobRecord, ended: EndedRun, limits: Limits, now: float, lost_run: str | None = None
) -> Action:
    outcome = outcome_of(ended)
    again, delay = record.failed(outcome.error or "failed", now, limits.retry_delays_seconds)
    if again.failures >= limits.max_attempts:
        return Finish(again, Ending(outcome, dead_letter=True), lost_run=lost_run)
    return Retry(again, delay, lost_run=lost_run)


def _judge_lost(record: JobRecord, run_id: str, limits: Limits, now: float) -> Action:
    if record.canceled:
        return Finish(record, Ending(Outcome(Status.CANCELED, error="the job was canceled")), lost_run=run_id)
    again = record.vanished(now)
    if again.lost >= limits.max_lost_attempts:
        gone = Outcome(Status.FAILED, error=f"the process of the run vanished {again.lost} times")
        return Finish(again, Ending(gone, dead_letter=True), lost_run=run_id)
    return Retry(again, 0.0, lost_run=run_id)


def _superseding(record: JobRecord, newest: Newest) -> str | None:
    """Return the id of a newer job that already made this page; an older one may not draw over it."""
    job_id, accepted = newest.get(record.page, ("", record.accepted))
    return job_id if accepted > record.accepted else None
