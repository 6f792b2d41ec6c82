"""The local stack: NATS, an object store and Dagster's processes, started together and stopped together."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vis_assets.operations.dagster_commands import code_server_command, daemon_command, dagster_logging
from vis_assets.operations.dagster_process import SUPERVISOR
from vis_assets.operations.dask_cluster import Cluster, starts_cluster
from vis_assets.operations.embedded_servers import start_nats, start_s3
from vis_assets.operations.home import child_environment, claim, prepare_home, write_workspace
from vis_assets.operations.processes import Child, free_port, listens, start, take_signals, wait_until
from vis_assets.settings import Settings

NATS_PORT = 4222
DAGSTER_PORT = 3000
START_SECONDS = 120.0


@dataclass
class Stack:
    """A running stack.

    Attributes:
        home: its folder.
        environment: what its processes see; `Settings` read from it are the stack's.
        children: its processes, in the order of their start.
        bucket_folder: the folder that is the embedded bucket; None where the store is somebody else's.
        dagster_url: the Dagster UI; None where it was not asked for.
    """

    home: Path
    environment: dict[str, str]
    children: list[Child] = field(default_factory=list)
    bucket_folder: Path | None = None
    dagster_url: str | None = None

    @property
    def nats_url(self) -> str:
        """Where clients publish jobs."""
        return self.environment["NATS_URL"]

    def require_running(self) -> None:
        """Raise ProcessFailed where a process has ended."""
        for child in self.children:
            child.require_running()


@contextlib.contextmanager
def running_stack(
    settings: Settings,
    overrides: Mapping[str, str],
    *,
    embedded_nats: bool,
    embedded_store: bool,
    with_ui: bool,
    dagster_port: int = 0,
) -> Iterator[Stack]:
    """Run the stack until the block ends.

    Args:
        settings: of this installation.
        overrides: environment variables on top of ours.
        embedded_nats: start a NATS server of our own instead of using NATS_URL.
        embedded_store: start an S3 server of our own instead of using the configured bucket or folder.
        with_ui: start the Dagster UI too.
        dagster_port: preferred port of the Dagster UI; 0 takes any free one.

    Raises:
        ProcessFailed: a process did not start; those that did are stopped.
        InvalidSetting: another stack works in the same home folder.
    """
    take_signals()
    home = prepare_home(settings)
    lock = claim(home)
    children: list[Child] = []
    environment = dict(overrides)
    bucket_folder = None
    try:
        if embedded_nats:
            nats = start_nats(home, NATS_PORT)
            children.append(nats.child)
            environment |= dict.fromkeys(settings.nats_variables, "") | {"NATS_URL": nats.url}
        if embedded_store:
            s3 = start_s3(home)
            children.append(s3.child)
            environment |= s3.environment
            bucket_folder = s3.folder
        if starts_cluster(settings):
            environment |= _start_cluster(home, child_environment(home, environment), children)
        stack = Stack(home, child_environment(home, environment), children, bucket_folder)
        _start_dagster(stack, settings, with_ui=with_ui, dagster_port=dagster_port)
        yield stack
    finally:
        for child in reversed(children):
            child.stop()
        lock.close()


def _start_cluster(home: Path, environment: dict[str, str], children: list[Child]) -> Mapping[str, str]:
    """Start the Dask cluster and return the variables that lead runs to it; nobody waits until it is warm."""
    cluster = Cluster(home)
    own = environment | {SUPERVISOR: str(os.getpid())}
    children.append(start("dask cluster", cluster.command, own, home / "logs" / "dask.log"))
    return cluster.environment


def _start_dagster(stack: Stack, settings: Settings, *, with_ui: bool, dagster_port: int) -> None:
    """Start one code server for all, the daemon, and the UI; the slow starts overlap."""
    code_port = free_port()
    logs, workspace = stack.home / "logs", str(write_workspace(stack.home, code_port))
    code_server = code_server_command(code_port, settings)
    server = start("dagster code server", code_server, stack.environment, logs / "code_server.log")
    stack.children.append(server)
    wait_until(lambda: listens(code_port), server, START_SECONDS)
    stack.children.append(
        start("dagster daemon", daemon_command(workspace, settings), stack.environment, logs / "daemon.log")
    )
    if with_ui:
        port = free_port(dagster_port)
        ui = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port), "-w", workspace]
        ui += dagster_logging(settings)
        webserver = start("dagster webserver", ui, stack.environment, logs / "webserver.log")
        stack.children.append(webserver)
        wait_until(lambda: listens(port), webserver, START_SECONDS)
        stack.dagster_url = f"http://127.0.0.1:{port}"
