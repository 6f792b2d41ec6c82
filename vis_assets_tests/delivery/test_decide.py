"""Decisions, on their own and in a small world where processes die at any step."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.delivery.decide import Action, Finish, Keep, Limits, Note, Retry, RunPhase, RunView, Start, Stop, plan
from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS, JobRecord, JobState
from vis_assets.delivery.settle import EndedRun
from vis_assets.protocol.result import Outcome, Status

LIMITS = Limits(slots=2, max_attempts=3, max_lost_attempts=3, lease_seconds=60, request_seconds=30)
REPORT = {"html_key": "k", "point_count": 1, "cluster_count": 0, "stats": {}}


def job(number: int = 1, partition: str = "7", **values: object) -> JobRecord:
    return replace(JobRecord(f"job-{number}", partition, 1, "o", (100, number), f"reply-{number}"), **values)  # type: ignore[arg-type]


def running(**values: object) -> JobRecord:
    return job(**{"state": JobState.RUNNING, "requested_at": 1000.0, **values})  # type: ignore[arg-type]


def ended(status: Status, *chain: tuple[str, str], **values: object) -> RunView:
    report = REPORT if status is Status.COMPLETED else None
    run = EndedRun("run", status, 5, chain, report, **values)  # type: ignore[arg-type]
    return RunView("run", RunPhase.ENDED, ended=run)


def decide(record: JobRecord, run: RunView | None = None, now: float = 1001.0, newest=None) -> Action | None:
    actions = plan([record], {record.run_key: run} if run else {}, newest or {}, LIMITS, now)
    assert len(actions) <= 1
    return actions[0] if actions else None


def test_a_new_job_is_started():
    """A waiting job whose time has come asks for its run."""
    action = decide(job())
    assert isinstance(action, Start)
    assert (action.record.state, action.record.requested_at) == (JobState.RUNNING, 1001.0)


def test_a_job_waits_for_its_time():
    """A job whose next attempt is not due is left alone."""
    assert decide(job(not_before=2000.0)) is None


def test_a_missing_run_is_asked_for_again_under_the_same_key():
    """A run that Dagster does not know after a while is asked for again, as the same attempt."""
    record = running()
    assert isinstance(decide(record, now=1029.0), Keep)
    action = decide(record, now=1031.0)
    assert isinstance(action, Start)
    assert action.record.run_key == record.run_key


def test_a_finished_map_wins():
    """A run that made its page ends the job, and its page becomes the public one."""
    action = decide(running(), ended(Status.COMPLETED))
    assert isinstance(action, Finish)
    assert (action.outcome.status, action.ending.winner, action.ending.dead_letter) == (Status.COMPLETED, True, False)


def test_a_permanent_error_ends_the_job_at_once():
    """An error that the same input would meet again is not retried."""
    action = decide(running(), ended(Status.FAILED, ("CollectionMissing", "no collection 'x'")))
    assert isinstance(action, Finish)
    assert (action.outcome.error, action.ending.dead_letter) == ("no collection 'x'", False)


def test_a_transient_error_is_retried_on_schedule():
    """Each failure waits longer, by the published schedule, and only the last gives the job up."""
    record, delays = running(), []
    limits = replace(LIMITS, max_attempts=6)
    for _ in range(5):
        (action,) = plan(
            [record], {record.run_key: ended(Status.FAILED, ("SourceUnavailable", "down"))}, {}, limits, 0.0
        )
        assert isinstance(action, Retry)
        delays.append(action.delay_seconds)
        record = action.record.started(0.0)
    assert tuple(delays) == RETRY_DELAYS_SECONDS
    (action,) = plan([record], {record.run_key: ended(Status.FAILED, ("SourceUnavailable", "down"))}, {}, limits, 0.0)
    assert isinstance(action, Finish)
    assert (action.ending.dead_letter, action.outcome.error) == (True, "down")


def test_an_unexpected_error_is_retried():
    """What we have no name for may be the world's fault, so it is tried again."""
    assert isinstance(decide(running(), ended(Status.FAILED, ("ZeroDivisionError", "?"))), Retry)


