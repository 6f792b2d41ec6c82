"""Who kills and stops what, and when. Step attacks wait until the step is seen from outside."""

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from vis_assets.delivery.connection import NatsConnection
from vis_assets_tests.chaos.lookout import Lookout, Probe
from vis_assets_tests.chaos.stub.arena import Arena
from vis_assets_tests.chaos.stub.clocks import LEASE_SECONDS
from vis_assets_tests.chaos.stub.processes import Stub

STEP_SECONDS = 3.0
"""How long an attack waits for its step before it strikes anyway."""


@dataclass
class StubMonkey:
    """Attacks an arena.

    Attributes:
        arena: what is attacked.
        connection: to NATS, which is attacked too.
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
        return Lookout(self.connection, self.arena.home, STEP_SECONDS)

    @property
    def attacks(self) -> dict[str, tuple[Probe | None, Callable[[], None]]]:
        """Attack -> (what is watched until it changes, what is done then)."""
        long, short = (1.2, 3.0), (0.2, 0.8)
        return {
            "fetched, kill daemons": (self.lookout.delivered, self._kill_daemons),
            "run created, kill daemons": (self.lookout.runs, self._kill_daemons),
            "page stored, kill daemons": (self._pages, self._kill_daemons),
            "result written, kill daemons": (self.lookout.results, self._kill_daemons),
            "acked, kill daemons": (self.lookout.acknowledged, self._kill_daemons),
            "page stored, zombie runner": (self._pages, lambda: self._stall_runner(*long)),
            "result written, zombie daemon": (self.lookout.results, lambda: self._stall_daemon(*long)),
            "kill daemon": (None, lambda: self.rng.choice(self.arena.daemons).kill()),
            "zombie daemon": (None, lambda: self._stall_daemon(*long)),
            "stop daemon": (None, lambda: self._stall_daemon(*short)),
            "kill runner": (None, lambda: self._runner().kill()),
            "zombie runner": (None, lambda: self._stall_runner(*long)),
            "stop runner": (None, lambda: self._stall_runner(*short)),
            "result written, kill nats": (self.lookout.results, self.arena.nats.kill),
            "kill nats": (None, self.arena.nats.kill),
            "stop nats": (None, lambda: self.arena.nats.stall(self.rng.uniform(0.2, 1.2) * LEASE_SECONDS)),
        }

    def plan(self, kills: int) -> list[str]:
        """Return a repeatable order of attacks in which each kind comes up as evenly as can be."""
        kinds = list(self.attacks)
        order = [kinds[i % len(kinds)] for i in range(kills)]
        self.rng.shuffle(order)
        return order

    def strike(self, name: str) -> None:
        """Wait for the step, strike, and let what died come back after a moment."""
        probe, attack = self.attacks[name]
        if probe is None or self.lookout.sees(probe):
            self.hits[name] += 1
        else:
            self.missed[name] += 1
        attack()
        time.sleep(self.rng.uniform(0, 0.5))
        self.arena.revive()

    def _runner(self) -> Stub:
        return self.rng.choice(self.arena.busy_runners or self.arena.runners)

    def _kill_daemons(self) -> None:
        for stub in self.arena.daemons:
            stub.kill()

    def _stall_runner(self, least: float, most: float) -> None:
        self._runner().stall(self.rng.uniform(least, most) * LEASE_SECONDS)

    def _stall_daemon(self, least: float, most: float) -> None:
        self.rng.choice(self.arena.daemons).stall(self.rng.uniform(least, most) * LEASE_SECONDS)

    def _pages(self) -> object:
        return len(list(self.arena.settings.store_folder.glob("attempts/*/*/*.html")))
