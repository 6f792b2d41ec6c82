"""The door for jobs: one tick on a real NATS server and a real instance."""

import contextlib
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, SensorResult, SkipReason

from vis_assets.delivery import ledger
from vis_assets.delivery.decide import Limits
from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS, JobState
from vis_assets.delivery.job_stream import ensure_stream, fetch
from vis_assets.delivery.leadership import read_tick
from vis_assets.delivery.run_tags import ATTEMPT, JOB_ID, TRACEPARENT, WORKER
from vis_assets.errors import BrokerUnavailable, NoPoints, SourceUnavailable, StoreUnavailable
from vis_assets.operations.embedded_servers import EmbeddedNats, start_s3
from vis_assets.operations.processes import free_port
from vis_assets.sensors.job_queue import BACKSTOP_SECONDS
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, explorer_job, worker_job
from vis_assets_tests.sensors.door import PAGE, Door, failing

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_a_job_becomes_a_run(door: Door) -> None:
    """A valid message asks for one run of its partition, tagged with its attempt, and its sender hears "starting"."""
    door.send(EXAMPLE, headers={"traceparent": TRACE})
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    (request,) = answer.run_requests or []
    assert request.partition_key == "123"
    tags = request.tags
    assert (tags[JOB_ID], tags[ATTEMPT], tags[WORKER]) == (EXAMPLE["job_id"], "1", "worker-1")
    assert (tags[TRACEPARENT], tags["dagster/max_runtime"]) == (TRACE, str(3600 + BACKSTOP_SECONDS))
    assert request.run_key == f"{door.connection.run(ensure_stream)}:1:1"
    assert request.run_config == {}
    (partitions,) = answer.dynamic_partitions_requests or []
    assert (partitions.partitions_def_name, partitions.partition_keys) == ("visualization_transform_id", ["123"])
    assert door.specs.load("123", EXAMPLE["job_id"]).job.owner == EXAMPLE["owner"]
    (record,) = door.records()
    assert (record.job_id, record.state, record.attempt) == (EXAMPLE["job_id"], JobState.RUNNING, 1)
    (starting,) = door.heard()
    assert (starting["status"], starting["statsJson"]) == (
        "processing", {"stage": "starting", "progress_percent": 0},
    )  # fmt: skip
    assert door.depth() == (0, 1)


def test_no_secret_leaves_the_message(door: Door) -> None:
    """Neither the run request nor the job's record nor the store holds a secret of the job."""
    door.send(
        worker_job(
            vector_database_config={"connection_url": "http://q:6334", "api_key": CANARY},
            llm_config={"provider": "openai", "model": "m", "api_key": CANARY, "config": {"k": CANARY}},
        )
    )
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    assert CANARY not in repr(answer.run_requests) + repr(answer)
    (record,) = door.records()
    assert CANARY.encode() not in record.encode()
    for file in (door.folder / "store").rglob("*"):
        assert file.is_dir() or CANARY.encode() not in file.read_bytes()


