"""The door for jobs: one tick on a real NATS server and a real instance."""

import contextlib
from pathlib import Path

import pytest
from dagster import DagsterInstance, DagsterRunStatus, SensorResult, SkipReason

from vis_assets.delivery.run_tags import JOB_ID, MESSAGE, OWNER, REPLY, WORKER
from vis_assets.errors import BrokerUnavailable, StoreUnavailable
from vis_assets.operations.embedded_servers import EmbeddedNats, start_s3
from vis_assets.operations.processes import free_port
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, explorer_job, worker_job
from vis_assets_tests.sensors.door import Door

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]


def test_a_job_becomes_a_run(door: Door) -> None:
    """A valid message asks for one run of its partition, tagged with its delivery, and its sender hears "starting"."""
    door.send(EXAMPLE)
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    (request,) = answer.run_requests or []
    assert request.partition_key == "123"
    tags = request.tags
    assert (tags[JOB_ID], tags[OWNER], tags[WORKER]) == (EXAMPLE["job_id"], "user@example.com", "worker-1")
    assert tags[REPLY].startswith("$JS.ACK.")
    assert request.run_key == f"{tags[MESSAGE]}:1"
    assert request.run_config == {}
    (partitions,) = answer.dynamic_partitions_requests or []
    assert (partitions.partitions_def_name, partitions.partition_keys) == ("visualization_transform_id", ["123"])
    assert door.resources["specs"].load("123", EXAMPLE["job_id"]).job.owner == EXAMPLE["owner"]
    (starting,) = door.heard()
    assert (starting["status"], starting["statsJson"]) == (
        "processing", {"stage": "starting", "progress_percent": 0},
    )  # fmt: skip
    assert door.depth() == (0, 1)


def test_no_secret_enters_dagster(door: Door) -> None:
    """Neither the run request nor the store holds a secret of the job."""
    door.send(
        worker_job(
            vector_database_config={"connection_url": "http://q:6334", "api_key": CANARY},
            llm_config={"provider": "openai", "model": "m", "api_key": CANARY, "config": {"k": CANARY}},
        )
    )
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    assert CANARY not in repr(answer.run_requests) + repr(answer)
    for file in (door.folder / "store").rglob("*"):
        assert file.is_dir() or CANARY.encode() not in file.read_bytes()


def test_several_jobs_become_as_many_runs_as_there_are_slots(door: Door) -> None:
    """Of five waiting jobs three are taken at most, each partition is asked for once, and the rest waits."""
    door.send(*[worker_job(job_id=f"j{i}", visualization_transform_id=i // 2) for i in range(5)])
    answer = door.tick()
    assert isinstance(answer, SensorResult)
    requests = answer.run_requests or []
    assert 1 <= len(requests) <= 3
    (partitions,) = answer.dynamic_partitions_requests or []
    assert len(set(partitions.partition_keys)) == len(partitions.partition_keys)
    assert len({request.run_key for request in requests}) == len(requests)
    assert door.depth() == (5 - len(requests), len(requests))


def test_no_message_is_taken_while_all_slots_are_busy(door: Door) -> None:
    """With as many live runs as may work, waiting messages stay where they are."""
    door.send(*[worker_job(job_id=f"j{i}", visualization_transform_id=i) for i in range(4)])
    taken = 0
    while taken < 3:
        answer = door.tick()
        assert isinstance(answer, SensorResult)
        taken += len(door.start(answer, DagsterRunStatus.STARTED))
    assert isinstance(door.tick(), SkipReason)
    assert door.depth() == (1, 3)


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


def test_a_bad_message_does_not_hold_up_a_good_one(door: Door) -> None:
    """Of a bad and a good message, within two ticks the bad one is answered and the good one a run."""
    door.send(b"{", worker_job(filter={"must": "\ud800"}), worker_job(job_id="good"))
    keys = []
    for _ in range(3):
        answer = door.tick()
        if isinstance(answer, SensorResult):
            keys += [request.tags[JOB_ID] for request in answer.run_requests or []]
            break
    assert keys == ["good"]
    assert [message["status"] for message in door.heard()] == ["failed", "failed", "processing"]
    assert door.depth() == (0, 1)


def test_an_empty_queue_is_skipped(door: Door) -> None:
    """With nothing to do a tick ends by itself and says so."""
    answer = door.tick()
    assert isinstance(answer, SkipReason)
    assert answer.skip_message == "no job is waiting"


def test_a_store_that_cannot_be_written_loses_no_message(door: Door) -> None:
    """While specs cannot be stored, no run is asked for, and the message is offered again later."""
    (door.folder / "store").write_bytes(b"a file in the way")
    door.send(EXAMPLE)
    with contextlib.suppress(StoreUnavailable):
        assert isinstance(door.tick(), SkipReason)
    assert all(message["status"] == "processing" for message in door.heard())
    (door.folder / "store").unlink()
    for _ in range(5):
        answer = door.tick()
        if isinstance(answer, SensorResult):
            break
    assert isinstance(answer, SensorResult)
    assert [request.tags[JOB_ID] for request in answer.run_requests or []] == [EXAMPLE["job_id"]]


def test_a_bucket_that_is_down_loses_no_message(
    tmp_path: Path, nats_server: EmbeddedNats, capsys: pytest.CaptureFixture[str]
) -> None:
    """While the S3 server is down no message is taken from the queue, or it is given back; nothing is answered."""
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
        assert sum(door.depth()) == 1


def test_a_server_that_is_down_is_told(tmp_path: Path) -> None:
    """Without NATS a tick fails soon, in one sentence without the password."""
    url = f"nats://user:{CANARY}@127.0.0.1:{free_port()}"
    with DagsterInstance.ephemeral() as instance:
        door = Door(tmp_path, url, instance)
        with pytest.raises(BrokerUnavailable) as caught:
            door.tick()
    assert CANARY not in str(caught.value)
