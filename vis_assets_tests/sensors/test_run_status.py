"""The door for results: ended runs are told once, whoever notices first."""

import pytest
from dagster import DagsterRun, DagsterRunStatus, RunRequest, build_run_status_sensor_context
from dagster._core.events import DagsterEvent, DagsterEventType

from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS
from vis_assets.errors import NoPoints, SourceUnavailable
from vis_assets.sensors.run_status import run_canceled, run_failed, run_succeeded
from vis_assets_tests.protocol.messages import EXAMPLE, explorer_job, worker_job
from vis_assets_tests.sensors.door import PAGE, Door, failing

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
SENSORS = {
    DagsterRunStatus.SUCCESS: (run_succeeded, DagsterEventType.RUN_SUCCESS),
    DagsterRunStatus.FAILURE: (run_failed, DagsterEventType.RUN_FAILURE),
    DagsterRunStatus.CANCELED: (run_canceled, DagsterEventType.RUN_CANCELED),
}
ENDS = {
    DagsterRunStatus.SUCCESS: "completed",
    DagsterRunStatus.FAILURE: "failed",
    DagsterRunStatus.CANCELED: "canceled",
}


def asked(door: Door, job: dict[str, object]) -> RunRequest:
    """The run that is asked for where this job was sent."""
    door.send(job)
    (request,) = door.ask()
    door.heard()
    return request


def end(door: Door, request: RunRequest, status: DagsterRunStatus) -> DagsterRun:
    """Let the run of a request end for good."""
    if status is DagsterRunStatus.SUCCESS:
        return door.perform(request)
    if status is DagsterRunStatus.FAILURE:
        return door.perform(request, failing(NoPoints("the collection is empty")))
    (run,) = door.start([request], DagsterRunStatus.STARTED)
    door.instance.report_run_canceled(run)
    return run


def notice(door: Door, run: DagsterRun) -> None:
    """What the run-status sensor of a run's end does."""
    now = door.instance.get_run_by_id(run.run_id)
    assert now is not None
    sensor, event_type = SENSORS[now.status]
    context = build_run_status_sensor_context(
        sensor_name=sensor.name,
        dagster_event=DagsterEvent(event_type.value, job_name=now.job_name),
        dagster_instance=door.instance,
        dagster_run=now,
        resources=door.resources,
    )
    sensor(context)


@pytest.mark.parametrize("status", ENDS)
def test_a_status_sensor_settles_a_run_and_a_tick_does_not_tell_it_again(door: Door, status: DagsterRunStatus) -> None:
    """An ended run is told to its sender, its message acknowledged and its record removed; later looks do nothing."""
    run = end(door, asked(door, EXAMPLE), status)
    notice(door, run)
    (result,) = door.heard()
    assert (result["jobId"], result["owner"], result["status"]) == (EXAMPLE["job_id"], EXAMPLE["owner"], ENDS[status])
    assert (result["errorMessage"] is None) == (status is DagsterRunStatus.SUCCESS)
    assert (door.depth(), door.records(), door.keys("attempts/")) == ((0, 0), [], [])
    notice(door, run)
    assert door.ask() == []
    assert door.heard() == []


@pytest.mark.parametrize("status", ENDS)
def test_a_tick_settles_a_run_and_a_status_sensor_does_not_tell_it_again(door: Door, status: DagsterRunStatus) -> None:
    """A tick does what the sensors missed, in the dialect of the sender, and they leave alone what it settled."""
    run = end(door, asked(door, explorer_job()), status)
    assert door.ask() == []
    (result,) = door.heard()
    word = "success" if status is DagsterRunStatus.SUCCESS else ENDS[status]
    assert (result["status"], result["ownerId"]) == (word, EXAMPLE["owner"])
    notice(door, run)
    assert door.heard() == []


def test_a_live_run_is_not_told(door: Door) -> None:
    """While the run of a job works, nothing is told and the message stays handed out."""
    door.start([asked(door, EXAMPLE)], DagsterRunStatus.STARTED)
    door.settle()
    assert door.heard() == []
    assert door.depth() == (0, 1)


