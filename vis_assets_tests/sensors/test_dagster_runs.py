"""Dagster's runs as delivery sees them: a real instance with a queue, and leases on a real NATS server."""

import json
import time

import pytest
from dagster import DagsterRun, DagsterRunStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from vis_assets.delivery import ledger
from vis_assets.delivery.decide import RunPhase
from vis_assets.delivery.vigil import Vigil
from vis_assets.errors import NoPoints
from vis_assets.operations.processes import free_port
from vis_assets.protocol.result import Status
from vis_assets.sensors.dagster_runs import DagsterRuns
from vis_assets.sensors.reconciliation import vigil_of
from vis_assets_tests.protocol.messages import EXAMPLE, worker_job
from vis_assets_tests.sensors.door import PAGE, Door, failing

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
ACTIVE = [DagsterRunStatus.STARTING, DagsterRunStatus.STARTED, DagsterRunStatus.CANCELING]


@pytest.fixture
def door(queued_door: Door) -> Door:
    """An installation whose one job is asked for, and whose leases have long been looked at."""
    queued_door.send(EXAMPLE)
    looked(queued_door, 0)
    return queued_door


def runs_of(door: Door) -> DagsterRuns:
    return DagsterRuns(door.instance, door.connection, Vigil(60.0))


def begin(door: Door, status: DagsterRunStatus) -> tuple[str, DagsterRun]:
    """The key and the run of a job, in this status."""
    (request,) = door.ask()
    (run,) = door.start([request], status)
    assert request.run_key is not None
    return request.run_key, run


def say(door: Door, run: DagsterRun, age_seconds: float, **facts: bool) -> None:
    """Leave a lease that was renewed some time ago."""

    async def put(client) -> None:
        await ledger.renew_lease(client, run.run_id, EXAMPLE["job_id"], 1, 1)
        bucket = await client.jetstream().key_value(ledger.LEASES)
        lease = json.loads((await bucket.get(run.run_id)).value)
        await bucket.put(run.run_id, json.dumps({**lease, "renewed": lease["renewed"] - age_seconds, **facts}).encode())

    door.connection.run(put)


def looked(door: Door, seconds_ago: float) -> None:
    """Let leases have been looked at for a long time, the last time so long ago."""
    vigil = vigil_of(door.settings.lease_seconds)
    vigil.begun, vigil.last_look = time.time() - 1e6, time.time() - seconds_ago


def test_a_key_that_nobody_used_has_no_run(door: Door) -> None:
    """Of a run key that Dagster does not know there is nothing to see, whatever other runs there are."""
    key, _ = begin(door, DagsterRunStatus.QUEUED)
    assert runs_of(door).view(f"{key}0") is None


def test_a_queued_run_waits(door: Door) -> None:
    """A run that waits for its turn is seen as such, and cannot be silent however long it waits."""
    key, run = begin(door, DagsterRunStatus.QUEUED)
    view = runs_of(door).view(key)
    assert view is not None
    assert (view.run_id, view.phase, view.silent_seconds, view.ended, view.canceling) == (
        run.run_id, RunPhase.QUEUED, 0.0, None, False,
    )  # fmt: skip


@pytest.mark.parametrize("status", ACTIVE)
def test_a_run_that_works_is_as_silent_as_its_lease(door: Door, status: DagsterRunStatus) -> None:
    """Before its first lease a run counts from its start, and from then on from the last renewal."""
    key, run = begin(door, status)
    fresh = runs_of(door).view(key)
    assert fresh is not None
    assert (fresh.phase, fresh.ended, fresh.canceling) == (
        RunPhase.ACTIVE, None, status is DagsterRunStatus.CANCELING,
    )  # fmt: skip
    assert fresh.silent_seconds < 500
    say(door, run, 500)
    silent = runs_of(door).view(key)
    assert silent is not None
    assert silent.silent_seconds >= 500
    say(door, run, -500)
    ahead = runs_of(door).view(key)
    assert ahead is not None
    assert ahead.silent_seconds == 0.0


def test_a_finished_run_is_seen_with_its_report(door: Door) -> None:
    """Of a run that succeeded its page's key and figures are seen."""
    (request,) = door.ask()
    run = door.perform(request)
    view = runs_of(door).view(str(request.run_key))
    assert view is not None
    assert (view.phase, view.run_id) == (RunPhase.ENDED, run.run_id)
    assert view.ended is not None
    assert view.ended.status is Status.COMPLETED
    assert view.ended.report == {"html_key": PAGE, "point_count": 3, "cluster_count": 1, "stats": {"warnings": []}}
    assert (view.ended.timed_out, list(view.ended.error_chain)) == (False, [])


