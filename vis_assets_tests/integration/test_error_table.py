"""Every row of the error table of document 000, on real servers.

The worker of that document acknowledged what it could not read, and handed back (nak) what failed, to be delivered
again at once, three times at most. What is promised now is DESIGN.md, section 5, "Outcomes": every failure is told;
what may mend is tried again after 30 s, 2 min, 5 min, 15 min, 1 h, while the record, not the queue, holds the job; and
what was tried in vain lies in the dead letters. The rows, what the document says, and what happens now:

    Invalid JSON       ack                    ack, and an error result by sequence, without ids
    Validation error   ack, error result      the same
    Qdrant connection  nak                    retrying; a refusal (no collection, no key) ends the job at once
    UMAP/HDBSCAN       report, nak            retrying
    LLM API failure    numeric labels         keyphrases for names, with a warning and why each model gave none
    S3 upload failure  report, nak            retrying; told once the store is back, which alone knows the dialect
    Timeout            report timeout, nak    "timeout ...", retrying

and of "Outcomes" besides: out of memory (the process vanishes, or a stage says so), attempts exhausted, NATS out of
reach. The servers are nats-server, rclone as S3, and Qdrant's protocol over its local mode. Where a row is about
delivery, tick and run are evaluated in this process, on an instance of Dagster; elsewhere the answer comes from the one
running stack. Other files hold more of the same rows: every way in which a message is invalid, protocol/test_job.py;
every status of Qdrant, sources/test_qdrant_errors.py; refusals, test_refusals.py; what /ready says meanwhile,
operations/test_worker.py and test_health.py; a job that a whole worker gives up, operations/test_worker.py.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterInstance, RunRequest
from qdrant_client import models

from vis_assets.delivery import ledger
from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS
from vis_assets.errors import BrokerUnavailable, ComputeFailed, StoreUnavailable
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.embedded_servers import EmbeddedNats, EmbeddedS3, start_nats, start_s3
from vis_assets.operations.processes import free_port
from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.test_refusals import require_acknowledged, require_clear
from vis_assets_tests.integration.wire import eventually
from vis_assets_tests.protocol.messages import EXAMPLE, worker_job
from vis_assets_tests.sensors.door import PAGE, Door, failing

pytestmark = pytest.mark.timeout(300)

JOB_ID = EXAMPLE["job_id"]
FETCHING = ("visualization_job", "vectors")
LAYING_OUT = (*FETCHING, "embedding_2d")
CLUSTERING = (*LAYING_OUT, "cluster_labels")
REFERENCES = {"VIS_ASSETS_LAYOUT_ENGINE": "umap-learn", "VIS_ASSETS_CLUSTERING_ENGINE": "hdbscan"}
FAST: dict[str, str] = {}
LIBRARY_CALLS = {
    "layout": (FAST, "scipy.optimize.curve_fit", LAYING_OUT, 14),
    "clusters": (FAST, "scipy.spatial.cKDTree", CLUSTERING, 5),
    "umap-learn": (REFERENCES, "umap.UMAP.fit_transform", LAYING_OUT, 14),
    "hdbscan": (REFERENCES, "hdbscan.HDBSCAN.fit", CLUSTERING, 3),
}
"""Stage or engine -> settings, a call that it makes of a library, the stages up to it, and how many points it takes."""
OpenDoor = Callable[..., Door]


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vis_assets.sensors.job_queue.TICK_SECONDS", 1.5)


@pytest.fixture(scope="module")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS server that nobody stops."""
    server = start_nats(tmp_path_factory.mktemp("nats"))
    yield server
    server.child.stop()


@pytest.fixture
def opened(tmp_path: Path, nats_server: EmbeddedNats) -> Iterator[OpenDoor]:
    """Opens an installation with an empty queue, and these settings."""
    with contextlib.ExitStack() as until_exit:

        def open_door(nats_url: str = nats_server.url, **variables: Any) -> Door:
            (tmp_path / "dagster").mkdir()
            instance = until_exit.enter_context(DagsterInstance.local_temp(str(tmp_path / "dagster")))
            variables = {"VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1", **variables}
            return until_exit.enter_context(Door(tmp_path, nats_url, instance, **variables))

        yield open_door


def asked(door: Door, **changes: Any) -> RunRequest:
    """Send the job; the run that is asked for, its sender told that it starts."""
    door.send(worker_job(**changes))
    return asked_again(door)


