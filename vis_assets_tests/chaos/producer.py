"""An independent producer: publishes jobs, keeps a ledger of its own on disk, and judges what became of them."""

import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.delivery.ledger import RESULT_STREAM, read_dead_letters, read_records
from vis_assets.errors import BrokerUnavailable
from vis_assets.protocol.subjects import JOB_SUBJECT

POISON_SHARE = 0.05
INVALID_SHARE = 0.05
MISSING_SHARE = 0.1


@dataclass
class Ledger:
    """What the producer sent, written down before it is sent.

    Attributes:
        kinds: job id -> good, missing (a collection that is not there), or poison (fails for ever, but may be retried).
        invalid: messages that are no jobs.
        wire: job id -> terminal messages heard on the wire.
        rejected: error results heard for messages that are no jobs.
    """

    kinds: dict[str, str] = field(default_factory=dict)
    invalid: int = 0
    wire: Counter[str] = field(default_factory=Counter)
    rejected: int = 0

    def hear(self, message: dict[str, Any]) -> None:
        """Count a terminal message."""
        if message.get("status") in {"completed", "failed", "canceled"}:
            if message.get("jobId") is None:
                self.rejected += 1
            else:
                self.wire[message["jobId"]] += 1


def make_jobs(count: int, seed: int, qdrant_url: str, dead_url: str) -> list[tuple[str, bytes]]:
    """Make messages of all kinds in a random, repeatable order; each is (kind, payload)."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable mix of jobs
    messages = []
    for number in range(count):
        draw = rng.random()
        kind = "invalid" if draw < INVALID_SHARE else "poison" if draw < INVALID_SHARE + POISON_SHARE else "good"
        if kind == "good" and rng.random() < MISSING_SHARE:
            kind = "missing"
        payload = b"{not json" if kind == "invalid" else json.dumps(_job(number, kind, qdrant_url, dead_url)).encode()
        messages.append((kind, payload))
    return messages


def _job(number: int, kind: str, qdrant_url: str, dead_url: str) -> dict[str, Any]:
    return {
        "job_id": f"chaos-{number}",
        "visualization_transform_id": number % 97,
        "visualization_id": number,
        "owner": "chaos@example.com",
        "qdrant_collection_name": "absent" if kind == "missing" else "tiny",
        "vector_database_config": {"connection_url": dead_url if kind == "poison" else qdrant_url},
    }


def publish(connection: NatsConnection, ledger: Ledger, messages: list[tuple[str, bytes]], offset: int = 0) -> None:
    """Write each message down, then send it, until JetStream confirms it."""
    connection.run(ensure_stream)
    for number, (kind, payload) in enumerate(messages, offset):
        if kind == "invalid":
            ledger.invalid += 1
        else:
            ledger.kinds[f"chaos-{number}"] = kind
        _send(connection, payload, f"chaos-{number}")


def _send(connection: NatsConnection, payload: bytes, message_id: str) -> None:
    """Publish until the stream confirms; it drops a second message of one id."""
    while True:
        try:
            connection.run(
                lambda c: c.jetstream().publish(JOB_SUBJECT, payload, headers={"Nats-Msg-Id": message_id}, timeout=2)
            )
        except BrokerUnavailable:
            time.sleep(0.2)
        else:
            return


def save(ledger: Ledger, path: Path) -> None:
    """Write the ledger to disk."""
    path.write_text(json.dumps({**ledger.__dict__, "wire": dict(ledger.wire)}))


@dataclass(frozen=True)
class Verdict:
    """What became of everything; the table of the README is made of this."""

    jobs: int
    invalid: int
    lost: int
    wrong: int
    wire_repeats: int
    rejected: int
    dead_letters: int
    poison: int
    left_in_queue: int
    left_records: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, told wrongly or left over."""
        return (
            self.lost == 0
            and self.wrong == 0
            and self.rejected >= self.invalid
            and self.dead_letters == self.poison
            and self.left_in_queue == 0
            and self.left_records == 0
        )


def pending(connection: NatsConnection) -> int:
    """Count what is not finished: messages in the queue, and records."""
    waiting, handed_out = connection.run(queue_depth)
    return waiting + handed_out + len(connection.run(read_records))


def judge(connection: NatsConnection, ledger: Ledger) -> Verdict:
    """Compare the ledger with the terminal records, the dead letters and what is left."""
    results = connection.run(_results)
    expected = {"good": "completed", "missing": "failed", "poison": "failed"}
    wrong = [job for job, kind in ledger.kinds.items() if job in results and results[job] != expected[kind]]
    depth = connection.run(queue_depth)
    return Verdict(
        jobs=len(ledger.kinds),
        invalid=ledger.invalid,
        lost=len(set(ledger.kinds) - set(results)),
        wrong=len(wrong),
        wire_repeats=sum(count - 1 for count in ledger.wire.values()),
        rejected=ledger.rejected,
        dead_letters=len(connection.run(read_dead_letters)),
        poison=sum(kind == "poison" for kind in ledger.kinds.values()),
        left_in_queue=sum(depth),
        left_records=len(connection.run(read_records)),
    )


async def _results(client: Any) -> dict[str, str]:
    """Read every terminal record: job id -> status. The stream keeps one for each subject."""
    jetstream = client.jetstream()
    info = await jetstream.stream_info(RESULT_STREAM, subjects_filter=">")
    found = {}
    for subject, count in (info.state.subjects or {}).items():
        assert count == 1, f"{subject} has {count} terminal records"
        message = await jetstream.get_last_msg(RESULT_STREAM, subject)
        found[subject.rpartition(".")[2]] = json.loads(message.data)["status"]
    return found
