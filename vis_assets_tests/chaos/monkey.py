"""Who attacks, when and what. Every attack is named; a step attack waits until the step is seen from outside."""

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import LEASES
from vis_assets_tests.chaos.lookout import Lookout, Probe
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
    def lookout(self) -> Lookout:
        """Who sees which step is reached."""
        return Lookout(self.connection, self.arena.installation.folder, STEP_SECONDS)

    @property
    def attacks(self) -> dict[str, tuple[Probe | None, Callable[[], None]]]:
        """Attack -> (what is watched until it changes, what is done then)."""
        arena, somewhat = self.arena, self.rng.uniform
        attacks: dict[str, tuple[Probe | None, Callable[[], None]]] = {
            "fetched": (self.lookout.delivered, arena.code_server.kill),
            "tick written": (self.lookout.runs, arena.daemon.kill),
            "running": (self._leases, self._kill_run),
            "page stored": (self._pages, arena.code_server.kill),
            "result published": (self.lookout.results, arena.code_server.kill),
            "acked": (self.lookout.acknowledged, arena.daemon.kill),
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
        if watched is None or self.lookout.sees(watched):
            self.hits[name] += 1
        else:
            self.missed[name] += 1
        attack()
        time.sleep(self.rng.uniform(0, 1.5))
        self.arena.revive()

    def _leases(self) -> object:
        info = self.lookout.ask(lambda c: c.jetstream(timeout=1).stream_info(f"KV_{LEASES}", subjects_filter=">"))
        return info and tuple(sorted(info.state.subjects or {}))

    def _pages(self) -> object:
        return len(list(self.arena.objects.folder.glob("*/attempts/*/*/*.html"))) or None

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