def test_a_timeout_is_retried():
    """A run that took too long is a failure whose text begins with timeout, and is tried again."""
    action = decide(running(), ended(Status.FAILED, timed_out=True))
    assert isinstance(action, Retry)
    assert str(action.record.error).startswith("timeout")


def test_a_silent_process_is_lost_and_its_job_repeated_at_once():
    """A process that stops renewing its lease is given up, which does not count as a failure of the job."""
    assert isinstance(decide(running(), RunView("run", RunPhase.ACTIVE, silent_seconds=59)), Keep)
    action = decide(running(), RunView("run", RunPhase.ACTIVE, silent_seconds=61))
    assert isinstance(action, Retry)
    assert (action.lost_run, action.record.lost, action.record.failures, action.delay_seconds) == ("run", 1, 0, 0.0)


def test_a_job_whose_processes_keep_vanishing_is_given_up():
    """After so many lost processes the job is a dead letter."""
    action = decide(running(lost=2), RunView("run", RunPhase.ACTIVE, silent_seconds=61))
    assert isinstance(action, Finish)
    assert action.ending.dead_letter


def test_a_run_that_ended_without_a_word_counts_as_lost():
    """A process that was killed reported no failure of the job, so it counts as vanished and is repeated at once."""
    action = decide(running(), ended(Status.FAILED))
    assert isinstance(action, Retry)
    assert (action.record.lost, action.record.failures, action.delay_seconds) == (1, 0, 0.0)


def test_a_queued_run_is_never_silent():
    """A run that still waits in Dagster's queue has no process that could vanish."""
    assert isinstance(decide(running(), RunView("run", RunPhase.QUEUED, silent_seconds=9999)), Keep)


def test_a_canceled_job_is_stopped_and_then_ended():
    """Cancel stops a live run, and ends waiting jobs and ended runs as canceled."""
    record = running(canceled=True)
    assert isinstance(decide(record, RunView("run", RunPhase.ACTIVE)), Stop)
    for action in (
        decide(record, ended(Status.FAILED)),
        decide(job(canceled=True, not_before=9999.0)),
        decide(record, RunView("run", RunPhase.ACTIVE, silent_seconds=61)),
    ):
        assert isinstance(action, Finish)
        assert action.outcome.status is Status.CANCELED


def test_a_cancel_in_the_ui_is_written_down():
    """A run that a person terminates in Dagster cancels its job, so that its process is stopped for good."""
    action = decide(running(), RunView("run", RunPhase.ACTIVE, canceling=True))
    assert isinstance(action, Note)
    assert action.record.canceled


def test_an_older_job_never_draws_over_a_newer_page():
    """A late attempt at an older job ends failed, naming the newer job, whether it waits or has just made its page."""
    newest = {"7/1": ("job-2", (100, 2))}
    for action in (decide(job(), newest=newest), decide(running(), ended(Status.COMPLETED), newest=newest)):
        assert isinstance(action, Finish)
        assert (action.outcome.status, action.ending.winner) == (Status.FAILED, False)
        assert action.outcome.error == "superseded by job-2"


def test_one_run_at_a_time_for_a_transform_and_the_older_first():
    """Two jobs of one transform are serialised, newest last, while another transform uses the free slot."""
    starts = plan([job(3, "8"), job(2), job(1)], {}, {}, LIMITS, 1.0)
    assert [a.record.job_id for a in starts if isinstance(a, Start)] == ["job-1", "job-3"]


def test_starts_respect_the_slots():
    """No more runs are asked for than there are slots."""
    actions = plan([job(n, str(n)) for n in range(1, 6)], {}, {}, LIMITS, 1.0)
    assert sum(isinstance(a, Start) for a in actions) == LIMITS.slots