def asked_again(door: Door) -> RunRequest:
    """The run that one of the next ticks asks for."""
    (request,) = next(filter(None, (door.ask() for _ in range(3))))
    door.heard()
    return request


def database(url: str) -> dict[str, Any]:
    """Where the points of a job are."""
    return {"vector_database_config": {"connection_url": url}, "qdrant_collection_name": "points"}


def fill(qdrant: EmbeddedQdrant, count: int) -> None:
    """Make a collection of so many points."""
    with qdrant.lock:
        qdrant.client.create_collection(
            "points", vectors_config=models.VectorParams(size=3, distance=models.Distance.EUCLID)
        )
        points = [
            models.PointStruct(id=n, vector=[float(n), n % 3, 1.0], payload={"text": f"t{n}"}) for n in range(count)
        ]
        qdrant.client.upsert("points", points)


def require_retrying(door: Door, says: str, delay_seconds: float = RETRY_DELAYS_SECONDS[0]) -> None:
    """The sender hears why and when it is tried again; the record holds the job, and the queue is free for others."""
    (told,) = [message for message in door.heard() if "progress_percent" not in message["statsJson"]]
    assert told["statsJson"] == {"stage": "retrying", "attempt": 1, "delay_seconds": delay_seconds}
    assert told["status"] == "processing"
    assert says in told["errorMessage"]
    assert "Traceback" not in told["errorMessage"]
    (record,) = door.records()
    assert record.attempt == 2
    assert door.depth() == (0, 0 if delay_seconds else 1)


def require_done(door: Door) -> None:
    """The job ended well, once; nothing is left of it but its page."""
    (result,) = [message for message in door.heard() if message["status"] != "processing"]
    assert (result["jobId"], result["status"], result["htmlS3Key"]) == (JOB_ID, "completed", PAGE)
    assert door.stored(PAGE) == b"<html>"
    assert (door.records(), door.depth()) == ([], (0, 0))


@pytest.mark.parametrize(("what", "says"), [("no JSON", "not valid JSON"), ("no object", "list")])
def test_invalid_json(live: Live, what: str, says: str) -> None:
    """Invalid JSON: acknowledged, and answered with `failed` and no ids."""
    result = live.application.wait_for(lambda said: said["jobId"] is None and says in said["errorMessage"], what)
    require_clear(result)
    assert f"message {live.sent.broken[what]}" in result["errorMessage"]
    assert [result[key] for key in ("jobId", "visualizationTransformId", "visualizationId", "owner")] == [None] * 4
    require_acknowledged(live, live.sent.broken[what])


def test_validation_error(live: Live) -> None:
    """A message that is no job: acknowledged, and answered with `failed` and every offending field."""
    result = live.application.result("several-mistakes")
    require_clear(result)
    fields = (
        "n_neighbors",
        "min_dist",
        "metric",
        "qdrant_collection_name",
        "connection_url",
        "api_key",
        "llm_config.model",
    )
    assert all(field in result["errorMessage"] for field in fields)
    require_acknowledged(live, live.sent.broken["no job"])
    assert live.dagster.runs(vis_assets__job_id="several-mistakes") == []


def test_qdrant_connection(opened: OpenDoor) -> None:
    """Qdrant does not answer: tried again later, and done once Qdrant is there."""
    door, port = opened(), free_port()
    request = asked(door, **database(f"grpc://127.0.0.1:{port}"))
    door.perform(request, stages=FETCHING)
    door.settle()
    require_retrying(door, f"Qdrant at 127.0.0.1:{port} (gRPC) cannot be reached")
    door.age(RETRY_DELAYS_SECONDS[0])
    with EmbeddedQdrant(port) as qdrant:
        fill(qdrant, 3)
        door.perform(asked_again(door), stages=FETCHING)
    door.settle()
    require_done(door)


@pytest.mark.parametrize("why", ["missing collection", "wrong key", "empty collection", "wrong vector name"])
def test_qdrant_refusal(live: Live, why: str) -> None:
    """Qdrant answers no: one `failed` result at once, acknowledged, and no second attempt."""
    job_id = live.sent.refused[why]["job_id"]
    require_clear(live.application.result(job_id))
    require_acknowledged(live, live.application.published[job_id][0])
    assert len(live.dagster.runs(vis_assets__job_id=job_id)) == 1
    assert not any(said["statsJson"].get("stage") == "retrying" for said in live.application.about(job_id))


