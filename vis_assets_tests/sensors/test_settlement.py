"""The door for results: ended runs are told once, whoever notices first."""

import pytest
from dagster import DagsterRunStatus, SensorResult, build_run_status_sensor_context
from dagster._core.events import DagsterEvent, DagsterEventType

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.run_tags import SETTLED
from vis_assets.sensors.run_status import run_canceled, run_failed
from vis_assets.sensors.settlement import settle_ended_runs
from vis_assets_tests.protocol.messages import EXAMPLE, explorer_job, worker_job
from vis_assets_tests.sensors.door import Door

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
ENDS = {
    DagsterRunStatus.FAILURE: (run_failed, DagsterEventType.RUN_FAILURE, "failed"),
    DagsterRunStatus.CANCELED: (run_canceled, DagsterEventType.RUN_CANCELED, "canceled"),
}


def started(door: Door, job: dict[str, object]) -> str:
    """The id of a run that serves a message."""
    door.send(job)
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    (run,) = door.start(answer, DagsterRunStatus.STARTED)
    door.heard()
    return run.run_id


def end(door: Door, run_id: str, status: DagsterRunStatus) -> None:
    """End a run, as its process or the daemon would."""
    run = door.instance.get_run_by_id(run_id)
    assert run is not None
    door.instance.report_dagster_event(
        DagsterEvent(ENDS[status][1].value, job_name=run.job_name, message="over"), run_id=run_id
    )


def settle(door: Door) -> int:
    """What a tick does about ended runs."""
    with NatsConnection(door.settings.nats_url.get_secret_value(), "test") as connection:
        return settle_ended_runs(door.instance, connection, door.resources["specs"], door.settings.result_subject)


@pytest.mark.parametrize("status", ENDS)
def test_a_tick_settles_a_run_that_ended(door: Door, status: DagsterRunStatus) -> None:
    """An ended run is told to its sender, its message acknowledged, and it is marked; a second look does nothing."""
    run_id = started(door, EXAMPLE)
    assert settle(door) == 0
    end(door, run_id, status)
    assert settle(door) == 1
    assert settle(door) == 0
    (result,) = door.heard()
    assert (result["jobId"], result["owner"], result["status"]) == (
        EXAMPLE["job_id"], EXAMPLE["owner"], ENDS[status][2],
    )  # fmt: skip
    assert result["errorMessage"]
    assert door.depth() == (0, 0)
    run = door.instance.get_run_by_id(run_id)
    assert run is not None
    assert SETTLED in run.tags


@pytest.mark.parametrize("status", ENDS)
def test_a_status_sensor_settles_a_run_that_ended(door: Door, status: DagsterRunStatus) -> None:
    """The run-status sensors do the same, and leave alone what a tick has settled."""
    run_id = started(door, explorer_job())
    end(door, run_id, status)
    sensor, event_type, word = ENDS[status]
    for _ in range(2):
        run = door.instance.get_run_by_id(run_id)
        assert run is not None
        context = build_run_status_sensor_context(
            sensor_name=sensor.name,
            dagster_event=DagsterEvent(event_type.value, job_name=run.job_name),
            dagster_instance=door.instance,
            dagster_run=run,
            resources=door.resources,
        )
        sensor(context)
    (result,) = door.heard()
    assert (result["status"], result["ownerId"]) == (word, EXAMPLE["owner"])
    assert settle(door) == 0


def test_a_copy_of_a_run_is_nobodys(door: Door) -> None:
    """A re-execution has the tags of the first run, and its end is told to nobody."""
    run_id = started(door, EXAMPLE)
    parent = door.instance.get_run_by_id(run_id)
    assert parent is not None
    copy = door.instance.add_run(
        parent._replace(
            run_id="00000000-0000-4000-8000-000000000001", parent_run_id=run_id, root_run_id=run_id,
        )
    )  # fmt: skip
    end(door, copy.run_id, DagsterRunStatus.FAILURE)
    assert settle(door) == 0
    assert door.heard() == []
    assert door.depth() == (0, 1)


def test_a_run_whose_spec_was_deleted_is_still_told(door: Door) -> None:
    """When the map was deleted meanwhile, the sender hears with what the run's tags know."""
    run_id = started(door, worker_job())
    for file in (door.folder / "store" / "specs" / "123").iterdir():
        file.unlink()
    end(door, run_id, DagsterRunStatus.FAILURE)
    assert settle(door) == 1
    (result,) = door.heard()
    assert (result["jobId"], result["visualizationTransformId"]) == (EXAMPLE["job_id"], 123)


def test_the_sender_is_warned_also_of_a_job_that_failed(door: Door) -> None:
    """Unknown options are listed in the result of a failed job too."""
    run_id = started(door, worker_job(visualization_config={"use_medoids": True}))
    end(door, run_id, DagsterRunStatus.FAILURE)
    settle(door)
    (result,) = door.heard()
    assert any("use_medoids" in warning for warning in result["statsJson"]["warnings"])


def test_a_run_that_took_too_long_is_a_timeout(door: Door) -> None:
    """A run that Dagster's monitoring ended for its duration is told with a text that begins with "timeout"."""
    run_id = started(door, EXAMPLE)
    run = door.instance.get_run_by_id(run_id)
    assert run is not None
    door.instance.report_run_failed(run, "Exceeded maximum runtime of 3600 seconds.")
    assert settle(door) == 1
    (result,) = door.heard()
    assert result["status"] == "failed"
    assert result["errorMessage"].startswith("timeout")
