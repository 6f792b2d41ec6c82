"""The soak: thousands of stub jobs in peace, old things forgotten as they go, and everything weighed that could grow.

What is forgotten after days is forgotten after seconds here: retention is told that it is almost a day later.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dagster import DagsterInstance
from nats.aio.client import Client

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.resources.object_store import open_store
from vis_assets.sensors.retention import prune
from vis_assets_tests.chaos.producer import Ledger, pending, publish
from vis_assets_tests.chaos.stub.arena import Arena, arena
from vis_assets_tests.chaos.stub.processes import Stub
from vis_assets_tests.chaos.stub.verdict import StubVerdict, judge_stub, make_messages

SLOTS = 6
KEEP_SECONDS = 20.0
"""How old runs, specs and attempts become here; settings of a day, and a clock of retention that is ahead of ours."""
DAYS = {"VIS_ASSETS_RUN_DAYS": "1", "VIS_ASSETS_SPEC_DAYS": "1"}
PRUNE_SECONDS = 5.0
SAMPLES = 8
GROWS = {
    "stream VISUALIZATION_RESULTS": "one terminal result a job, until VIS_ASSETS_RESULT_DAYS",
    "stream DLQ_VISUALIZATION_TRANSFORMS": "one dead letter a poison job, until VIS_ASSETS_DEAD_LETTER_DAYS",
    "stream KV_visualization_leases": "one lease a run, for a day",
    "stream KV_visualization_pages": "one entry a page",
    "stream APPLICATION": "what the application was told; its own stream",
    "objects visualizations": "pages",
    "stream VISUALIZATION_TRANSFORMS": "the jobs that wait",
}
"""What may grow, and why; everything else must not."""
SLACK = {"bytes": 2e6, "objects": 80, "messages": 80, "files": 250, "rows": 80, "RSS MB": 20, "descriptors": 6}
"""Unit -> what comes and goes by chance."""
RISE = 1.25
"""How much more of something there may be at the end than in the first half."""


@dataclass
class Weights:
    """What was weighed, again and again.

    Attributes:
        settled: how many jobs had their result at each weighing.
        values: what -> its weight at each weighing; the last word is the unit.
    """

    settled: list[int] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, settled: int, weights: dict[str, float]) -> None:
        """Note one weighing; what is missing in it, or was before, weighs nothing."""
        for name in weights.keys() - self.values.keys():
            self.values[name] = [0.0] * len(self.settled)
        self.settled.append(settled)
        for name, column in self.values.items():
            column.append(weights.get(name, 0.0))

    def leaks(self) -> list[str]:
        """What grew that may not: its last two weights compared with those of the first half, but for the first."""
        return [name for name, column in self.values.items() if self._grew(name, column)]

    def _grew(self, name: str, column: list[float]) -> bool:
        unit = next(unit for unit in SLACK if name.endswith(unit))
        if name.startswith(tuple(GROWS)) or len(column) < 6:
            return False
        first, last = column[1 : len(column) // 2], column[-2:]
        return sum(last) / len(last) > RISE * sum(first) / len(first) + SLACK[unit]

    def table(self) -> str:
        """Write the weights as a Markdown table, a row for each thing, a column for each weighing."""
        leaks = set(self.leaks())
        lines = [
            f"| what | {' | '.join(str(n) for n in self.settled)} | may grow |",
            "|---" * (len(self.settled) + 2) + "|",
        ]
        for name, column in sorted(self.values.items()):
            reason = next((why for prefix, why in GROWS.items() if name.startswith(prefix)), "no")
            verdict = f"**grew: {reason}**" if name in leaks else reason
            lines.append(f"| {name} | {' | '.join(f'{value:.0f}' for value in column)} | {verdict} |")
        return "\n".join(lines)


def soak(home: Path, jobs: int, seed: int, patience_seconds: float) -> tuple[str, bool]:
    """Let jobs run in peace, forget, weigh; returns the tables and whether all is well."""
    home.mkdir(parents=True, exist_ok=True)
    sent, told, weights = make_messages(jobs, seed), Ledger(home / "ledger.json"), Weights()
    with arena(home, SLOTS, 6, DAYS, one_event_file=False) as made, DagsterInstance.from_config(str(home)) as instance:
        store = open_store(made.settings)
        with NatsConnection(made.settings.nats_url.get_secret_value(), "stub soak") as connection:
            publish(connection, told, [(message.kind, message.payload) for message in sent])
            deadline = time.monotonic() + patience_seconds
            marks: dict[str, str] = {}
            while time.monotonic() < deadline:
                later = time.time() + ledger.DAY_SECONDS - KEEP_SECONDS
                marks = dict(prune(instance, connection, store, made.settings, later, marks).marks)
                settled = connection.run(_settled)
                left = pending(connection)
                if settled >= len(weights.settled) * len(told.kinds) / SAMPLES or left == 0:
                    weights.add(settled, weigh(made, connection))
                    (home / "soak.md").write_text(weights.table())
                if left == 0:
                    break
                time.sleep(PRUNE_SECONDS)
            verdict = judge_stub(connection, store, told, sent, set())
    return f"{_rows(verdict)}\n\n{weights.table()}", verdict.is_clean and not weights.leaks()


def weigh(made: Arena, connection: NatsConnection) -> dict[str, float]:
    """Weigh everything once."""
    weights: dict[str, float] = {}
    dagster = [path for folder in ("history", "storage", "schedules") for path in _files(made.home / folder)]
    weights["Dagster files"] = len(dagster)
    weights["Dagster bytes"] = _bytes(dagster)
    weights["index.db bytes"] = _bytes(_files(made.home / "history" / "runs", "index.db*"))
    with DagsterInstance.from_config(str(made.home)) as instance:
        weights["runs rows"] = instance.get_runs_count()
    for folder in ("attempts", "specs", "visualizations"):
        objects = list(_files(made.settings.store_folder / folder))
        weights[f"objects {folder} objects"] = len(objects)
        weights[f"objects {folder} bytes"] = _bytes(objects)
    weights |= connection.run(_streams)
    for what, stubs in (("daemon", made.daemons), ("runner", made.runners)):
        weights[f"{what} RSS MB"] = _most(stubs, _resident_megabytes)
        weights[f"{what} descriptors"] = _most(stubs, lambda pid: len(list(Path(f"/proc/{pid}/fd").iterdir())))
    return weights


async def _streams(client: Client) -> dict[str, float]:
    weights: dict[str, float] = {}
    for info in await client.jetstream().streams_info():
        weights[f"stream {info.config.name} messages"] = info.state.messages
        weights[f"stream {info.config.name} bytes"] = info.state.bytes
    return weights


async def _settled(client: Client) -> int:
    return int((await client.jetstream().stream_info(ledger.RESULT_STREAM)).state.messages)


def _files(folder: Path, pattern: str = "*") -> Iterator[Path]:
    return (path for path in folder.rglob(pattern) if path.is_file())


def _bytes(paths: "list[Path] | Iterator[Path]") -> float:
    total = 0
    for path in paths:
        try:
            total += path.stat().st_size
        except FileNotFoundError:  # it went in this moment
            continue
    return float(total)


def _most(stubs: list[Stub], measure: Callable[[int], float]) -> float:
    return max(measure(stub.pid) for stub in stubs if stub.pid)


def _resident_megabytes(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _rows(verdict: StubVerdict) -> str:
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in verdict.rows]
    return "\n".join(["| what | count |", "|---|---|", *lines])
