"""The reconciler on a real NATS server, with a real store."""

import contextlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from nats.aio.client import Client
from nats.aio.msg import Msg

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.decide import Limits, RunView
from vis_assets.delivery.job_record import JobRecord, JobState
from vis_assets.delivery.job_stream import QueuedMessage, ensure_stream, fetch, queue_depth
from vis_assets.delivery.reconcile import Reconciler
from vis_assets.protocol.job import ParsedJob
from vis_assets.protocol.result import Status, is_terminal
from vis_assets.protocol.subjects import JOB_SUBJECT
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.pages import attempt_folder
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import SpecStore
from vis_assets_tests.delivery.small_dagster import SmallDagster

pytestmark = pytest.mark.enable_socket

SUBJECT = "worker.result.visualization"


def job(number: int = 1, transform: int = 7, **values: Any) -> dict[str, Any]:
    return {
        "job_id": f"job-{number}",
        "visualization_transform_id": transform,
        "visualization_id": 1,
        "owner": "o@example.com",
        "qdrant_collection_name": "c",
        "vector_database_config": {"connection_url": "http://q:6333", "api_key": "CANARY-qdrant"},
        **values,
    }


@dataclass
class Bench:
    """A queue, a store, a small Dagster and somebody who listens to results."""

    connection: NatsConnection
    store: FolderStore
    dagster: SmallDagster = field(default_factory=SmallDagster)
    heard: list[dict[str, Any]] = field(default_factory=list)
    now: float = 1000.0
    limits: Limits = field(default_factory=Limits)

    @property
    def worker(self) -> Reconciler:
        """A reconciler that has just started: it remembers nothing."""
        jobs = DeliveredJobs(self.store, SpecStore(self.store, Sealer([KEY])))
        return Reconciler(self.connection, self.dagster, jobs, self.limits, SUBJECT, lambda: self.now)

    def publish(self, message: dict[str, Any] | bytes) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.connection.run(lambda c: c.jetstream().publish(JOB_SUBJECT, payload))

    def say_to_cancel(self, payload: bytes) -> None:
        self.connection.run(lambda c: c.jetstream().publish(ledger.CANCEL_SUBJECT, payload))

    def take(self) -> list[QueuedMessage]:
        """The messages that wait."""
        created = self.connection.run(ensure_stream)
        return self.connection.run(lambda c: fetch(c, created, 10, 0.05))

    def tick(self) -> None:
        """What the sensor does: take in what waits, reconcile, ask for runs."""
        worker = self.worker
        for message in self.take():
            worker.take_in(message)
        self.dagster.ask(worker.reconcile())

    def make_page(self, job_id: str, attempt: int, body: bytes = b"<html>") -> None:
        self.store.write(f"{attempt_folder(job_id, attempt)}/1.html", body, "text/html")

    def run_key(self) -> str:
        """The newest run."""
        return list(self.dagster.runs)[-1]

    @property
    def page(self) -> bytes:
        return self.store.read("visualizations/o@example.com/7/1.html")

    def terminal(self) -> list[dict[str, Any]]:
        self.connection.run(lambda c: c.flush())
        return [message for message in self.heard if is_terminal(message)]

    def is_clean(self) -> bool:
        """Whether the queue is empty, no record is left, and no attempt lies about."""
        depth = self.connection.run(queue_depth)
        return (
            depth == (0, 0) and not self.connection.run(ledger.read_records) and not list(self.store.keys("attempts/"))
        )


KEY = Fernet.generate_key().decode()


@pytest.fixture
def bench(nats: NatsConnection, tmp_path: Path) -> Iterator[Bench]:
    made = Bench(nats, FolderStore(tmp_path))
    nats.run(ensure_stream)
    nats.run(lambda c: ledger.ensure(c, 1, 1))

    async def hear(message: Msg) -> None:
        made.heard.append(json.loads(message.data))

    async def listen(client: Client) -> Any:
        return await client.subscribe(SUBJECT, cb=hear)

    subscription = nats.run(listen)
    yield made
    nats.run(lambda _: subscription.unsubscribe())