@pytest.mark.parametrize(
    ("engine", "error", "says"),
    [
        ("layout", ValueError("no layout"), "The layout failed on 14 vectors of 3 dimensions: ValueError: no layout"),
        ("layout", MemoryError(), "The layout ran out of memory on 14 vectors"),
        ("clusters", ValueError("no clusters"), "HDBSCAN failed on 5 points"),
        ("clusters", MemoryError(), "HDBSCAN ran out of memory on 5 points"),
        ("umap-learn", ValueError("no layout"), "UMAP failed on 14 vectors of 3 dimensions"),
        ("umap-learn", MemoryError(), "UMAP ran out of memory on 14 vectors"),
        ("hdbscan", ValueError("no clusters"), "HDBSCAN failed on 3 points"),
        ("hdbscan", MemoryError(), "HDBSCAN ran out of memory on 3 points"),
    ],
)
def test_umap_hdbscan(
    opened: OpenDoor, monkeypatch: pytest.MonkeyPatch, engine: str, error: Exception, says: str
) -> None:
    """What lays out or clusters fails, whichever engine it is: told in one sentence, and tried again."""

    def fail(*_arguments: Any, **_options: Any) -> None:
        raise error

    settings, call, stages, points = LIBRARY_CALLS[engine]
    monkeypatch.setattr(call, fail)
    door = opened(**settings)
    with EmbeddedQdrant() as qdrant:
        fill(qdrant, points)
        door.perform(asked(door, **database(qdrant.url), visualization_config={"min_cluster_size": 2}), stages=stages)
    door.settle()
    require_retrying(door, says)


def test_llm_api_failure(live: Live) -> None:
    """Language models that all fail fail no job: keyphrases name the clusters, and the result says why."""
    job_id = live.sent.outage["job_id"]
    result = live.application.result(job_id)
    assert (result["status"], result["clusterCount"], result["errorMessage"]) == ("completed", 4, None)
    naming = result["statsJson"]["naming"]
    assert naming["named_by"] == {"keyphrases": 4}
    assert naming["failed_calls"] == naming["calls"] == len(live.failing_llm.requests) >= 6
    fallbacks = {fallback["model"]: fallback["reason"] for fallback in naming["fallbacks"]}
    assert set(fallbacks) == {"openai/down", "cohere/down", "vllm/down"}
    assert all("failed (HTTP 503" in reason for reason in fallbacks.values())
    (warning,) = result["statsJson"]["warnings"]
    assert warning.startswith("4 of 4 clusters are named by their keyphrases, not by a language model: ")
    assert all(reason in warning for reason in fallbacks.values())
    words = {word for pair in jobs.TOPICS.values() for topic in pair for word in topic.split()}
    rows = live.dagster.metadata("cluster_names", "127")["clusters"]["mdStr"].splitlines()[2:]
    names = [row.split("|")[2] for row in rows]
    assert len(names) == 4
    assert all(words & set(re.findall("[a-z]+", name.lower())) for name in names), names
    assert not any(said["statsJson"].get("stage") == "retrying" for said in live.application.about(job_id))


@pytest.fixture
def s3(tmp_path: Path) -> Iterator[EmbeddedS3]:
    """An S3 server that may be stopped."""
    server = start_s3(tmp_path)
    yield server
    server.child.stop()