def test_a_failed_run_is_seen_with_our_error(door: Door) -> None:
    """Of a run that failed the chain of errors is seen, ours by its name and in its words."""
    (request,) = door.ask()
    door.perform(request, failing(NoPoints("the collection is empty")))
    view = runs_of(door).view(str(request.run_key))
    assert view is not None
    assert view.ended is not None
    assert (view.phase, view.ended.status, view.ended.report) == (RunPhase.ENDED, Status.FAILED, None)
    assert ("NoPoints", "the collection is empty") in view.ended.error_chain


def test_a_canceled_run_is_seen_as_canceled(door: Door) -> None:
    """A run that Dagster canceled is over."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    door.instance.report_run_canceled(run)
    view = runs_of(door).view(key)
    assert view is not None
    assert view.ended is not None
    assert (view.phase, view.ended.status) == (RunPhase.ENDED, Status.CANCELED)


def test_a_run_that_its_keeper_ended_timed_out(door: Door) -> None:
    """Where the lease says that the time was up, the run's end is a timeout, and told so."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    say(door, run, 0, timed_out=True)
    door.instance.report_run_failed(run, message="Run execution process unexpectedly exited with exit code -9.")
    view = runs_of(door).view(key)
    assert view is not None
    assert view.ended is not None
    assert view.ended.timed_out
    door.heard()
    door.settle()
    (told,) = door.heard()
    assert told["errorMessage"].startswith("timeout")


def test_a_timeout_that_dagster_did_not_notice_is_a_timeout(door: Door) -> None:
    """Where the keeper ended a run and nobody told Dagster, the job failed by timeout; no process counts as lost."""
    _, run = begin(door, DagsterRunStatus.STARTED)
    say(door, run, 500, timed_out=True)
    door.heard()
    door.settle()
    (told,) = door.heard()
    assert told["errorMessage"].startswith("timeout")
    (record,) = door.records()
    assert (record.failures, record.lost) == (1, 0)
    ended = door.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE


def test_a_lost_run_is_failed_and_the_next_attempt_asked_for(door: Door) -> None:
    """A run whose lease ran out is failed in Dagster, counted as lost, and replaced at once."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    say(door, run, 2 * door.settings.lease_seconds)
    (again,) = door.ask()
    assert again.run_key == f"{key.rpartition(':')[0]}:2"
    ended = door.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE
    (record,) = door.records()
    assert (record.attempt, record.failures, record.lost) == (2, 0, 1)


def test_a_run_that_nobody_could_hear_gets_a_moment(door: Door) -> None:
    """After NATS was away for longer than a lease, a run is not taken for lost before it could renew it."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    looked(door, 3 * door.settings.lease_seconds)
    say(door, run, 3 * door.settings.lease_seconds)
    assert door.ask() == []
    (record,) = door.records()
    assert (record.run_key, record.lost) == (key, 0)