def test_several_jobs_become_as_many_runs_as_there_are_slots(door: Door) -> None:
    """Of five waiting jobs three are taken at most, a partition has one run at a time, and the rest waits."""
    door.send(*[worker_job(job_id=f"j{i}", visualization_transform_id=i // 2) for i in range(5)])
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    requests = answer.run_requests or []
    keys = [request.partition_key for request in requests]
    assert keys
    assert len(set(keys)) == len(keys)
    (partitions,) = answer.dynamic_partitions_requests or []
    assert sorted(partitions.partition_keys) == sorted(str(key) for key in keys)
    assert len({request.run_key for request in requests}) == len(requests)
    waiting, handed_out = door.depth()
    parked = [record for record in door.records() if record.reply is None]
    assert (waiting + handed_out + len(parked), len(door.records())) == (5, handed_out + len(parked))
    assert len(requests) == handed_out <= 3, "who waits for another of its map has left the queue"


def test_jobs_of_one_partition_run_one_after_the_other(door: Door) -> None:
    """The second job of a transform starts when the first has ended, and its page is the one that stays."""
    door.send(worker_job(job_id="first"), worker_job(job_id="second"))
    (first,) = door.ask()
    door.start([first], DagsterRunStatus.QUEUED)
    assert (first.tags[JOB_ID], door.ask()) == ("first", [])
    run = door.instance.get_runs()[0]
    door.instance.report_run_canceled(run)
    (second,) = door.ask()
    assert second.tags[JOB_ID] == "second"


def test_no_message_is_taken_while_all_slots_are_busy(door: Door) -> None:
    """With as many live runs as may work, waiting messages stay where they are."""
    door.send(*[worker_job(job_id=f"j{i}", visualization_transform_id=i) for i in range(4)])
    taken = 0
    while taken < 3:
        taken += len(door.start(door.ask(), DagsterRunStatus.STARTED))
    assert isinstance(door.tick(), SkipReason)
    assert door.depth() == (1, 3)
    assert len(door.records()) == 3


def test_a_slot_that_is_free_again_is_used(door: Door) -> None:
    """When a run ends, the tick that settles it takes the next message."""
    door.send(*[worker_job(job_id=f"j{i}", visualization_transform_id=i) for i in range(4)])
    runs: list[DagsterRun] = []
    while len(runs) < 3:
        runs += door.start(door.ask(), DagsterRunStatus.STARTED)
    door.instance.report_run_canceled(runs[0])
    (request,) = door.ask()
    assert request.tags[JOB_ID] == "j3"
    assert door.depth() == (0, 3)


@pytest.mark.parametrize("payload", [b"{", b"[]", b"\xff"])
def test_what_is_no_message_is_answered_and_acknowledged(door: Door, payload: bytes) -> None:
    """Bytes that are no job message are gone from the queue, and an error result without ids is published."""
    door.send(payload)
    assert isinstance(door.tick(), SkipReason)
    (result,) = door.heard()
    assert (result["status"], result["jobId"]) == ("failed", None)
    assert door.depth() == (0, 0)
    assert door.instance.get_dynamic_partitions("visualization_transform_id") == []


def test_an_invalid_job_is_answered_and_acknowledged(door: Door) -> None:
    """An invalid job is gone from the queue, and its sender hears in its dialect what is wrong."""
    door.send(explorer_job(visualization_config={"n_neighbors": 1}))
    assert isinstance(door.tick(), SkipReason)
    (result,) = door.heard()
    assert (result["status"], result["ownerId"], result["jobId"]) == ("failed", EXAMPLE["owner"], EXAMPLE["job_id"])
    assert "n_neighbors" in result["errorMessage"]
    assert door.depth() == (0, 0)
    assert door.records() == []


def test_a_bad_message_does_not_hold_up_a_good_one(door: Door) -> None:
    """Of bad and good messages, within three ticks the bad ones are answered and the good one is a run."""
    door.send(b"{", worker_job(filter={"must": "\ud800"}), worker_job(job_id="good"))
    asked = next(filter(None, (door.ask() for _ in range(3))))
    assert [request.tags[JOB_ID] for request in asked] == ["good"]
    assert [message["status"] for message in door.heard()] == ["failed", "failed", "processing"]
    assert door.depth() == (0, 1)


def test_an_empty_queue_is_skipped(door: Door) -> None:
    """With nothing to do a tick ends by itself and says so."""
    answer = door.tick()
    assert isinstance(answer, SkipReason)
    assert answer.skip_message == "no run is to be started"


def test_a_run_that_dagster_has_is_not_asked_for_again(door: Door) -> None:
    """While the run of an attempt waits or works, however long ago it was asked for, no tick asks for another."""
    door.send(EXAMPLE)
    door.start(door.ask(), DagsterRunStatus.QUEUED)
    door.age(10 * Limits().request_seconds)
    assert door.ask() == []
    assert len(door.instance.get_runs()) == 1


def test_a_tick_whose_result_was_thrown_away_is_repeated(door: Door) -> None:
    """If the daemon died before it made the run, a later tick asks for the same run key, and no message is needed."""
    door.send(EXAMPLE)
    (lost,) = door.ask()
    assert door.ask() == []
    door.age(Limits().request_seconds)
    (again,) = door.ask()
    assert (again.run_key, again.tags, again.partition_key) == (lost.run_key, lost.tags, lost.partition_key)
    assert [message["status"] for message in door.heard()] == ["processing"]


def test_a_run_that_was_made_and_never_submitted_is_asked_for_again(door: Door) -> None:
    """If the daemon died between making a run and submitting it, its key is asked for again, and so it is submitted."""
    door.send(EXAMPLE)
    asked = door.ask()
    door.start(asked, DagsterRunStatus.NOT_STARTED)
    door.age(Limits().request_seconds)
    assert [request.run_key for request in door.ask()] == [asked[0].run_key]


def test_a_message_that_a_dead_tick_had_fetched_is_found(door: Door) -> None:
    """A message handed out as often as allowed, to ticks that died before they wrote it down, still becomes a run."""
    door.send(EXAMPLE)
    created = door.connection.run(ensure_stream)
    info = door.connection.run(
        lambda c: c.jetstream().consumer_info("VISUALIZATION_TRANSFORMS", "visualization-transform-workers")
    )
    for _ in range(info.config.max_deliver or 0):
        (message,) = door.connection.run(lambda c: fetch(c, created, 1, 5.0))
        reply = message.reply
        door.connection.run(lambda c, reply=reply: c.publish(reply, b"-NAK"))  # type: ignore[misc]
    assert door.connection.run(lambda c: fetch(c, created, 1, 0.5)) == []
    asked = next(filter(None, (door.ask() for _ in range(3))), [])
    assert [request.tags[JOB_ID] for request in asked] == [EXAMPLE["job_id"]]


def test_the_next_attempt_is_another_run(door: Door) -> None:
    """After a failure that may mend, the job waits; when its time has come it is asked for under the next run key."""
    door.send(EXAMPLE)
    (first,) = door.ask()
    door.perform(first, failing(SourceUnavailable("Qdrant does not answer")))
    assert door.ask() == []
    assert door.depth() == (0, 0)
    door.age(RETRY_DELAYS_SECONDS[0])
    (second,) = door.ask()
    assert first.run_key is not None
    assert second.run_key == f"{first.run_key.rpartition(':')[0]}:2"
    assert second.tags[ATTEMPT] == "2"
    door.perform(second)
    door.settle()
    assert [message["status"] for message in door.heard()] == ["processing", "processing", "completed"]
    assert door.stored(PAGE) == b"<html>"


def test_the_same_job_again_runs_nothing(door: Door) -> None:
    """A job that has ended is answered once more with its result when it is sent again, and no run is asked for."""
    door.send(EXAMPLE)
    (request,) = door.ask()
    door.perform(request, failing(NoPoints("the collection is empty")))
    door.settle()
    *_, result = door.heard()
    door.send(EXAMPLE)
    assert door.ask() == []
    assert door.heard() == [result]
    assert door.depth() == (0, 0)


def test_a_canceled_job_is_never_run(door: Door) -> None:
    """A job that was canceled before it was taken in ends canceled within one tick."""
    door.connection.run(lambda c: ledger.ensure(c, 1, 1))
    door.connection.run(lambda c: ledger.note_cancel(c, EXAMPLE["job_id"]))
    door.send(EXAMPLE)
    assert door.ask() == []
    assert [message["status"] for message in door.heard()][-1] == "canceled"
    assert door.depth() == (0, 0)


def test_a_store_that_cannot_be_written_loses_no_message(door: Door) -> None:
    """While specs cannot be stored, no message is taken from the stream; the job is run when they can."""
    (door.folder / "store").write_bytes(b"a file in the way")
    door.send(EXAMPLE)
    with contextlib.suppress(StoreUnavailable):
        assert isinstance(door.tick(), SkipReason)
    assert door.heard() == []
    assert door.depth() == (1, 0)
    assert door.connection.run(read_tick) is not None, "what is under way was reconciled, and that is known"
    (door.folder / "store").unlink()
    asked = next(filter(None, (door.ask() for _ in range(3))), [])
    assert [request.tags[JOB_ID] for request in asked] == [EXAMPLE["job_id"]]


def test_a_bucket_that_is_down_loses_no_message(tmp_path: Path, nats_server: EmbeddedNats) -> None:
    """While the S3 server is down no message is taken from the stream, and nothing is answered."""
    server = start_s3(tmp_path)
    with (
        DagsterInstance.ephemeral() as instance,
        Door(tmp_path, nats_server.url, instance, **server.environment) as door,
    ):
        server.child.stop()
        door.send(EXAMPLE)
        with contextlib.suppress(StoreUnavailable):
            assert isinstance(door.tick(), SkipReason)
        assert door.heard() == []
        assert door.depth() == (1, 0)


def test_a_server_that_is_down_is_told(tmp_path: Path) -> None:
    """Without NATS a tick fails soon, in one sentence without the password."""
    url = f"nats://user:{CANARY}@127.0.0.1:{free_port()}"
    with DagsterInstance.ephemeral() as instance:
        door = Door(tmp_path, url, instance)
        with pytest.raises(BrokerUnavailable) as caught:
            door.tick()
    assert CANARY not in str(caught.value)
