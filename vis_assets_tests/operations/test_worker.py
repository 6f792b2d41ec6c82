"""`vis-assets worker` as it runs in production: real NATS, real S3, real Dagster processes, real signals."""

import json
import signal
import time
from collections.abc import Iterator

import pytest

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import DEAD_STREAM
from vis_assets.resources.compute.preload import COLD
from vis_assets_tests.canaries import Canaries, Wiretap, files_below, postgres_cells, stored_messages
from vis_assets_tests.cli.command import alone, run
from vis_assets_tests.integration.wire import eventually
from vis_assets_tests.operations.installation import (
    LLM_FALLBACK_KEY,
    LLM_KEY,
    LLM_OPTION,
    NATS_FOLDER,
    NATS_TOKEN,
    OWN_LLM_KEY,
    OWN_QDRANT_KEY,
    QDRANT_KEY,
    SEALING_KEY,
    Installation,
    WorkerProcess,
    installation,
    is_alive,
    kill,
    unreachable_job,
)
from vis_assets_tests.servers.postgres import PASSWORD, postgres
from vis_assets_tests.servers.qdrant_rest import Fault, RestQdrant

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

LEASE_SECONDS = 6
FORGIVING = {
    "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1",
    "MAX_ATTEMPTS": "2",
    "VIS_ASSETS_RETRY_SECONDS": "0",
}
"""Settings with which a job may reach our Qdrant, and is given up after its second failure."""
URL_PASSWORD = "canary-url-password-of-job-19fe"
HEADER = "canary-header-of-job-message-8c4d"
STRAY_SECRET = "canary-of-a-field-that-is-none-f0a6"


