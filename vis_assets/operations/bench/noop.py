"""What stock Dagster can do at best on this machine: runs of a job that does nothing, with our settings."""

import contextlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from vis_assets.operations.bench.machine import busy_cpu_seconds
from vis_assets.operations.bench.noop_graph import JOB
from vis_assets.operations.dagster_commands import dagster_logging
from vis_assets.operations.home import child_environment, prepare_home, write_workspace
from vis_assets.operations.processes import Child, ProcessFailed, free_port, listens, start, wait_until
from vis_assets.settings import Settings

if TYPE_CHECKING:
    from dagster import DagsterInstance
    from dagster_graphql import DagsterGraphQLClient

START_SECONDS = 120.0
LONGEST_SECONDS = 900.0
POLL_SECONDS = 0.2
LATENCY_RUNS = 5
LOCATION = "vis_assets"
ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})


@dataclass(frozen=True)
class NoopReport:
    """What stock Dagster did.

    Attributes:
        runs: how many were launched at once.
        runs_per_minute: from the first launch to the last end.
        median_seconds: launch to end, one after the other.
        cpu_seconds_per_run: of the whole machine, while `runs` ran.
    """

    runs: int
    runs_per_minute: float
    median_seconds: float
    cpu_seconds_per_run: float


def run_noops(settings: Settings, runs: int) -> NoopReport:
    """Run the no-op job in a deployment of its own in the home of these settings.

    Dagster's settings are ours, but for a run launcher of our own; the executor is the in-process one, as for our jobs.

    Args:
        settings: whose home folder is used; nothing else may work there.
        runs: how many to launch at once.

    Raises:
        ProcessFailed: a process did not start or ended, or a run failed.
    """
    from dagster import DagsterInstance

    with _deployment(settings) as (client, home, children), DagsterInstance.from_config(str(home)) as instance:
        _all_ended(instance, [_launch(client)], children)  # the first run of a deployment makes its tables
        single = []
        for _ in range(min(LATENCY_RUNS, runs)):
            launched = time.time()
            single.append(_all_ended(instance, [_launch(client)], children) - launched)
        busy, launched = busy_cpu_seconds(), time.time()
        last_end = _all_ended(instance, [_launch(client) for _ in range(runs)], children)
        cpu_seconds = busy_cpu_seconds() - busy
    return NoopReport(runs, 60 * runs / (last_end - launched), statistics.median(single), cpu_seconds / runs)


@contextlib.contextmanager
def _deployment(settings: Settings) -> Iterator[tuple["DagsterGraphQLClient", Path, list[Child]]]:
    """Run code server, daemon and webserver as `dev` does, on the no-op graph."""
    from dagster_graphql import DagsterGraphQLClient

    home = prepare_home(settings)
    _use_stock_launcher(home / "dagster.yaml")
    environment, logs = child_environment(home, {}), home / "logs"
    os.environ["DAGSTER_HOME"] = str(home)
    code_port, ui_port = free_port(), free_port()
    workspace = str(write_workspace(home, code_port))
    dagster = [sys.executable, "-m"]
    place = ["-m", "vis_assets.operations.bench.noop_graph", "-h", "127.0.0.1", "-p", str(code_port)]
    commands = {
        "code server": [*dagster, "dagster", "api", "grpc", *place, "--location-name", LOCATION],
        "daemon": [*dagster, "dagster._daemon", "run", "-w", workspace],
        "webserver": [*dagster, "dagster_webserver", "-h", "127.0.0.1", "-p", str(ui_port), "-w", workspace],
    }
    ports = {"code server": code_port, "webserver": ui_port}
    children: list[Child] = []
    try:
        for name, line in commands.items():
            child = start(f"no-op {name}", [*line, *dagster_logging(settings)], environment, logs / f"{name}.log")
            children.append(child)
            if name in ports:
                wait_until(lambda port=ports[name]: listens(port), child, START_SECONDS)  # type: ignore[misc]
        yield DagsterGraphQLClient("127.0.0.1", port_number=ui_port), home, children
    finally:
        for child in reversed(children):
            child.stop()


def _use_stock_launcher(dagster_yaml: Path) -> None:
    stock: dict[str, Any] = yaml.safe_load(dagster_yaml.read_text())
    stock.pop("run_launcher", None)
    dagster_yaml.write_text(yaml.safe_dump(stock))


def _launch(client: "DagsterGraphQLClient") -> str:
    return client.submit_job_execution(JOB, repository_location_name=LOCATION, repository_name="__repository__")


def _all_ended(instance: "DagsterInstance", run_ids: list[str], children: list[Child]) -> float:
    """Wait until runs have ended; return the time of the last end, seconds since the epoch."""
    deadline = time.monotonic() + LONGEST_SECONDS
    ends: dict[str, float] = {}
    while len(ends) < len(run_ids):
        for child in children:
            child.require_running()
        if time.monotonic() > deadline:
            raise ProcessFailed(f"{len(run_ids) - len(ends)} no-op runs did not end within {LONGEST_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
        ends |= _ends(instance, [run_id for run_id in run_ids if run_id not in ends])
    return max(ends.values())


def _ends(instance: "DagsterInstance", run_ids: list[str]) -> dict[str, float]:
    from dagster import RunsFilter

    ends = {}
    for record in instance.get_run_records(RunsFilter(run_ids=run_ids)):
        status = record.dagster_run.status.value
        if status in ENDED - {"SUCCESS"}:
            raise ProcessFailed(f"no-op run {record.dagster_run.run_id} ended with {status}")
        if status in ENDED and record.end_time is not None:
            ends[record.dagster_run.run_id] = record.end_time
    return ends