@pytest.mark.parametrize("copies", [1, 30])
def test_a_copy_of_a_run_is_not_taken_for_it(door: Door, copies: int) -> None:
    """Re-executions share the run key, and the run that was asked for is the one that is seen."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    for number in range(copies):
        copy = run._replace(
            run_id=f"00000000-0000-4000-8000-{number:012}", parent_run_id=run.run_id, root_run_id=run.run_id
        )
        door.instance.add_run(copy)
    view = runs_of(door).view(key)
    assert view is not None
    assert view.run_id == run.run_id


def test_a_run_that_was_only_made_is_no_run(door: Door) -> None:
    """A run that Dagster made and never submitted is as good as none: asked for again, Dagster submits it."""
    key, _ = begin(door, DagsterRunStatus.NOT_STARTED)
    assert runs_of(door).view(key) is None


def test_a_run_is_declared_lost_once(door: Door) -> None:
    """A live run whose process is gone is failed, with the reason in its log; saying so again changes nothing."""
    _, run = begin(door, DagsterRunStatus.STARTED)
    for _ in range(2):
        runs_of(door).declare_lost(run.run_id)
    ended = door.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.FAILURE
    messages = [entry.user_message or entry.message for entry in door.instance.all_logs(run.run_id)]
    assert len([message for message in messages if "vanished" in message]) == 1


def test_an_ended_or_unknown_run_is_not_declared_lost(door: Door) -> None:
    """A run that ended meanwhile keeps its end, and one that Dagster does not know harms nobody."""
    (request,) = door.ask()
    run = door.perform(request)
    runs_of(door).declare_lost(run.run_id)
    runs_of(door).declare_lost("00000000-0000-4000-8000-000000000001")
    ended = door.instance.get_run_by_id(run.run_id)
    assert ended is not None
    assert ended.status is DagsterRunStatus.SUCCESS


def test_a_queued_run_is_stopped_at_once(door: Door) -> None:
    """A run that waits for its turn is canceled by a stop, and seen as canceled."""
    key, run = begin(door, DagsterRunStatus.QUEUED)
    runs_of(door).stop(run.run_id)
    view = runs_of(door).view(key)
    assert view is not None
    assert view.ended is not None
    assert view.ended.status is Status.CANCELED


def test_a_run_whose_code_server_is_gone_is_told_to_stop(door: Door) -> None:
    """A stop that reaches no process is no error; Dagster shows that the run is being canceled."""
    key, run = begin(door, DagsterRunStatus.STARTED)
    nobody = json.dumps({"host": "localhost", "port": free_port()})
    door.instance.add_run_tags(run.run_id, {GRPC_INFO_TAG: nobody})
    runs_of(door).stop(run.run_id)
    view = runs_of(door).view(key)
    assert view is not None
    assert view.canceling


@pytest.mark.parametrize("status", [DagsterRunStatus.QUEUED, DagsterRunStatus.STARTED])
def test_a_canceled_job_ends_whatever_its_run_does(door: Door, status: DagsterRunStatus) -> None:
    """A cancel message ends a queued job at once, and a running one when its process is gone: one result, canceled."""
    _, run = begin(door, status)
    body = json.dumps({"job_id": EXAMPLE["job_id"]}).encode()
    door.connection.run(lambda c: c.jetstream().publish(ledger.CANCEL_SUBJECT, body))
    door.heard()
    for _ in range(3):
        door.settle()
    if status is DagsterRunStatus.STARTED:
        assert door.heard() == []
        say(door, run, 2 * door.settings.lease_seconds)
        door.settle()
    assert [(result["jobId"], result["status"]) for result in door.heard()] == [(EXAMPLE["job_id"], "canceled")]
    assert (door.records(), door.depth()) == ([], (0, 0))


def test_a_cancel_in_the_ui_is_for_good(door: Door) -> None:
    """A job whose run a person canceled in Dagster is canceled, also where the run's process does not come back."""
    _, run = begin(door, DagsterRunStatus.STARTED)
    door.instance.report_run_canceling(run)
    door.heard()
    door.settle()
    assert [record.canceled for record in door.records()] == [True]
    say(door, run, 2 * door.settings.lease_seconds)
    door.settle()
    assert [result["status"] for result in door.heard()] == ["canceled"]


def test_a_job_given_up_for_vanishing_is_a_dead_letter(door: Door) -> None:
    """A job whose processes vanish as often as allowed ends failed, once, and lies in the dead letters."""
    door.settings = door.settings.model_copy(update={"max_lost_attempts": 1})
    door.resources["settings"] = door.settings
    _, run = begin(door, DagsterRunStatus.STARTED)
    say(door, run, 2 * door.settings.lease_seconds)
    door.heard()
    door.settle()
    (result,) = door.heard()
    assert result["status"] == "failed"
    assert "vanished" in result["errorMessage"]
    assert list(door.connection.run(ledger.read_dead_letters)) == [EXAMPLE["job_id"]]


def test_one_silent_run_says_nothing_about_another(door: Door) -> None:
    """Only the run whose lease ran out is replaced."""
    door.send(worker_job(job_id="other", visualization_transform_id=9))
    begun: list[DagsterRun] = []
    while len(begun) < 2:
        begun += door.start(door.ask(), DagsterRunStatus.STARTED)
    say(door, begun[0], 2 * door.settings.lease_seconds)
    say(door, begun[1], 0)
    door.settle()
    assert sorted((record.attempt, record.lost) for record in door.records()) == [(1, 0), (2, 1)]