def secrets(site: Installation) -> Canaries:
    """Every secret of the installation and of the jobs."""
    return Canaries(
        {
            "Qdrant key of a job": QDRANT_KEY,
            "LLM key of a job": LLM_KEY,
            "LLM key of a fallback": LLM_FALLBACK_KEY,
            "LLM option of a job": LLM_OPTION,
            "password in a URL of a job": URL_PASSWORD,
            "header of a job message": HEADER,
            "secret in a key that no job has": STRAY_SECRET,
            "NATS token": NATS_TOKEN,
            "S3 secret key": site.s3.environment["AWS_SECRET_ACCESS_KEY"],
            "Qdrant key of the installation": OWN_QDRANT_KEY,
            "LLM key of the installation": OWN_LLM_KEY,
            "sealing key": SEALING_KEY,
            "Postgres password": PASSWORD,
        }
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Servers for one worker."""
    with installation(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def worker(site: Installation) -> WorkerProcess:
    """A worker that is ready; the tests of this module share it, in their order."""
    started = site.start_worker(
        "one", VIS_ASSETS_COMPUTE="dask", VIS_ASSETS_DASK_WORKERS="1", **{COLD: "1"}, **FORGIVING
    )
    started.become()
    return started


def test_a_worker_is_alive_before_it_is_ready(site: Installation) -> None:
    """Without NATS a worker answers /health with 200 and says at /ready why it does no jobs."""
    lonely = site.start_worker("lonely", NATS_URL="nats://127.0.0.1:1")
    eventually(lambda: lonely.get("/health") == (200, "ok\n"), "health")
    lonely.become("starting", "nats")
    assert lonely.child("daemon") is None
    lonely.signal(signal.SIGTERM)
    assert lonely.process.wait(30) == 0


def test_a_job_is_done_and_counted(site: Installation, worker: WorkerProcess) -> None:
    """A job gets its result, and shows in the metrics by its outcome; the leader tells of its tick."""
    site.application.publish(unreachable_job(1))
    assert site.application.result("job-1")["status"] == "failed"
    eventually(lambda: worker.metric("vis_assets_jobs_total", outcome="failed") == 1, "one failed job")
    eventually(lambda: worker.metric("vis_assets_jobs_active") == 0, "no job is active")
    assert worker.metric("vis_assets_leader") == worker.metric("vis_assets_ready") == 1
    age = worker.metric("vis_assets_tick_age_seconds")
    assert age is not None
    assert age < 20
    assert worker.metric("vis_assets_stage_duration_seconds_count", stage="html_map") == 0


def test_maps_are_served(worker: WorkerProcess) -> None:
    """The maps' server is there too, and says so where there is no such map."""
    assert worker.get("/maps/user@example.com/1/1.html") == (404, "there is no such map\n")
    assert worker.get("/")[0] == 404


def test_what_dies_is_started_again(site: Installation, worker: WorkerProcess) -> None:
    """A killed daemon comes back beside its code server; after a killed code server both do; jobs are done again."""
    server, daemon = worker.child("code-server"), worker.child("daemon")
    kill(daemon)
    eventually(lambda: worker.child("daemon") not in {None, daemon}, "another daemon")
    assert worker.child("code-server") == server
    daemon = worker.child("daemon")
    kill(server)
    eventually(lambda: worker.child("code-server") not in {None, server}, "another code server")
    site.application.publish(unreachable_job(2))
    assert site.application.result("job-2")["status"] == "failed"
    assert worker.child("daemon") not in {None, daemon}
    worker.become()
    assert worker.metric("vis_assets_process_restarts_total", process="code server") == 1


def test_the_compute_cluster_is_kept_running(worker: WorkerProcess) -> None:
    """Its workers are told of, and where it dies it is started again with fresh ones; the worker stays ready."""
    eventually(lambda: worker.metric("vis_assets_compute_workers") == 1, "a compute worker")
    kill(worker.child("vis_assets.operations.dask_process"))
    eventually(lambda: worker.metric("vis_assets_compute_workers") == 0, "no compute worker")
    eventually(lambda: worker.metric("vis_assets_compute_workers") == 1, "a fresh compute worker")
    assert worker.metric("vis_assets_process_restarts_total", process="dask cluster") == 1
    assert json.loads(worker.get("/ready")[1]) == {"ready": True, "reasons": [], "compute_workers": 1}


def test_a_store_that_is_down_is_told(site: Installation, worker: WorkerProcess) -> None:
    """While the bucket does not answer, /ready says "store"; /health stays 200; it recovers by itself."""
    site.s3.child.stop()
    worker.become("store", seconds=40)
    assert worker.get("/health")[0] == 200
    assert worker.get("/maps/user@example.com/1/1.html")[0] == 503
    site.restart_s3()
    worker.become(seconds=40)


def test_nats_that_is_down_is_told(site: Installation, worker: WorkerProcess) -> None:
    """While NATS does not answer, /ready says "nats"; it recovers by itself, and totals do not fall."""
    site.nats.child.stop()
    worker.become("nats", seconds=40)
    assert worker.get("/health")[0] == 200
    site.restart_nats()
    worker.become(seconds=60)
    assert worker.metric("vis_assets_jobs_total", outcome="failed") == 2


def test_the_log_is_structured(worker: WorkerProcess) -> None:
    """Each line of ours is JSON with time, level, logger, message and worker; a job's line names the job."""
    ours = [line for line in worker.lines() if line["logger"].startswith("vis_assets")]
    assert all({"timestamp", "level", "logger", "message", "worker_id"} <= set(line) for line in ours)
    assert {line["worker_id"] for line in ours} == {"one"}
    told = [line for line in ours if line.get("context", {}).get("job_id") == "job-1"]
    assert any(line["message"] == "job job-1: failed after 1 attempts" for line in told)


def test_no_secret_is_written_anywhere(site: Installation, worker: WorkerProcess) -> None:
    """Jobs that are none, or are refused, retried or given up, leave no secret in a file, stream, page or message."""
    application, job = site.application, unreachable_job(5)
    with Wiretap(site.nats.url) as wiretap, RestQdrant() as echo:
        echo.faults.extend([Fault(500, body=f"no: {QDRANT_KEY}".encode())] * 100)
        database = {**job["vector_database_config"], "connection_url": echo.url}
        application.publish_bytes(json.dumps(job).encode()[:-1])
        address = f"http://vis:{URL_PASSWORD}@169.254.169.254:6333"
        for number, url in enumerate([address, address.replace("//", "")]):
            invalid = {**database, "connection_url": url, "password": STRAY_SECRET}
            application.publish_bytes(
                json.dumps({**job, "job_id": f"no-job-{number}", "vector_database_config": invalid}).encode()
            )
        application.publish({**unreachable_job(6), "password": STRAY_SECRET}, {"Authorization": HEADER})
        application.publish({**job, "job_id": "given-up", "vector_database_config": database})
        assert application.result("job-6")["status"] == "failed"
        ended = application.result("given-up")
        tried = application.wait_for(lambda said: said["statsJson"].get("stage") == "retrying", "a retry")
        assert "***" in tried["errorMessage"], "the server did repeat the key"
        assert (ended["status"], "***" in ended["errorMessage"]) == ("failed", True)
        for job_id in ("no-job-0", "no-job-1"):
            assert "api_key" in application.result(job_id)["errorMessage"]
        application.wait_for(lambda said: said["jobId"] is None, "the answer to what is no JSON")
        eventually(lambda: worker.metric("vis_assets_dead_letters") == 1, "one dead letter")
        eventually(lambda: site.open_jobs() == set(), "no job is open")
    assert application.queue() == (0, 0, 0)

    with NatsConnection(site.nats.url, "test") as connection:
        stored = list(stored_messages(connection))
    environment = alone(site.folder / "operator", **site.s3.environment, NATS_URL=site.nats.url)
    shown = [run("dlq", *words, environment=environment) for words in (["list"], ["show", "given-up"])]
    files = list(files_below(site.folder, but=[site.folder / NATS_FOLDER]))
    pages = [(path, worker.get(path)[1].encode()) for path in ("/metrics", "/health", "/ready")]
    texts = [("what dlq says", (done.out + done.err).encode()) for done in shown]
    names = {name.rpartition("/")[2].rpartition(".")[2] for name, _ in files}
    assert {"db", "log", "json", "err"} <= names, "what is searched is there"
    assert any(DEAD_STREAM in place for place, _ in stored)
    assert any("visualization.dead.given-up" in place for place, _ in wiretap.heard)
    assert "vector_database_config.api_key" in shown[1].out, "the letter holds the key, sealed"
    assert secrets(site).found([*files, *stored, *wiretap.heard, *pages, *texts]) == []
    planted = [("a log", QDRANT_KEY.encode()), *wiretap.heard]
    assert secrets(site).found(planted) == ["Qdrant key of a job in a log"]


def test_told_to_stop_it_finishes_what_runs(site: Installation, worker: WorkerProcess) -> None:
    """On SIGTERM /ready falls at once, the running job is settled, a later one waits in the stream; exit code 0."""
    children = [worker.child("code-server"), worker.child("daemon")]
    application = site.application
    application.publish(unreachable_job(3))
    eventually(lambda: worker.metric("vis_assets_jobs_active") == 1, "the job runs")
    worker.signal(signal.SIGTERM)
    eventually(lambda: "draining" in worker.reasons(), "readiness falls", 1)
    time.sleep(2)
    late = application.publish(unreachable_job(4))
    assert worker.process.wait(120) == 0
    assert application.result("job-3")["status"] == "failed"
    assert site.open_jobs() == set()
    assert application.queue() == (1, 1, 0)
    assert not application.is_acknowledged(late)
    assert site.leader() == ""
    assert not any(is_alive(pid) for pid in children if pid)


def test_totals_outlive_a_worker_and_a_second_signal_insists(site: Installation) -> None:
    """A worker started later tells of earlier jobs and does the one that waited; a second signal ends it soon."""
    later = site.start_worker("two")
    eventually(lambda: later.metric("vis_assets_jobs_active") == 1, "the job that waited runs")
    assert later.metric("vis_assets_jobs_total", outcome="failed") == 5
    later.signal(signal.SIGTERM)
    eventually(lambda: "draining" in later.reasons(), "it drains", 2)
    later.signal(signal.SIGTERM)
    assert later.process.wait(30) == 130
    assert site.leader() == ""


def test_a_standby_takes_over(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Two workers share a Postgres: one leads, the other stands by, and takes over from one suspended or killed."""
    folder = tmp_path_factory.mktemp("standby")
    with postgres(folder / "postgres") as address, installation(folder) as site:
        variables = {"VIS_ASSETS_POSTGRES_URL": address, "VIS_ASSETS_LEASE_SECONDS": str(LEASE_SECONDS)}
        first = site.start_worker("first", **variables)
        first.become()
        second = site.start_worker("second", **variables)
        second.become("standby")
        assert (second.child("code-server"), second.child("daemon")) == (None, None)
        assert second.metric("vis_assets_jobs_total", outcome="failed") is None, "the leader alone tells of jobs"
        assert PASSWORD not in (folder / "first" / "dagster.yaml").read_text()

        _suspended(site, first, second)
        _killed(site, second, first)
        heard = [
            message["jobId"] for message in (h.body for h in site.application.heard) if message["status"] == "failed"
        ]
        assert sorted(heard) == ["job-1", "job-2"]
        kept = [*files_below(folder, but=[folder / NATS_FOLDER, folder / "postgres"]), *postgres_cells(address)]
        assert {"Postgres, runs", "Postgres, event_logs"} <= {place for place, _ in kept}
        assert secrets(site).found(kept) == []


def _suspended(site: Installation, leader: WorkerProcess, standby: WorkerProcess) -> None:
    """A suspended leader loses its lease by its silence; its daemon ends even so; awake again, it stands by."""
    daemon = leader.child("daemon")
    assert daemon is not None
    leader.signal(signal.SIGSTOP)
    since = time.monotonic()
    site.application.publish(unreachable_job(1))
    eventually(lambda: site.leader().startswith("second:"), "the standby took the lease", LEASE_SECONDS + 10)
    assert time.monotonic() - since > LEASE_SECONDS - 2
    eventually(lambda: not is_alive(daemon), "the old daemon is gone", 10)
    standby.become(seconds=60)
    assert site.application.result("job-1")["status"] == "failed"
    leader.signal(signal.SIGCONT)
    leader.become("standby", seconds=20)


def _killed(site: Installation, leader: WorkerProcess, standby: WorkerProcess) -> None:
    """Of a leader killed on the same machine nobody waits for silence, and its processes die with it."""
    children = [leader.child("code-server"), leader.child("daemon")]
    kill(leader.process.pid)
    leader.process.wait()
    site.application.publish(unreachable_job(2))
    standby.become(seconds=60)
    assert site.application.result("job-2")["status"] == "failed"
    assert not any(is_alive(pid) for pid in children if pid)
