"""`python -m vis_assets_tests.chaos.clocks`: the daemon is away for longer than ack_wait and the lease.

The consumer is the platform's (ack_wait 3600 s, lease 60 s), with both clocks shortened by one factor.
"""

import argparse
import contextlib
import json
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.run_tags import JOB_ID
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM, JOB_SUBJECT
from vis_assets.sources.points import POINTS_SCHEMA
from vis_assets_tests.chaos.producer import Ledger, Verdict, job_message, judge, listen, pending, publish
from vis_assets_tests.chaos.victims import Arena, arena, give_back_disks

ACK_WAIT_SECONDS = 3600.0
LEASE_SECONDS = 60.0
SLOTS = 2
JOBS = 5
PATIENCE_SECONDS = 300.0


@dataclass(frozen=True)
class Return:
    """What was found when the daemon had come back and all was done.

    Attributes:
        verdict: see producer.Verdict.
        runs: job id -> how many runs Dagster made for it.
        under_way: jobs that were running when the daemon went.
    """

    verdict: Verdict
    runs: Counter[str]
    under_way: int


def be_away(home: Path, ack_wait_seconds: float, lease_seconds: float) -> Return:
    """Stop the daemon while jobs run, for longer than both clocks; start it again, and wait until all is done."""
    settings = {
        "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1",
        "VIS_ASSETS_LEASE_SECONDS": str(lease_seconds),
        "VIS_ASSETS_RETRY_SECONDS": "1",
        "MAX_CONCURRENT_JOBS": str(SLOTS),
    }
    with EmbeddedQdrant() as qdrant:
        table = pa.table({"id": ["1", "2"], "text": ["a", "b"], "payload": ["{}", "{}"]}, schema=POINTS_SCHEMA)
        qdrant.load_corpus("tiny", np.eye(2, 4, dtype=np.float32), table)
        with arena(home, settings) as made, NatsConnection(made.nats_url, "clocks") as connection:
            connection.run(lambda c: _platforms_consumer(c, ack_wait_seconds))
            listen(connection)
            ledger = Ledger(home / "ledger.json")
            jobs = [job_message(number, "good", qdrant.url, "") for number in range(JOBS)]
            publish(connection, ledger, [("good", json.dumps(job).encode()) for job in jobs])
            _wait(lambda: _under_way(made) > 0)
            made.daemon.kill()
            under_way = _under_way(made)
            time.sleep(1.2 * max(ack_wait_seconds, lease_seconds))
            made.daemon.start()
            _wait(lambda: pending(connection) == 0)
            return Return(judge(connection, ledger), _runs(made), under_way)


async def _platforms_consumer(client: Client, ack_wait: float) -> None:
    """Make the stream and the consumer as the platform has them."""
    jetstream = client.jetstream()
    await jetstream.add_stream(
        StreamConfig(name=JOB_STREAM, subjects=[JOB_SUBJECT], retention=RetentionPolicy.WORK_QUEUE)
    )
    config = ConsumerConfig(durable_name=JOB_CONSUMER, ack_policy=AckPolicy.EXPLICIT)
    config.ack_wait, config.max_deliver, config.max_ack_pending = ack_wait, 3, 10
    await jetstream.add_consumer(JOB_STREAM, config)


def _under_way(made: Arena) -> int:
    """Count the runs that work at this moment."""
    return len(_query(made, "select run_id from runs where status = ?", "STARTED"))


def _runs(made: Arena) -> Counter[str]:
    """Count the runs of each job."""
    return Counter(row[0] for row in _query(made, "select value from run_tags where key = ?", JOB_ID))


def _query(made: Arena, question: str, value: str) -> list[tuple[str]]:
    database = made.installation.folder / "history" / "runs.db"
    with (
        contextlib.suppress(sqlite3.OperationalError),  # before the first run there is no table
        contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
    ):
        return db.execute(question, (value,)).fetchall()
    return []


def _wait(done: Any) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError("the jobs did not get there")
        time.sleep(0.2)


def main() -> None:
    """Read the factor, run, print what was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--factor", type=float, default=12.0)
    options = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="vis-assets-clocks-"))
    found = be_away(home, ACK_WAIT_SECONDS / options.factor, LEASE_SECONDS / options.factor)
    give_back_disks(home)
    print(json.dumps({**found.verdict.__dict__, "runs": found.runs, "under_way": found.under_way}))  # noqa: T201
    sys.exit(0 if found.verdict.is_clean and set(found.runs.values()) == {1} else 1)


if __name__ == "__main__":
    main()
