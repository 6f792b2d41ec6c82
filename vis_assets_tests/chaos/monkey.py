"""Who attacks, when and what. Every attack is named; a step attack waits until the step is seen from outside."""

import contextlib
import os
import random
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import LEASES, RESULT_STREAM
from vis_assets.errors import BrokerUnavailable
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM
from vis_assets_tests.chaos.victims import Arena

STEP_SECONDS = 8.0
"""How long an attack waits for its step before it strikes anyway."""


@dataclass
class Monkey:
    """Attacks an arena.

    Attributes:
        arena: what is attacked.
        connection: to NATS, past the proxies.
        rng: decides; a seed repeats the order of the attacks, though not their exact moments.
        hits: attack -> how often it struck at its step (or at random, for those without one).
        missed: attack -> how often its step did not come in time.
    """

    arena: Arena
    connection: NatsConnection
    rng: random.Random
    hits: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)

    @property
    def attacks(self) -> dict[str, tuple[Callable[[], object] | None, Callable[[], None]]]:
        """Attack -> (what is watched until it changes, what is done then)."""
        arena, somewhat = self.arena, self.rng.uniform
        attacks: dict[str, tuple[Callable[[], object] | None, Callable[[], None]]] = {
            "fetched": (self._delivered, arena.code_server.kill),
            "tick written": (self._runs, arena.daemon.kill),
            "running": (self._leases, self._kill_run),
            "page stored": (self._pages, arena.code_server.kill),
            "result published": (self._results, arena.code_server.kill),
            "acked": (self._queued, arena.daemon.kill),
            "kill NATS": (None, arena.nats.kill),
            "kill S3": (None, arena.s3.kill),
            "kill daemon": (None, arena.daemon.kill),
            "kill code server": (None, arena.code_server.kill),
            "kill runs": (None, self._kill_run),
            "stop code server": (None, lambda: arena.code_server.stall(somewhat(2, 6))),
            "stop daemon": (None, lambda: arena.daemon.stall(somewhat(2, 6))),
            "stop a run past its lease": (self._leases, self._stop_run),
            "stall NATS": (None, lambda: arena.nats_proxy.stall(somewhat(1, 6))),
            "cut NATS": (None, arena.nats_proxy.cut),
            "stall S3": (None, lambda: arena.s3_proxy.stall(somewhat(1, 6))),
            "cut S3": (None, arena.s3_proxy.cut),
        }
        if arena.objects.is_small:
            attacks["fill the disk of S3"] = (None, lambda: arena.objects.fill(somewhat(2, 8)))
        if arena.installation.is_small:
            attacks["fill the disk of Dagster"] = (None, lambda: arena.installation.fill(somewhat(2, 8)))
        return attacks

    def plan(self, kills: int) -> list[str]:
        """Return a repeatable order of attacks in which each kind comes up as evenly as can be."""
        kinds = list(self.attacks)
        order = [kinds[i % len(kinds)] for i in range(kills)]
        random.Random(f"{kills}:{self.rng.random()}").shuffle(order)  # noqa: S311 - a repeatable order
        return order

    def still_wanted(self, times: int) -> list[str]:
        """Return the attacks at a step that struck there less often than this."""
        return [name for name, (watched, _) in self.attacks.items() if watched and self.hits[name] < times]

    def strike(self, name: str) -> None:
        """Wait for the step, strike, and let what died come back after a moment."""
        watched, attack = self.attacks[name]
        if watched is None or self._changes(watched):
            self.hits[name] += 1
        else:
            self.missed[name] += 1
        attack()
        time.sleep(self.rng.uniform(0, 1.5))
        self.arena.revive()

    def _changes(self, watched: Callable[[], object]) -> bool:
        before, deadline = watched(), time.monotonic() + STEP_SECONDS
        while time.monotonic() < deadline:
            now = watched()
            if now is not None and before is not None and now != before:
                return True
            before = now if before is None else before
            time.sleep(0.005)
        return False

    def _delivered(self) -> object:
        info = self._ask(lambda c: c.jetstream(timeout=1).consumer_info(JOB_STREAM, JOB_CONSUMER))
        return info and info.delivered.consumer_seq

    def _queued(self) -> object:
        """What was acknowledged: the first message that is left, and how many are behind it and taken out."""
        info = self._ask(lambda c: c.jetstream(timeout=1).stream_info(JOB_STREAM))
        return info and info.state.last_seq - info.state.messages

    def _results(self) -> object:
        info = self._ask(lambda c: c.jetstream(timeout=1).stream_info(RESULT_STREAM))
        return info and info.state.last_seq

    def _leases(self) -> object:
        info = self._ask(lambda c: c.jetstream(timeout=1).stream_info(f"KV_{LEASES}", subjects_filter=">"))
        return info and tuple(sorted(info.state.subjects or {}))

    def _pages(self) -> object:
        return len(list(self.arena.objects.folder.glob("*/attempts/*/*/*.html"))) or None

    def _runs(self) -> object:
        database = self.arena.installation.folder / "history" / "runs.db"
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
        ):
            return db.execute("select count(*) from runs").fetchone()[0]
        return None

    def _ask(self, call: Callable[[Any], Any]) -> Any:
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            return self.connection.run(call, timeout=2)
        return None

    def _kill_run(self) -> None:
        """Kill the processes of runs, and leave the code server alone."""
        for pid in self._run_pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _stop_run(self) -> None:
        """Suspend the process of a run until another attempt has begun, then let it go on: a zombie."""
        pids = self._run_pids()
        if not pids:
            return
        pid = self.rng.choice(pids)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
            time.sleep(self.arena.lease_seconds * self.rng.uniform(1.2, 1.6))
            os.kill(pid, signal.SIGCONT)

    def _run_pids(self) -> list[int]:
        pids = []
        for pid in self.arena.code_server.children():
            with contextlib.suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    pids.append(pid)
        return pids
