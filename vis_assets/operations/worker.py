"""The production process: Dagster's code server and daemon, supervised while it leads; health, metrics, maps over HTTP.

    starting -> standing by <-> leading -> draining -> ended

Only the leader runs Dagster: two daemons on one database would both launch what they find there.
"""

import contextlib
import json
import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from vis_assets.delivery.job_record import JobState
from vis_assets.delivery.leadership import new_holder
from vis_assets.errors import InvalidSetting
from vis_assets.operations.dagster_process import SUPERVISOR
from vis_assets.operations.dask_cluster import Cluster, starts_cluster
from vis_assets.operations.health import Reason, State, reasons, tick_age
from vis_assets.operations.home import child_environment, claim, prepare_home
from vis_assets.operations.lease import Lease
from vis_assets.operations.logs import configure_logging
from vis_assets.operations.maps_server import Answer, Pages, serving_maps
from vis_assets.operations.materializations import Materializations
from vis_assets.operations.metrics import CONTENT_TYPE, Facts, exposition
from vis_assets.operations.supervisor import ClusterSupervisor, Supervisor
from vis_assets.operations.watch import Watch
from vis_assets.resources.object_store import open_store
from vis_assets.sensors.standing import HOLDER
from vis_assets.settings import Settings

_log = logging.getLogger(__name__)

BEAT_SECONDS = 0.25
"""How often the worker looks after its processes."""
HUNG_TICK_SECONDS = 150.0
"""Without a tick for so long, while NATS answers, Dagster hangs and is started again."""
SETTLED_SECONDS = 10.0
"""So long after the last run a drain waits for its job to be settled."""
HEARD_SECONDS = 2.0
"""After this long every tick has heard that the worker drains."""
FORCED_EXIT = 130


class Signals:
    """SIGTERM and SIGINT: the first asks to stop, a second insists."""

    def __init__(self) -> None:
        """None came yet."""
        self._asked = threading.Event()
        self.insists = False

    def take(self) -> None:
        """Take both signals over; what a parent ignored is no longer ignored, neither here nor in children."""
        signal.signal(signal.SIGTERM, self._heed)
        signal.signal(signal.SIGINT, self._heed)

    @property
    def asked(self) -> bool:
        """Whether the worker was told to stop."""
        return self._asked.is_set()

    def wait(self, seconds: float) -> None:
        """Wait, at most until the first signal."""
        self._asked.wait(seconds)

    def _heed(self, number: int, _frame: FrameType | None) -> None:
        if self._asked.is_set():
            self.insists = True
        self._asked.set()