def test_a_job_becomes_one_result_and_one_page(bench: Bench):
    """A job is run, its page gets its public key, its result is told once, and nothing is left behind."""
    bench.publish(job())
    bench.tick()
    bench.make_page("job-1", 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    bench.tick()
    (result,) = bench.terminal()
    assert (result["status"], result["jobId"]) == ("completed", "job-1")
    assert bench.page == b"<html>"
    assert bench.is_clean()


def test_a_transient_failure_is_told_waited_for_and_tried_again(bench: Bench):
    """After a transient failure the sender hears retrying, the queue is free, and the job runs again when due."""
    bench.publish(job())
    bench.tick()
    bench.dagster.end(bench.run_key(), Status.FAILED, ("SourceUnavailable", "Qdrant is down"))
    bench.tick()
    retrying = bench.heard[-1]
    assert retrying["statsJson"] == {"stage": "retrying", "attempt": 1, "delay_seconds": 30.0}
    assert (retrying["status"], retrying["errorMessage"]) == ("processing", "Qdrant is down")
    assert bench.connection.run(queue_depth) == (0, 0)
    bench.now += 29
    bench.tick()
    assert len(bench.dagster.runs) == 1
    bench.now += 2
    bench.tick()
    assert len(bench.dagster.runs) == 2
    bench.make_page("job-1", 2)
    bench.dagster.end(bench.run_key())
    bench.tick()
    assert [r["status"] for r in bench.terminal()] == ["completed"]
    assert bench.is_clean()


def test_a_poison_job_ends_in_the_dead_letters_with_its_secrets_sealed(bench: Bench):
    """A job that fails as often as allowed ends failed, once; it lies in the dead letters, no secret readable."""
    bench.publish(job())
    bench.tick()
    for _ in range(bench.limits.max_attempts):
        bench.dagster.end(bench.run_key(), Status.FAILED, ("ComputeFailed", "out of memory"))
        bench.tick()
        bench.now += 4000
        bench.tick()
    assert [(r["status"], r["errorMessage"]) for r in bench.terminal()] == [("failed", "out of memory")]
    letters = bench.connection.run(ledger.read_dead_letters)
    assert letters["job-1"]["failures"] == bench.limits.max_attempts
    assert letters["job-1"]["job"]["sealed"]
    assert "CANARY" not in json.dumps(letters)
    assert len(bench.dagster.runs) == bench.limits.max_attempts
    assert bench.is_clean()


def test_the_same_job_again_is_answered_from_its_record(bench: Bench):
    """A second message with the same job id runs nothing and gets the stored result."""
    bench.publish(job())
    bench.tick()
    bench.publish(job())
    bench.tick()
    bench.make_page("job-1", 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    bench.publish(job())
    bench.tick()
    first, second = bench.terminal()
    assert first == second
    assert len(bench.dagster.runs) == 1
    assert bench.is_clean()


def test_a_lost_process_is_replaced_and_its_late_page_ignored(bench: Bench):
    """A zombie of a lost attempt can write its own attempt only; the public page is that of the attempt that won."""
    bench.publish(job())
    bench.tick()
    zombie = bench.run_key()
    bench.dagster.silence(zombie)
    bench.tick()
    bench.tick()
    assert bench.dagster.lost == [zombie]
    bench.make_page("job-1", 2, b"<html>second")
    bench.dagster.end(bench.run_key())
    bench.make_page("job-1", 1, b"<html>zombie")
    bench.tick()
    assert bench.page == b"<html>second"
    assert len(bench.terminal()) == 1


def test_cancel_reaches_a_running_a_parked_and_an_unseen_job(bench: Bench):
    """A cancel message ends a job wherever it is: running, waiting for its retry, or not taken in yet."""

    def cancel(job_id: str) -> None:
        bench.say_to_cancel(json.dumps({"job_id": job_id}).encode())

    bench.publish(job(1))
    bench.tick()
    cancel("job-1")
    bench.tick()
    bench.tick()
    bench.publish(job(2, 8))
    bench.tick()
    bench.dagster.end(bench.run_key(), Status.FAILED, ("SourceUnavailable", "down"))
    bench.tick()
    cancel("job-2")
    bench.tick()
    cancel("job-3")
    bench.tick()
    bench.publish(job(3, 9))
    bench.tick()
    bench.tick()
    assert {(r["jobId"], r["status"]) for r in bench.terminal()} == {(f"job-{n}", "canceled") for n in (1, 2, 3)}
    assert len(bench.dagster.runs) == 2
    assert bench.is_clean()


def test_garbage_on_the_cancel_subject_is_dropped(bench: Bench):
    """A cancel message that is none harms nobody."""
    long = b'{"job_id": "a", "x": "' + b"x" * 2000 + b'"}'
    for payload in (b"", b"{", b"[]", b'{"job_id": 1}', b'{"job_id": "../x"}', b"[" * 900, b"[" * 100_000, long):
        bench.say_to_cancel(payload)
    bench.tick()
    info = bench.connection.run(lambda c: c.jetstream().stream_info(ledger.CONTROL_STREAM))
    assert info.state.messages == 0


def test_an_older_job_that_ends_late_does_not_draw_over_the_newer(bench: Bench):
    """Of two jobs for one page, the older one's late retry ends failed, naming the newer."""
    bench.publish(job(1))
    bench.tick()
    bench.dagster.end(bench.run_key(), Status.FAILED, ("SourceUnavailable", "down"))
    bench.tick()
    bench.publish(job(2))
    bench.tick()
    bench.make_page("job-2", 1, b"<html>newer")
    bench.dagster.end(bench.run_key())
    bench.tick()
    bench.now += 60
    bench.tick()
    assert [(r["jobId"], r["errorMessage"]) for r in bench.terminal()] == [
        ("job-2", None),
        ("job-1", "superseded by job-2"),
    ]
    assert bench.page == b"<html>newer"


def test_an_end_that_was_put_off_does_not_draw_over_a_newer_page(bench: Bench):
    """An older job whose end is carried out late completes, but the page stays that of the newer job."""
    bench.publish(job(1))
    bench.tick()
    bench.make_page("job-1", 1, b"<html>older")
    bench.dagster.end(bench.run_key())
    page = bench.store.path("visualizations/o@example.com/7")
    page.parent.mkdir(parents=True)
    page.write_text("a file where the folder of the page should be")
    bench.tick()
    (ending,) = bench.connection.run(ledger.read_records)
    assert ending.record.state is JobState.ENDING
    bench.connection.run(lambda c: ledger.remove_record(c, "job-1"))
    page.unlink()
    bench.publish(job(2))
    bench.tick()
    bench.make_page("job-2", 1, b"<html>newer")
    bench.dagster.end(bench.run_key())
    bench.tick()
    bench.connection.run(lambda c: ledger.create_record(c, ending.record))
    bench.tick()
    assert [(r["jobId"], r["status"]) for r in bench.terminal()] == [("job-2", "completed"), ("job-1", "completed")]
    assert bench.page == b"<html>newer"
    newest = bench.connection.run(lambda c: ledger.read_newest(c, ["7/1"]))
    assert newest["7/1"][0] == "job-2"
    assert bench.is_clean()


def test_an_answered_message_that_comes_back_is_not_answered_again(bench: Bench):
    """A server that was killed offers a message again that was acknowledged; its sender has been told."""
    bench.publish(job(1))
    (message,) = bench.take()
    bench.worker.take_in(message)
    bench.tick()
    bench.dagster.end(bench.run_key())
    bench.tick()
    assert len(bench.terminal()) == 1
    bench.worker.take_in(message)
    assert len(bench.terminal()) == 1
    assert bench.is_clean()


def test_a_cancel_that_was_heard_and_not_carried_out_is_not_lost(bench: Bench):
    """Who hears a cancel may die before the record is marked; the next reconciler marks it."""
    bench.publish(job(1))
    bench.tick()
    bench.say_to_cancel(b'{"job_id": "job-1"}')
    bench.connection.run(ledger.hear_cancels)
    bench.tick()
    assert bench.dagster.stopped
    bench.tick()
    assert [r["status"] for r in bench.terminal()] == ["canceled"]


@pytest.mark.parametrize(
    ("values", "fits"),
    [
        ({"filter": {"must": [{"key": "a", "match": {"value": "\u0416" * 400_000}}]}}, True),
        ({"vector_database_config": {"connection_url": "http://q:6333", "api_key": "x" * 900_000}}, False),
    ],
)
def test_a_large_job_is_given_up_like_others(bench: Bench, values: dict[str, Any], fits: bool):
    """A job that does not fit into a dead letter, sealed, is left out of it; neither it nor another job is held up."""
    bench.limits = Limits(max_attempts=1)
    bench.publish(json.dumps(job(1, **values), ensure_ascii=False).encode())
    bench.tick()
    bench.dagster.end(bench.run_key(), Status.FAILED, ("SourceUnavailable", "down"))
    bench.publish(job(2, transform=8))
    bench.tick()
    assert [(r["jobId"], r["status"]) for r in bench.terminal()] == [("job-1", "failed")]
    (letter,) = bench.connection.run(ledger.read_dead_letters).values()
    assert (letter["job"] is not None) == fits
    assert fits or letter["job_left_out"]["bytes"] > 1_100_000
    assert len(bench.dagster.runs) == 2, "the other job has its run"


def test_what_nats_refuses_for_one_job_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """A result that the server refuses is put off; other jobs go on."""
    bench.publish(job(1))
    bench.publish(job(2, transform=8))
    bench.tick()
    for key in list(bench.dagster.runs):
        bench.dagster.end(key, Status.FAILED, ("CollectionMissing", "gone"))
    write = ledger.write_result

    async def refuse(client: Client, record: JobRecord, result: bytes, *, given_up: bool = False) -> bytes:
        if record.job_id == "job-1":
            await client.publish(SUBJECT, b"x" * (client.max_payload + 1))
        return await write(client, record, result, given_up=given_up)

    monkeypatch.setattr(ledger, "write_result", refuse)
    bench.tick()
    assert [r["jobId"] for r in bench.terminal()] == ["job-2"]
    monkeypatch.undo()
    bench.tick()
    assert [r["jobId"] for r in bench.terminal()] == ["job-2", "job-1"]
    assert bench.is_clean()


def test_a_run_that_cannot_be_looked_at_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """Events of one run that cannot be read, or a record that cannot, concern that job alone."""
    bench.publish(job(1))
    bench.publish(job(2, transform=8))
    bench.tick()
    damaged, healthy = bench.dagster.runs
    bench.dagster.end(healthy, Status.FAILED, ("CollectionMissing", "gone"))
    view = bench.dagster.view

    def look(run_key: str) -> RunView | None:
        if run_key == damaged:
            raise ValueError("database disk image is malformed")
        return view(run_key)

    monkeypatch.setattr(bench.dagster, "view", look)
    bench.connection.run(lambda c: c.jetstream().publish(f"$KV.{ledger.JOBS}.damaged", b"{"))
    bench.tick()
    assert [r["jobId"] for r in bench.terminal()] == ["job-2"]


def test_a_record_that_comes_back_is_not_run_again(bench: Bench):
    """An old revision of a record that was removed, brought back by a server that was killed, is removed again."""
    bench.publish(job(1))
    (message,) = bench.take()
    bench.worker.take_in(message)
    (old,) = bench.connection.run(ledger.read_records)
    bench.tick()
    bench.dagster.end(bench.run_key(), Status.FAILED, ("CollectionMissing", "gone"))
    bench.tick()
    bench.connection.run(lambda c: ledger.create_record(c, old.record))
    bench.tick()
    assert len(bench.dagster.runs) == 1
    assert len(bench.terminal()) == 1
    assert bench.is_clean()


def test_jobs_that_wait_for_their_turn_do_not_stop_the_queue(bench: Bench):
    """A consumer with max_ack_pending 10 hands out the job of another map after a dozen of one that waits."""
    for number in range(12):
        bench.publish(job(number))
    bench.publish(job(99, transform=8))
    for _ in range(3):
        bench.tick()
    assert bench.connection.run(queue_depth) == (0, 2)
    assert len(bench.dagster.runs) == 2
    for _ in range(13):
        for key in list(bench.dagster.runs):
            bench.dagster.end(key, Status.FAILED, ("CollectionMissing", "gone"))
        bench.tick()
    told = [r["jobId"] for r in bench.terminal()]
    assert [job_id for job_id in told if job_id != "job-99"] == [f"job-{n}" for n in range(12)]
    assert bench.is_clean()


def test_a_job_that_ended_while_it_was_stored_is_not_run_again(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """A reconciler that stalls in the store finds that another one has brought the job to its end."""
    bench.publish(job(1))
    (message,) = bench.take()
    slow, save = bench.worker, DeliveredJobs.save

    def stall(jobs: DeliveredJobs, parsed: ParsedJob) -> None:
        monkeypatch.setattr(DeliveredJobs, "save", save)
        bench.worker.take_in(message)
        bench.dagster.ask(bench.worker.reconcile())
        bench.dagster.end(bench.run_key(), Status.FAILED, ("CollectionMissing", "gone"))
        bench.tick()
        save(jobs, parsed)

    monkeypatch.setattr(DeliveredJobs, "save", stall)
    assert not slow.take_in(message)
    bench.tick()
    assert len(bench.dagster.runs) == 1
    assert len(bench.terminal()) == 1
    assert bench.is_clean()


class Killed(BaseException):
    """Stands for a process that dies: nothing catches it."""


STEPS = (
    (ledger, "create_record"),
    (ledger, "replace_record"),
    (ledger, "write_dead_letter"),
    (ledger, "claim_page"),
    (ledger, "write_result"),
    (ledger, "remove_record"),
)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("place", [name for _, name in STEPS])
def test_death_at_any_step_loses_nothing_and_tells_nothing_twice(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, place: str, after: bool
):
    """The reconciler dies right before or after a step; the next one brings the job to the same single end."""
    bench.limits = Limits(max_attempts=1) if place == "write_dead_letter" else Limits()
    bench.publish(job())
    real: Callable[..., Any] = getattr(ledger, place)
    deaths = 0

    async def deadly(*arguments: Any, **options: Any) -> Any:
        nonlocal deaths
        deaths += 1
        result = await real(*arguments, **options) if after or deaths > 1 else None
        if deaths == 1:
            raise Killed
        return result

    monkeypatch.setattr(ledger, place, deadly)
    for _ in range(8):
        with contextlib.suppress(Killed):
            bench.tick()
        bench.connection.run(_redeliver)
        for key, view in list(bench.dagster.runs.items()):
            if view.ended is None and place == "write_dead_letter":
                bench.dagster.end(key, Status.FAILED, ("ComputeFailed", "no"))
            elif view.ended is None:
                bench.make_page("job-1", 1)
                bench.dagster.end(key)
        bench.now += 40
    assert deaths >= 1
    assert bench.connection.run(lambda c: ledger.read_result(c, "job-1")) is not None
    assert {r["status"] for r in bench.terminal()} == {"failed" if place == "write_dead_letter" else "completed"}
    assert len(bench.dagster.runs) == 1
    assert bench.is_clean()


async def _redeliver(client: Client) -> None:
    """Let the consumer hand out again what nobody acknowledged, as its ack_wait would."""
    info = await client.jetstream().consumer_info("VISUALIZATION_TRANSFORMS", "visualization-transform-workers")
    if not info.num_ack_pending:
        return
    for sequence in range(1, (info.delivered.consumer_seq if info.delivered else 0) + 1):
        reply = f"$JS.ACK.VISUALIZATION_TRANSFORMS.visualization-transform-workers.1.1.{sequence}.0.0"
        await client.publish(reply, b"-NAK")
    await client.flush()


def test_a_message_that_was_fetched_and_forgotten_is_found(bench: Bench):
    """A message whose fetcher died before writing it down is taken in by the next tick, not an hour later."""
    bench.publish(job(1))
    bench.publish(b"{broken")
    created = bench.connection.run(ensure_stream)
    assert len(bench.connection.run(lambda c: fetch(c, created, 10, 0.05))) == 2
    bench.worker.take_in_unclaimed(created)
    bench.worker.take_in_unclaimed(created)
    bench.dagster.ask(bench.worker.reconcile())
    bench.make_page("job-1", 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    assert sorted(r["status"] for r in bench.terminal()) == ["completed", "failed"]
    assert len(bench.dagster.runs) == 1
    assert bench.connection.run(lambda c: c.jetstream().stream_info("VISUALIZATION_TRANSFORMS")).state.messages == 0


def test_trouble_with_one_job_does_not_hold_up_another(bench: Bench):
    """A page that cannot be promoted now keeps its own job only; it ends when the store is well again."""
    bench.publish(job(1))
    bench.publish(job(2, 8))
    bench.tick()
    in_the_way = bench.store.root / "visualizations" / "o@example.com" / "7"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("a file where a folder should be")
    for name, key in zip(("job-1", "job-2"), list(bench.dagster.runs), strict=True):
        bench.make_page(name, 1)
        bench.dagster.end(key)
    bench.tick()
    assert [r["jobId"] for r in bench.terminal()] == ["job-2"]
    in_the_way.unlink()
    bench.tick()
    assert {r["jobId"] for r in bench.terminal()} == {"job-1", "job-2"}
    assert bench.is_clean()