@contextlib.contextmanager
def out_of_reach(s3: EmbeddedS3, folder: Path) -> Iterator[None]:
    """Without the S3 server; then it is there again."""
    s3.child.stop()
    yield
    port = int(s3.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
    s3.child = start_s3(folder, port).child


def test_s3_upload_failure(opened: OpenDoor, s3: EmbeddedS3, tmp_path: Path) -> None:
    """A run cannot store its page: tried again, which is told when the store is back, and then done."""
    door = opened(**s3.environment)
    request = asked(door)
    with out_of_reach(s3, tmp_path):
        door.perform(request)
        door.settle()
        assert door.heard() == []
        assert door.depth() == (0, 1)
    door.settle()
    require_retrying(door, "cannot write")
    door.age(RETRY_DELAYS_SECONDS[0])
    door.perform(asked_again(door))
    door.settle()
    require_done(door)


def test_s3_failure_after_the_run(opened: OpenDoor, s3: EmbeddedS3, tmp_path: Path) -> None:
    """The store is gone before the page is where its owner looks: told once it is there, and nothing is run again."""
    door = opened(**s3.environment)
    door.perform(asked(door))
    with out_of_reach(s3, tmp_path):
        door.settle()
        assert door.heard() == []
        assert door.depth() == (0, 1)
    door.settle()
    require_done(door)
    assert len(door.instance.get_runs()) == 1


def test_s3_failure_before_the_run(opened: OpenDoor, s3: EmbeddedS3, tmp_path: Path) -> None:
    """Without the store no message is taken from the queue; the job is run when it is back."""
    door = opened(**s3.environment)
    with out_of_reach(s3, tmp_path):
        door.send(worker_job())
        with contextlib.suppress(StoreUnavailable):
            assert door.ask() == []
        assert (door.heard(), door.depth()) == ([], (1, 0))
    door.perform(asked_again(door))
    door.settle()
    require_done(door)


def died(door: Door, request: RunRequest, end: str) -> None:
    """Let the run of a request go on in a process of its own until that is killed."""
    tags = json.dumps(door.tags(request))
    timeout = str(door.settings.processing_timeout_secs)
    environment = {**os.environ, **door.settings.nats_variables, "PROCESSING_TIMEOUT_SECS": timeout}
    command = [sys.executable, "-m", "vis_assets_tests.integration.run_that_dies"]
    arguments = [str(door.folder / "dagster"), str(request.partition_key), tags, end]
    ended = subprocess.run([*command, *arguments], env=environment, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()


def settled(door: Door) -> None:
    """Look again until the run's silence has lasted as long as a lease."""

    def look() -> bool:
        door.settle()
        return door.records()[0].attempt > 1

    eventually(look, "the end of the run is noticed")


def test_timeout(opened: OpenDoor) -> None:
    """A run that takes too long is killed by its lease keeper: told as "timeout", and tried again."""
    door = opened(VIS_ASSETS_LEASE_SECONDS=1, PROCESSING_TIMEOUT_SECS=1)
    died(door, asked(door), "waits")
    settled(door)
    require_retrying(door, "timeout: the run took longer than PROCESSING_TIMEOUT_SECS allows")
    assert [(record.failures, record.lost) for record in door.records()] == [(1, 0)]


def test_out_of_memory(opened: OpenDoor) -> None:
    """A run that the kernel killed was lost, and not the job's fault: told, and tried again at once."""
    door = opened(VIS_ASSETS_LEASE_SECONDS=1)
    died(door, asked(door), "is-killed")
    settled(door)
    require_retrying(door, "the process of the run vanished", delay_seconds=0.0)
    assert [(record.failures, record.lost) for record in door.records()] == [(0, 1)]
    door.perform(asked_again(door))
    door.settle()
    require_done(door)


def test_attempts_exhausted(opened: OpenDoor) -> None:
    """A job that fails as often as allowed: one `failed` result with the last reason, and a dead letter."""
    door = opened(MAX_ATTEMPTS=2)
    request = asked(door)
    for _ in range(2):
        door.perform(request, failing(ComputeFailed("UMAP failed on 3 vectors")))
        door.settle()
        door.age(RETRY_DELAYS_SECONDS[0])
        if door.records():
            request = asked_again(door)
    (result,) = door.heard()
    assert (result["jobId"], result["status"], result["errorMessage"]) == (JOB_ID, "failed", "UMAP failed on 3 vectors")
    (letter,) = door.connection.run(ledger.read_dead_letters).values()
    assert (letter["job_id"], letter["error"], letter["failures"]) == (JOB_ID, "UMAP failed on 3 vectors", 2)
    assert (door.records(), door.depth(), door.ask()) == ([], (0, 0), [])


def test_nats_out_of_reach(opened: OpenDoor, tmp_path: Path) -> None:
    """NATS is gone when a run ends: the run is none the worse, and its result is told once NATS is back."""
    server = start_nats(tmp_path)
    try:
        door = opened(server.url)
        request = asked(door)
        server.child.stop()
        assert door.perform(request).is_success
        with pytest.raises(BrokerUnavailable, match="is it running"):
            door.settle()
        server = start_nats(tmp_path, int(server.url.rpartition(":")[2]))
        door.listen_again()
        door.settle()
        require_done(door)
        assert len(door.instance.get_runs()) == 1
    finally:
        server.child.stop()
