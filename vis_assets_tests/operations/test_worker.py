"""`vis-assets worker` as it runs in production: real NATS, real S3, real Dagster processes, real signals."""

import signal
import time
from collections.abc import Iterator

import pytest

from vis_assets_tests.integration.wire import eventually
from vis_assets_tests.operations.installation import (
    Installation,
    WorkerProcess,
    installation,
    is_alive,
    kill,
    unreachable_job,
)
from vis_assets_tests.servers.postgres import PASSWORD, postgres

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(300)]

LEASE_SECONDS = 6


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Servers for one worker."""
    with installation(tmp_path_factory.mktemp("site")) as made:
        yield made


@pytest.fixture(scope="module")
def worker(site: Installation) -> WorkerProcess:
    """A worker that is ready; the tests of this module share it, in their order."""
    started = site.start_worker("one")
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
    assert later.metric("vis_assets_jobs_total", outcome="failed") == 3
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
        assert PASSWORD not in first.log.read_text() + second.log.read_text()


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
