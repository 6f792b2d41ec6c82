"""`make chaos JOBS=300 KILLS=100 SEED=7`: jobs through the whole system while it is attacked; prints a table.

Exit code 0 only if nothing was lost, told wrongly or left over. Takes long: what happens goes to `chaos.log` in the
home folder, and a run that was interrupted goes on where it was when it is started again with the same `--home`.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from vis_assets.delivery.connection import NatsConnection
from vis_assets.errors import BrokerUnavailable
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.processes import free_port
from vis_assets.sources.points import POINTS_SCHEMA
from vis_assets_tests.chaos.monkey import Monkey
from vis_assets_tests.chaos.producer import Ledger, Verdict, judge, listen, make_jobs, pending, persist, publish
from vis_assets_tests.chaos.victims import Arena, arena, give_back_disks

FACTOR = 4
"""How much faster than real the clocks of delivery go: leases, and the waits between attempts at least so much."""
SETTINGS = {
    "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1",
    "VIS_ASSETS_RETRY_SECONDS": "1,2,4,8",
    "VIS_ASSETS_LEASE_SECONDS": str(60 // FACTOR),
    "MAX_LOST_ATTEMPTS": "100",
    "MAX_ATTEMPTS": "6",
    "MAX_CONCURRENT_JOBS": "3",
}
HITS = 3
"""How often each step is to be hit at least, where there are attacks enough."""
PACE_SECONDS = 12.0
"""How long the next attack waits at most for the jobs to get as far as it is."""


@dataclass
class Course:
    """How far a run is; kept on disk, so that it can go on.

    Attributes:
        home: where everything is.
        jobs, kills, seed, qdrant_port: what was asked for.
        struck: how many attacks are done.
        hits, missed: see Monkey.
        seconds: how long it took so far.
    """

    home: Path
    jobs: int
    kills: int
    seed: int
    qdrant_port: int
    struck: int = 0
    hits: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    def save(self) -> None:
        """Write it down."""
        values = {name: value for name, value in self.__dict__.items() if name != "home"}
        (self.home / "course.json").write_text(json.dumps(values))

    def say(self, text: str) -> None:
        """Add a line to the log."""
        line = f"{time.strftime('%H:%M:%S')} {text}"
        with (self.home / "chaos.log").open("a") as log:
            print(line, file=log)
        print(line, file=sys.stderr, flush=True)  # noqa: T201


def begin(home: Path, jobs: int, kills: int, seed: int) -> Course:
    """Begin a run, or go on with the one in this folder, whatever is asked for now."""
    home.mkdir(parents=True, exist_ok=True)
    saved = home / "course.json"
    if not saved.exists():
        return Course(home, jobs, kills, seed, free_port())
    values = json.loads(saved.read_text())
    return Course(home, **{**values, "hits": Counter(values["hits"]), "missed": Counter(values["missed"])})


def run(course: Course, patience_seconds: float) -> Verdict:
    """Send jobs, attack, wait for the dust to settle, and judge."""
    began = time.monotonic() - course.seconds
    with EmbeddedQdrant(course.qdrant_port) as qdrant:
        table = pa.table({"id": ["1", "2"], "text": ["a", "b"], "payload": ["{}", "{}"]}, schema=POINTS_SCHEMA)
        qdrant.load_corpus("tiny", np.eye(2, 4, dtype=np.float32), table)
        with arena(course.home, SETTINGS) as made, NatsConnection(made.nats_url, "chaos") as connection:
            persist(lambda: listen(connection))
            ledger = Ledger.at(course.home / "ledger.json")
            messages = make_jobs(course.jobs, course.seed, qdrant.url, "http://127.0.0.1:9")
            threading.Thread(target=publish, args=(connection, ledger, messages), daemon=True).start()
            monkey = Monkey(made, connection, random.Random(course.seed), course.hits, course.missed)  # noqa: S311
            _attack(course, monkey, connection, began)
            _settle(course, made, connection, ledger, patience_seconds)
            course.seconds = time.monotonic() - began
            course.save()
            verdict: Verdict = persist(lambda: judge(connection, ledger))
            return verdict


def table(verdict: Verdict, course: Course) -> str:
    """Write the outcome as the table of the README."""
    rows = [("seed", course.seed), ("minutes", round(course.seconds / 60)), *verdict.__dict__.items()]
    rows += [(f"attack: {name}", count) for name, count in sorted(course.hits.items())]
    rows += [(f"attack when its step was not seen: {name}", count) for name, count in sorted(course.missed.items())]
    lines = [f"| {name.replace('_', ' ')} | {value} |" for name, value in rows]
    return "\n".join(["| what | count |", "|---|---|", *lines])


def _attack(course: Course, monkey: Monkey, connection: NatsConnection, began: float) -> None:
    """Strike as planned, spread over the jobs; then where a step was not hit often enough."""
    plan = monkey.plan(course.kills)
    while course.struck < course.kills or _more(course, monkey, connection):
        name = plan[course.struck] if course.struck < course.kills else monkey.still_wanted(HITS)[0]
        _pace(course, connection)
        monkey.strike(name)
        course.struck += 1
        course.seconds = time.monotonic() - began
        course.save()
        course.say(f"attack {course.struck}/{course.kills}: {name}; {_left(course, connection)} unfinished")


def _more(course: Course, monkey: Monkey, connection: NatsConnection) -> bool:
    """Whether a step needs another attack, and there is still something to attack."""
    enough = course.kills >= HITS * len(monkey.attacks)
    return enough and bool(monkey.still_wanted(HITS)) and _left(course, connection) > 1


def _pace(course: Course, connection: NatsConnection) -> None:
    deadline = time.monotonic() + PACE_SECONDS
    target = course.jobs * (1 - course.struck / max(1, course.kills))
    while time.monotonic() < deadline and _left(course, connection) > target:
        time.sleep(1)


def _settle(course: Course, made: Arena, connection: NatsConnection, ledger: Ledger, patience_seconds: float) -> None:
    deadline = time.monotonic() + patience_seconds
    while time.monotonic() < deadline:
        made.revive()
        left = _left(course, connection)
        if left == 0 and ledger.sent == course.jobs:
            return
        course.say(f"{left} unfinished")
        time.sleep(3)


def _left(course: Course, connection: NatsConnection) -> int:
    try:
        return pending(connection)
    except (BrokerUnavailable, TimeoutError):
        return course.jobs  # NATS is dead at this moment


def main() -> None:
    """Read the arguments, run, print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--patience", type=float, default=3600.0)
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what was started is ended either way
    home = options.home or Path(tempfile.mkdtemp(prefix="vis-assets-chaos-"))
    course = begin(home, options.jobs, options.kills, options.seed)
    course.say(f"in {home}; to go on after an interruption: make chaos CHAOS_HOME={home}")
    verdict = run(course, options.patience)
    print(table(verdict, course))  # noqa: T201
    if verdict.is_clean:
        give_back_disks(home)
    sys.exit(0 if verdict.is_clean else 1)


if __name__ == "__main__":
    main()