def test_a_finished_page_is_where_its_owner_looks_before_the_result_is_told(door: Door) -> None:
    """The page and its data lie aside until the run is settled, and then under the key that the result names."""
    end(door, asked(door, EXAMPLE), DagsterRunStatus.SUCCESS)
    assert door.stored(PAGE) is None
    assert door.keys("attempts/") == [
        f"attempts/{EXAMPLE['job_id']}/1/456.html",
        f"attempts/{EXAMPLE['job_id']}/1/456_points.zip",
    ]
    door.settle()
    (result,) = door.heard()
    assert result["htmlS3Key"] == PAGE
    assert door.stored(PAGE) == b"<html>"
    owner = PAGE.removesuffix("/123/456.html")
    assert door.keys("visualizations/") == [
        PAGE, PAGE.replace("456.html", "456_points.zip"), f"{owner}/index.html", f"{owner}/index.json",
    ]  # fmt: skip
    assert door.keys("attempts/") == []


def test_a_failure_that_may_mend_is_told_as_a_retry(door: Door) -> None:
    """A sensor that sees such a failure tells why and when it is tried again, and asks for no run itself."""
    run = door.perform(asked(door, EXAMPLE), failing(SourceUnavailable("Qdrant does not answer")))
    notice(door, run)
    notice(door, run)
    (told,) = door.heard()
    assert (told["status"], told["errorMessage"]) == ("processing", "Qdrant does not answer")
    assert told["statsJson"] == {"stage": "retrying", "attempt": 1, "delay_seconds": RETRY_DELAYS_SECONDS[0]}
    (record,) = door.records()
    assert (record.attempt, record.failures, record.lost) == (2, 1, 0)


def test_a_copy_of_a_run_is_nobodys(door: Door) -> None:
    """A re-execution has the tags and the run key of the first run, and its end says nothing about the job."""
    (run,) = door.start([asked(door, EXAMPLE)], DagsterRunStatus.STARTED)
    copy = door.instance.add_run(
        run._replace(
            run_id="00000000-0000-4000-8000-000000000001", parent_run_id=run.run_id, root_run_id=run.run_id,
        )
    )  # fmt: skip
    door.instance.report_run_failed(copy)
    door.settle()
    notice(door, copy)
    assert door.heard() == []
    assert door.depth() == (0, 1)
    assert [record.attempt for record in door.records()] == [1]


@pytest.mark.parametrize("status", ENDS)
def test_a_run_whose_spec_was_deleted_is_still_told(door: Door, status: DagsterRunStatus) -> None:
    """When the map was deleted meanwhile, the sender hears with what the job's record knows, however the run ended."""
    request = asked(door, worker_job())
    for file in (door.folder / "store" / "specs" / "123").iterdir():
        file.unlink()
    end(door, request, status)
    door.settle()
    (result,) = door.heard()
    assert (result["jobId"], result["visualizationTransformId"], result["visualizationId"], result["owner"]) == (
        EXAMPLE["job_id"], 123, 456, EXAMPLE["owner"],
    )  # fmt: skip
    assert result["status"] == ENDS[status]
    assert door.records() == []


@pytest.mark.parametrize("status", [DagsterRunStatus.FAILURE, DagsterRunStatus.CANCELED])
def test_the_sender_is_warned_also_of_a_job_that_failed(door: Door, status: DagsterRunStatus) -> None:
    """Unknown options are listed in the result of a job that made no map too."""
    end(door, asked(door, worker_job(visualization_config={"cluster_layer_colormaps": True})), status)
    door.settle()
    (result,) = door.heard()
    assert any("cluster_layer_colormaps" in warning for warning in result["statsJson"]["warnings"])


def test_a_run_that_took_too_long_is_a_timeout(door: Door) -> None:
    """A run that Dagster's monitoring ended for its duration is told as "timeout", and tried again."""
    (run,) = door.start([asked(door, EXAMPLE)], DagsterRunStatus.STARTED)
    door.instance.report_run_failed(run, "Exceeded maximum runtime of 3600 seconds.")
    door.settle()
    (told,) = door.heard()
    assert told["statsJson"]["stage"] == "retrying"
    assert told["errorMessage"].startswith("timeout")


def test_one_job_that_cannot_be_settled_does_not_hold_up_the_others(door: Door) -> None:
    """Where the spec of one ended job is damaged, the jobs beside it are told all the same."""
    first, second = (
        asked(door, worker_job(job_id="broken")),
        asked(door, worker_job(job_id="whole", visualization_transform_id=124)),
    )
    for request in (first, second):
        end(door, request, DagsterRunStatus.CANCELED)
    (door.folder / "store" / "specs" / "123" / "broken.json").write_bytes(b"{")
    door.settle()
    assert [(result["jobId"], result["status"]) for result in door.heard() if result["jobId"] == "whole"] == [
        ("whole", "canceled")
    ]
