"""`make chaos JOBS=300 KILLS=100 SEED=7`: jobs through the whole system while it is attacked; prints a table.

Exit code 0 only if nothing was lost, told wrongly or left over. The log goes to a file in the arena's folder.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from vis_assets.delivery.connection import NatsConnection
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.job_client import JobClient
from vis_assets.sources.points import POINTS_SCHEMA
from vis_assets_tests.chaos.monkey import Monkey
from vis_assets_tests.chaos.producer import Ledger, Verdict, judge, make_jobs, pending, publish, save
from vis_assets_tests.chaos.victims import Arena, arena

SETTINGS = {
    "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1",
    "VIS_ASSETS_RETRY_SECONDS": "1,2,4",
    "VIS_ASSETS_LEASE_SECONDS": "15",
    "MAX_LOST_ATTEMPTS": "100",
    "MAX_ATTEMPTS": "8",
    "MAX_CONCURRENT_JOBS": "3",
}


def run(home: Path, jobs: int, kills: int, seed: int, patience_seconds: float) -> tuple[Verdict, Monkey]:
    """Send jobs, attack, wait for the dust to settle, and judge."""
    with EmbeddedQdrant() as qdrant:
        table = pa.table({"id": ["1", "2"], "text": ["a", "b"], "payload": ["{}", "{}"]}, schema=POINTS_SCHEMA)
        qdrant.load_corpus("tiny", np.eye(2, 4, dtype=np.float32), table)
        with arena(home, SETTINGS) as made, NatsConnection(made.nats_url, "chaos") as connection:
            ledger = Ledger()
            messages = make_jobs(jobs, seed, qdrant.url, "http://127.0.0.1:9")
            _listen(made, ledger)
            monkey = Monkey(made, connection, random.Random(seed))  # noqa: S311 - a repeatable order of attacks
            sender = threading.Thread(target=publish, args=(connection, ledger, messages), daemon=True)
            sender.start()
            for number, name in enumerate(monkey.plan(kills), 1):
                monkey.strike(name)
                save(ledger, home / "ledger.json")
                _say(f"attack {number}/{kills}: {name}; {_left(connection)} unfinished")
            sender.join()
            _settle(made, connection, patience_seconds)
            save(ledger, home / "ledger.json")
            time.sleep(1)
            return judge(connection, ledger), monkey


def table(verdict: Verdict, monkey: Monkey, seed: int) -> str:
    """Write the outcome as the table of the README."""
    rows = [("seed", seed), *verdict.__dict__.items()]
    rows += [(f"hit: {name}", count) for name, count in sorted(monkey.hits.items())]
    rows += [(f"step not seen: {name}", count) for name, count in sorted(monkey.missed.items())]
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows]
    return "\n".join(["| what | count |", "|---|---|", *lines])


def _listen(made: Arena, ledger: Ledger) -> None:
    """Hear results as an application would, past the proxies; NATS may die, so it listens again."""

    def listen() -> None:
        client = JobClient(made.nats_url, "worker.result.visualization")
        while True:
            try:
                for message in client.watch():
                    ledger.hear(message)
            except Exception as error:  # noqa: BLE001 - whatever breaks, it listens again
                _say(f"listener: {error}")
                time.sleep(0.2)

    threading.Thread(target=listen, daemon=True).start()


def _settle(made: Arena, connection: NatsConnection, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        made.revive()
        left = _left(connection)
        if left == 0:
            return
        _say(f"{left} unfinished")
        time.sleep(3)


def _left(connection: NatsConnection) -> int:
    try:
        return pending(connection)
    except Exception as error:  # noqa: BLE001 - NATS may be dead at this moment
        _say(f"cannot count: {error}")
        return -1


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, file=sys.stderr, flush=True)  # noqa: T201 - a command of the tests


def main() -> None:
    """Read the arguments, run, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=3600.0)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    home = options.home or Path(tempfile.mkdtemp(prefix="vis-assets-chaos-"))
    verdict, monkey = run(home, options.jobs, options.kills, options.seed, options.patience)
    print(table(verdict, monkey, options.seed))  # noqa: T201
    _say(f"logs: {home / 'logs'}")
    sys.exit(0 if verdict.is_clean else 1)


if __name__ == "__main__":
    main()