class Worker:
    """One worker, from its start to its end."""

    def __init__(self, settings: Settings, home: Path, signals: Signals) -> None:
        """Be ready to run."""
        self._settings = settings
        self._signals = signals
        self._store = open_store(settings)
        self._lease = Lease(settings, new_holder(settings.worker_id))
        self._watch = Watch(settings, self._store)
        self._materializations = Materializations(home)
        told = {HOLDER: self._lease.holder, SUPERVISOR: str(os.getpid()), "WORKER_ID": settings.worker_id}
        self._compute: ClusterSupervisor | None = None
        if starts_cluster(settings):
            cluster = Cluster(home)
            self._compute = ClusterSupervisor(cluster, child_environment(home, told))
            told |= cluster.environment
        self._supervisor = Supervisor(settings, home, child_environment(home, told))
        self._metrics = exposition(self._facts)

    def run(self) -> int:
        """Work until told to stop; return the exit code."""
        settings = self._settings
        with (
            serving_maps(self._store, settings.health_check_port, settings.http_host, self._pages()) as url,
            self._threads(),
        ):
            _log.info("worker %s serves %s", self._lease.holder, url)
            while not self._signals.asked:
                self._beat()
                self._signals.wait(BEAT_SECONDS)
            _log.info("told to stop: no new jobs; running ones have %.0f s", settings.shutdown_secs)
            self._lease.drain()
            self._drain(time.monotonic() + settings.shutdown_secs)
            self._stop_processes()
        _log.info("worker %s ended", self._lease.holder)
        return FORCED_EXIT if self._signals.insists else 0

    @contextlib.contextmanager
    def _threads(self) -> Iterator[None]:
        for thread in (self._lease, self._watch, self._materializations):
            thread.open()
        try:
            yield
        finally:
            self._stop_processes()
            for thread in (self._materializations, self._watch, self._lease):
                thread.close()

    def _beat(self) -> None:
        """Look after the processes once."""
        if not self._lease.leads:
            if self._supervisor.daemon_started is not None:
                _log.error("the lease is lost; the daemon is stopped at once")
                self._supervisor.stop_daemon(patience_seconds=0)
            return
        self._keep_running()
        sight = self._watch.sight
        age = tick_age(self._state(), sight.queue, time.time())
        if age is not None and age > HUNG_TICK_SECONDS and sight.nats_error is None:
            self._supervisor.restart(f"no tick reconciled for {age:.0f} s")

    def _drain(self, deadline: float) -> None:
        """Let every job that runs be settled, then every other run end; at most until then, or a second signal."""
        begun = quiet_since = time.monotonic()
        while self._lease.leads and self._may_wait(deadline):
            self._keep_running()
            now = time.monotonic()
            if self._supervisor.running_runs():
                quiet_since = now
            if now - quiet_since > SETTLED_SECONDS or not self._has_running_jobs(begun + HEARD_SECONDS):
                break
            time.sleep(BEAT_SECONDS)
        self._supervisor.stop_daemon()
        while self._supervisor.running_runs() and self._may_wait(deadline):
            time.sleep(BEAT_SECONDS)

    def _keep_running(self) -> None:
        if self._compute is not None:
            self._compute.keep_running()
        self._supervisor.keep_running()

    def _stop_processes(self) -> None:
        """End the runs first, so that they do not see their cluster end."""
        self._supervisor.stop()
        if self._compute is not None:
            self._compute.stop()

    def _may_wait(self, deadline: float) -> bool:
        return time.monotonic() < deadline and not self._signals.insists

    def _has_running_jobs(self, since: float) -> bool:
        """Whether a job's run was asked for and is not settled; only what was seen after this moment counts."""
        sight = self._watch.sight
        if sight.queue is None or sight.queue_at < since:
            return True
        return any(record.state is not JobState.WAITING for record in sight.queue.records)

    def _state(self) -> State:
        started = self._supervisor.daemon_started
        return State(
            holder=self._lease.holder,
            leads=self._lease.leads,
            leader=self._lease.leader,
            draining=self._signals.asked,
            daemon_seconds=None if started is None else time.monotonic() - started,
            timeout_seconds=self._settings.processing_timeout_secs,
        )

    def _reasons(self) -> list[Reason]:
        return reasons(self._state(), self._watch.sight, time.time(), time.monotonic())

    def _facts(self) -> Facts:
        return Facts(
            self._state(),
            self._watch.sight,
            not self._reasons(),
            self._deaths(),
            self._materializations.durations,
            self._materializations.naming,
            time.time(),
            None if self._compute is None else self._compute.workers,
        )

    def _deaths(self) -> dict[str, int]:
        deaths = dict(self._supervisor.deaths)
        return deaths if self._compute is None else deaths | {"dask cluster": self._compute.deaths}

    def _pages(self) -> Pages:
        return {
            "/health": lambda: Answer(200, b"ok\n"),
            "/ready": self._ready,
            "/metrics": lambda: Answer(200, self._metrics(), CONTENT_TYPE),
        }

    def _ready(self) -> Answer:
        found = self._reasons()
        body = {"ready": not found, "reasons": [{"reason": r.name, "detail": r.detail} for r in found]}
        if self._compute is not None:
            body["compute_workers"] = self._compute.workers
        return Answer(503 if found else 200, json.dumps(body).encode() + b"\n", "application/json")


def require_shared(settings: Settings) -> None:
    """Refuse a worker with a shared database whose jobs another worker could not go on with.

    Raises:
        InvalidSetting: the key or the store is this machine's own.
    """
    if settings.postgres_url is None:
        return
    if settings.secret_key is None:
        raise InvalidSetting(
            "VIS_ASSETS_POSTGRES_URL is set, so another worker may take over, but could not open the secrets of jobs; "
            "set VIS_ASSETS_SECRET_KEY, the same for all"
        )
    if settings.s3_bucket_name is None and settings.store_dir is None:
        raise InvalidSetting(
            "VIS_ASSETS_POSTGRES_URL is set, so another worker may take over, but would not find the jobs; "
            "set S3_BUCKET_NAME, or VIS_ASSETS_STORE_DIR to a folder that all share"
        )


def run_worker(settings: Settings) -> int:
    """Run a worker until it is told to stop.

    Returns:
        The exit code: 0 after an orderly end.

    Raises:
        InvalidSetting: something else works in the same home folder, or a standby could not take over.
    """
    configure_logging(settings)
    require_shared(settings)
    signals = Signals()
    signals.take()
    home = prepare_home(settings)
    with claim(home):
        return Worker(settings, home, signals).run()