@dataclass
class World:
    """Records, runs and results as NATS and Dagster would hold them."""

    records: dict[str, JobRecord]
    runs: dict[str, RunView] = field(default_factory=dict)
    results: dict[str, Outcome] = field(default_factory=dict)
    executions: dict[str, int] = field(default_factory=dict)
    newest: dict[str, tuple[str, tuple[int, int]]] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    now: float = 0.0

    def carry_out(self, action: Action, steps: int) -> None:
        """Do the first `steps` steps of an action: a crash may come after any."""
        record = action.record
        todo: list = []
        if isinstance(action, Start):
            todo = [lambda: self.records.__setitem__(record.job_id, record), lambda: self._ask(record)]
        elif isinstance(action, Retry | Note):
            todo = [lambda: self.records.__setitem__(record.job_id, record)]
        elif isinstance(action, Finish):
            todo = [
                lambda: self.records.__setitem__(record.job_id, record.to_end(action.ending)),
                lambda: self.dead.add(record.job_id) if action.ending.dead_letter else None,
                lambda: (
                    self.newest.__setitem__(record.page, (record.job_id, record.accepted))
                    if action.ending.winner
                    else None
                ),
                lambda: self.results.setdefault(record.job_id, action.outcome),
                lambda: self.records.pop(record.job_id),
            ]
        for step in todo[:steps]:
            step()

    def _ask(self, record: JobRecord) -> None:
        if record.run_key not in self.runs:
            self.runs[record.run_key] = RunView(record.run_key, RunPhase.QUEUED)
            self.executions[record.job_id] = self.executions.get(record.job_id, 0) + 1


ENDS = {
    "ok": ended(Status.COMPLETED),
    "transient": ended(Status.FAILED, ("StoreUnavailable", "disk full")),
    "permanent": ended(Status.FAILED, ("NoPoints", "empty")),
    "killed": ended(Status.FAILED),
    "silent": RunView("run", RunPhase.ACTIVE, silent_seconds=1e6),
    "active": RunView("run", RunPhase.ACTIVE),
}


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_every_job_ends_exactly_once_whatever_dies(data: st.DataObject):
    """Whatever runs come to and wherever the reconciler dies, each job gets one result and none is lost."""
    count = data.draw(st.integers(1, 6))
    world = World({f"job-{n}": job(n, str(n % 2)) for n in range(1, count + 1)})
    for _ in range(200):
        if world.records:
            _one_bad_day(world, data)
    while world.records:
        _one_good_day(world)
    assert set(world.results) == {f"job-{n}" for n in range(1, count + 1)}
    most = LIMITS.max_attempts + LIMITS.max_lost_attempts
    assert all(runs <= most for runs in world.executions.values())
    assert all(world.results[job_id].status is Status.FAILED for job_id in world.dead)


def _one_bad_day(world: World, data: st.DataObject) -> None:
    """Runs come to anything, and the reconciler dies after any step of any action."""
    world.now += data.draw(st.sampled_from((1.0, 40.0, 4000.0)))
    for key in [key for key, view in world.runs.items() if view.phase is not RunPhase.ENDED]:
        world.runs[key] = ENDS[data.draw(st.sampled_from(sorted(ENDS)))]
    actions = plan(list(world.records.values()), world.runs, world.newest, LIMITS, world.now)
    _check(actions, world)
    survives = data.draw(st.integers(0, len(actions)))
    for action in actions[:survives]:
        world.carry_out(action, steps=99)
    if survives < len(actions):
        world.carry_out(actions[survives], steps=data.draw(st.integers(0, 4)))


def _one_good_day(world: World) -> None:
    """Every run that is under way makes its page, and nobody dies."""
    world.now += 4000
    world.runs = {key: v if v.phase is RunPhase.ENDED else ENDS["ok"] for key, v in world.runs.items()}
    for action in plan(list(world.records.values()), world.runs, world.newest, LIMITS, world.now):
        world.carry_out(action, steps=99)


def _check(actions: list[Action], world: World) -> None:
    assert len({a.record.job_id for a in actions}) == len(actions), "one action a job"
    ending = {a.record.job_id for a in actions if isinstance(a, Finish | Retry)}
    live = [r for r in world.records.values() if r.state is JobState.RUNNING and r.job_id not in ending]
    fresh = [
        a.record for a in actions if isinstance(a, Start) and world.records[a.record.job_id].state is JobState.WAITING
    ]
    assert len(live) + len(fresh) <= LIMITS.slots
    partitions = [r.partition for r in live + fresh]
    assert len(partitions) == len(set(partitions))
