"""Dagster's code server and daemon, and Dask's cluster, kept alive: who dies is started again, after growing waits."""

import contextlib
import logging
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path

from vis_assets.operations.dagster_commands import code_server_command, daemon_command
from vis_assets.operations.dask_cluster import Cluster
from vis_assets.operations.home import write_workspace
from vis_assets.operations.processes import Child, free_port, listens, start
from vis_assets.settings import Settings

_log = logging.getLogger(__name__)

START_SECONDS = 120.0
"""How long the code server may take until it listens."""
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 30.0
STEADY_SECONDS = 60.0
"""After this long without a death the next wait is the first one again."""
DAEMON_STOP_SECONDS = 5.0


class Supervisor:
    """Starts the code server and, when it listens, the daemon. Not for several threads."""

    def __init__(self, settings: Settings, home: Path, environment: Mapping[str, str]) -> None:
        """Supervise nothing yet.

        Args:
            settings: of this installation.
            home: its folder.
            environment: of the children.
        """
        self.port = free_port()
        self.deaths = {"code server": 0, "daemon": 0}
        """How often each ended on its own or was ended because it hung."""
        self._server: Child | None = None
        self._daemon: Child | None = None
        self._environment = environment
        self._server_command = code_server_command(self.port, settings)
        self._daemon_command = daemon_command(str(write_workspace(home, self.port)), settings)
        self._not_before = 0.0
        self._wait = FIRST_WAIT_SECONDS
        self._server_started = 0.0
        self.daemon_started: float | None = None
        """Monotonic time at which the daemon was started; None while there is none."""

    def keep_running(self) -> None:
        """Start what does not run, once its wait is over. To be called often."""
        self._bury()
        now = time.monotonic()
        if self._server is None:
            if now >= self._not_before:
                self._server, self._server_started = self._start("code server", self._server_command), now
        elif self._daemon is None and listens(self.port):
            if now >= self._not_before:
                self._daemon, self.daemon_started = self._start("daemon", self._daemon_command), now
        elif self._daemon is None and now - self._server_started > START_SECONDS:
            self.restart("the code server does not listen")

    def restart(self, why: str) -> None:
        """End both at once because they hang; they are started again. Runs go on."""
        _log.error("%s: starting Dagster again", why)
        for child in (self._daemon, self._server):
            if child is not None:
                child.kill()
        self._bury()

    def stop_daemon(self, patience_seconds: float = DAEMON_STOP_SECONDS) -> None:
        """End the daemon: nothing is ticked or launched any more."""
        if self._daemon is not None:
            self._daemon.stop(patience_seconds)
        self._daemon, self.daemon_started = None, None

    def stop(self) -> None:
        """End both. Runs that still work are ended too; Dagster is told of each."""
        self.stop_daemon()
        server, self._server = self._server, None
        if server is None:
            return
        doomed = runs_of(server)
        for pid in doomed:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if doomed:
            _log.warning("%d runs were ended; their jobs are repeated", len(doomed))
            time.sleep(REPORT_SECONDS)
        server.stop()

    def running_runs(self) -> int:
        """Count the run processes that the code server started and that still work."""
        return len(runs_of(self._server)) if self._server is not None else 0

    def _start(self, name: str, command: list[str]) -> Child:
        child = start(f"dagster {name}", command, self._environment, None)
        _log.info("dagster %s started", name, extra={"pid": child.process.pid})
        return child

    def _bury(self) -> None:
        """Notice who died. Without its code server a daemon is of no use, and is started again with it."""
        dead = [
            name
            for name, child in (("code server", self._server), ("daemon", self._daemon))
            if child is not None and child.process.poll() is not None
        ]
        if not dead:
            return
        now = time.monotonic()
        if now - self._server_started > STEADY_SECONDS:
            self._wait = FIRST_WAIT_SECONDS
        for name in dead:
            self.deaths[name] += 1
        _log.error("dagster %s ended; starting again in %.0f s", " and ".join(dead), self._wait)
        if "daemon" in dead:
            self._daemon, self.daemon_started = None, None
        if "code server" in dead:
            self._server = None
            if self._daemon is not None:
                self._daemon.kill()
                self._daemon, self.daemon_started = None, None
        self._not_before = now + self._wait
        self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)


class ClusterSupervisor:
    """Keeps the Dask cluster of this machine running; apart from Dagster, for each works without the other."""

    def __init__(self, cluster: Cluster, environment: Mapping[str, str]) -> None:
        """Supervise nothing yet.

        Args:
            cluster: what is started.
            environment: of its process.
        """
        self.deaths = 0
        """How often it ended on its own."""
        self._cluster = cluster
        self._environment = environment
        self._child: Child | None = None
        self._started = self._not_before = 0.0
        self._wait = FIRST_WAIT_SECONDS

    @property
    def workers(self) -> int:
        """How many of its workers are there, and warm."""
        state = self._cluster.state()
        child = self._child
        return state.workers if state is not None and child is not None and state.pid == child.process.pid else 0

    def keep_running(self) -> None:
        """Start it where it does not run, once its wait is over. To be called often."""
        now = time.monotonic()
        if self._child is not None and self._child.process.poll() is not None:
            self._wait = FIRST_WAIT_SECONDS if now - self._started > STEADY_SECONDS else self._wait
            _log.error("the dask cluster ended; starting again in %.0f s", self._wait)
            self._child = None
            self.deaths += 1
            self._not_before = now + self._wait
            self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)
        if self._child is None and now >= self._not_before:
            self._child, self._started = start("dask cluster", self._cluster.command, self._environment, None), now
            _log.info("dask cluster started", extra={"pid": self._child.process.pid})

    def stop(self) -> None:
        """End it, and with it what its workers do."""
        child, self._child = self._child, None
        if child is not None:
            child.stop(CLUSTER_STOP_SECONDS)


CLUSTER_STOP_SECONDS = 10.0
REPORT_SECONDS = 1.5
"""The code server looks after its runs every half second, and tells Dagster of those that were killed."""


def runs_of(server: Child) -> list[int]:
    """Return the pids of the run processes that a code server started (Linux only; elsewhere none are found)."""
    pid = server.process.pid
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):
            found += [int(child) for child in task.read_text().split()]
    return [child for child in found if _is_run(child)]


def _is_run(pid: int) -> bool:
    """Tell a run from Python's own helper processes: both are spawned by `multiprocessing`."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False
    return b"spawn_main" in command
