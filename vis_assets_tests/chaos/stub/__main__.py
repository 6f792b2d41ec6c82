"""`make chaos-stub JOBS=2000 KILLS=200 SEED=1`: thousands of jobs under attack; `--soak`: thousands in peace, weighed.

Exit code 0 only if nothing was lost, told wrongly, drawn over or left over, or, in the soak, nothing grew that may not.
The log goes to a file in the home folder.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from vis_assets.delivery import ledger as books
from vis_assets.delivery.connection import NatsConnection
from vis_assets.errors import BrokerUnavailable
from vis_assets.operations.processes import take_signals
from vis_assets.resources.object_store import open_store
from vis_assets_tests.chaos.producer import Ledger, pending, publish
from vis_assets_tests.chaos.stub.arena import Arena, arena
from vis_assets_tests.chaos.stub.monkey import StubMonkey
from vis_assets_tests.chaos.stub.runner import ZOMBIES
from vis_assets_tests.chaos.stub.verdict import StubVerdict, judge_stub, make_messages

T = TypeVar("T")
SLOTS = 6
LONGEST_PAUSE_SECONDS = 10.0
"""Between two attacks, where jobs settle more slowly than the attacks are spread."""
CANCEL_SHARE = 0.25
"""How many attacks come with a request to cancel a job that is under way."""


@dataclass
class Battle:
    """A run of the stub tier, in numbers.

    Attributes:
        verdict: what became of the jobs.
        hits: attack -> how often it struck.
        missed: attack -> how often its step was not seen.
        deaths: kills and stops that met a living process.
        zombies: runs that succeeded after they had been given up.
        seconds: from the first message to the last record.
    """

    verdict: StubVerdict
    hits: dict[str, int] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    deaths: int = 0
    zombies: int = 0
    seconds: float = 0.0

    def table(self, seed: int) -> str:
        """Write the outcome as the table of the README."""
        rows: list[tuple[str, object]] = [("seed", seed), *self.verdict.rows]
        rows += [("kills and stops", self.deaths), ("zombie runs", self.zombies), ("seconds", round(self.seconds))]
        rows += [(f"hit: {name}", count) for name, count in sorted(self.hits.items())]
        rows += [(f"step not seen: {name}", count) for name, count in sorted(self.missed.items())]
        lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows]
        return "\n".join(["| what | count |", "|---|---|", *lines])


@dataclass
class Log:
    """Where a run writes what happens."""

    path: Path

    def say(self, text: str) -> None:
        """Write a line."""
        with self.path.open("a") as sink:
            sink.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def run(
    home: Path, jobs: int, kills: int, seed: int, patience_seconds: float, *, slots: int = SLOTS, max_attempts: int = 6
) -> Battle:
    """Send jobs, attack, wait for the dust to settle, and judge."""
    home.mkdir(parents=True, exist_ok=True)
    log, ledger = Log(home / "stub.log"), Ledger(home / "ledger.json")
    sent, canceled = make_messages(jobs, seed), set[str]()
    rng = random.Random(seed)  # noqa: S311 - a repeatable order of attacks
    with arena(home, slots, max_attempts, one_event_file=True) as made:
        started = time.monotonic()
        url = made.settings.nats_url.get_secret_value()
        with NatsConnection(url, "stub producer") as connection:
            publish(connection, ledger, [(message.kind, message.payload) for message in sent])
            monkey = StubMonkey(made, connection, rng)
            for number, name in enumerate(monkey.plan(kills)):
                _await_share(connection, len(ledger.kinds) * number / (kills + 1))
                monkey.strike(name)
                if rng.random() < CANCEL_SHARE:
                    canceled |= _cancel_one(connection, rng)
                log.say(f"attack {number + 1}/{kills}: {name}; {_count(connection)} unfinished")
        _settle(made, url, patience_seconds, log)
        seconds = time.monotonic() - started
        (home / "canceled.json").write_text(json.dumps(sorted(canceled)))
        with NatsConnection(url, "stub judge") as connection:
            verdict = judge_stub(connection, open_store(made.settings), ledger, sent, canceled)
        deaths = made.nats.deaths + sum(stub.deaths for stub in made.stubs)
        battle = Battle(verdict, dict(monkey.hits), dict(monkey.missed), deaths, _lines(home / ZOMBIES), seconds)
        log.say(battle.table(seed))
        return battle


def _await_share(connection: NatsConnection, settled: float) -> None:
    """Spread the attacks evenly over the jobs: wait until so many have their result, but not for ever."""
    deadline = time.monotonic() + LONGEST_PAUSE_SECONDS
    while time.monotonic() < deadline:
        done = _ask(lambda: connection.run(_settled, timeout=2))
        if done is not None and done >= settled:
            return
        time.sleep(0.2)


async def _settled(client: object) -> int:
    info = await client.jetstream(timeout=1).stream_info(books.RESULT_STREAM)  # type: ignore[attr-defined]
    return int(info.state.messages)


def _cancel_one(connection: NatsConnection, rng: random.Random) -> set[str]:
    """Ask to cancel one of the jobs under way; which of them were asked for."""
    held = _ask(lambda: connection.run(books.read_records, timeout=5))
    if not held:
        return set()
    job_id = rng.choice(sorted(one.record.job_id for one in held))
    request = json.dumps({"job_id": job_id}).encode()
    _ask(lambda: connection.run(lambda c: c.jetstream(timeout=2).publish(books.CANCEL_SUBJECT, request), timeout=5))
    return {job_id}


def _settle(made: Arena, url: str, patience_seconds: float, log: Log) -> None:
    deadline = time.monotonic() + patience_seconds
    said = 0.0
    while time.monotonic() < deadline:
        made.revive()
        left = _ask(lambda: _count_anew(url))
        if left == 0:
            return
        if time.monotonic() > said + 5:
            said = time.monotonic()
            log.say(f"{left} unfinished")
        time.sleep(0.5)


def _count_anew(url: str) -> int:
    with NatsConnection(url, "stub count") as connection:
        return pending(connection)


def _count(connection: NatsConnection) -> int | None:
    return _ask(lambda: pending(connection))


def _ask(question: Callable[[], T]) -> T | None:
    try:
        return question()
    except BrokerUnavailable:  # NATS may be dead at this moment
        return None


def _lines(path: Path) -> int:
    return len(path.read_text().splitlines()) if path.exists() else 0


def main() -> None:
    """Read the arguments, run, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=1800.0)
    parser.add_argument("--home", type=Path)
    parser.add_argument("--soak", action="store_true", help="no attacks; weigh what grows")
    options = parser.parse_args()
    take_signals()
    home = (options.home or Path(tempfile.mkdtemp(prefix="vis-assets-stub-"))).absolute()
    if options.soak:
        from vis_assets_tests.chaos.stub.soak import soak

        text, clean = soak(home, options.jobs, options.seed, options.patience)
    else:
        battle = run(home, options.jobs, options.kills, options.seed, options.patience)
        text, clean = battle.table(options.seed), battle.verdict.is_clean
    print(text)  # noqa: T201 - a command of the tests
    print(f"log: {home / 'stub.log'}", file=sys.stderr)  # noqa: T201
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
