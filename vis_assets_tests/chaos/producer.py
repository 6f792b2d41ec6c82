"""An independent producer: publishes jobs, keeps a ledger of its own on disk, and judges what became of them.

It also stands for the application: a stream of its own captures the results that are published, so that none is missed
while the listener is away, and wire repeats can be counted.
"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from nats.js.api import StreamConfig
from nats.js.errors import NotFoundError

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.delivery.ledger import RESULT_STREAM, read_dead_letters, read_records
from vis_assets.errors import BrokerUnavailable
from vis_assets.protocol.subjects import JOB_SUBJECT

POISON_SHARE = 0.04
INVALID_SHARE = 0.05
MISSING_SHARE = 0.1
WIRE_STREAM = "APPLICATION"
"""Captures what is published on the result subject."""
RESULT_SUBJECT = "worker.result.visualization"


@dataclass
class Ledger:
    """What the producer sent, written to disk before it is sent.

    Attributes:
        path: where it is kept.
        kinds: job id -> good, missing (a collection that is not there), or poison (fails for ever, but may be retried).
        invalid: numbers of the messages that are no jobs.
        sent: how many messages were handed to the stream.
    """

    path: Path
    kinds: dict[str, str] = field(default_factory=dict)
    invalid: list[int] = field(default_factory=list)
    sent: int = 0

    @classmethod
    def at(cls, path: Path) -> Self:
        """Go on with the ledger there, or begin one."""
        return cls(path, **json.loads(path.read_text())) if path.exists() else cls(path)

    def write_down(self, number: int, kind: str) -> None:
        """Note a message that is about to be sent."""
        if kind == "invalid":
            self.invalid += [] if number in self.invalid else [number]
        else:
            self.kinds[f"chaos-{number}"] = kind
        self._save()

    def note_sent(self, number: int) -> None:
        """Note that the stream confirmed a message."""
        self.sent = number + 1
        self._save()

    def _save(self) -> None:
        values = {name: value for name, value in asdict(self).items() if name != "path"}
        unfinished = self.path.with_suffix(".new")
        unfinished.write_text(json.dumps(values))
        unfinished.replace(self.path)


def make_jobs(count: int, seed: int, qdrant_url: str, dead_url: str) -> list[tuple[str, bytes]]:
    """Make messages of all kinds in a random, repeatable order; each is (kind, payload)."""
    rng = random.Random(seed)  # noqa: S311 - a repeatable mix of jobs
    messages = []
    for number in range(count):
        draw = rng.random()
        kind = "invalid" if draw < INVALID_SHARE else "poison" if draw < INVALID_SHARE + POISON_SHARE else "good"
        if kind == "good" and rng.random() < MISSING_SHARE:
            kind = "missing"
        payload = (
            b"{not json" if kind == "invalid" else json.dumps(job_message(number, kind, qdrant_url, dead_url)).encode()
        )
        messages.append((kind, payload))
    return messages


def job_message(number: int, kind: str, qdrant_url: str, dead_url: str) -> dict[str, Any]:
    """Make one job: a map of two points, or of a collection that is missing, or of a server that is not there."""
    return {
        "job_id": f"chaos-{number}",
        "visualization_transform_id": number % 97,
        "visualization_id": number,
        "owner": "chaos@example.com",
        "qdrant_collection_name": "absent" if kind == "missing" else "tiny",
        "vector_database_config": {"connection_url": dead_url if kind == "poison" else qdrant_url},
    }


def listen(connection: NatsConnection) -> None:
    """Make the stream that captures what is published on the result subject."""

    async def make(client: Any) -> None:
        try:
            await client.jetstream().stream_info(WIRE_STREAM)
        except NotFoundError:
            # Without a window for doubles: a repeat on the wire is to be seen.
            config = StreamConfig(name=WIRE_STREAM, subjects=[RESULT_SUBJECT, f"{RESULT_SUBJECT}.>"])
            config.duplicate_window = 0.1
            await client.jetstream().add_stream(config)

    connection.run(make)


def publish(connection: NatsConnection, ledger: Ledger, messages: Sequence[tuple[str, bytes]]) -> None:
    """Send what the ledger does not know as sent: write each message down, send it until JetStream confirms it."""
    persist(lambda: connection.run(ensure_stream))
    for number, (kind, payload) in enumerate(messages):
        if number >= ledger.sent:
            ledger.write_down(number, kind)
            _send(connection, payload, f"chaos-{number}")
            ledger.note_sent(number)


def _send(connection: NatsConnection, payload: bytes, message_id: str) -> None:
    """Publish until the stream confirms; it drops a second message of one id."""
    headers = {"Nats-Msg-Id": message_id}
    persist(lambda: connection.run(lambda c: c.jetstream().publish(JOB_SUBJECT, payload, headers=headers, timeout=2)))


def persist(call: Callable[[], Any]) -> Any:
    """Repeat a call until NATS answers: it is under attack."""
    while True:
        try:
            return call()
        except BrokerUnavailable:
            time.sleep(0.2)


@dataclass(frozen=True)
class Verdict:
    """What became of everything; the table of the README is made of this.

    Attributes:
        jobs: valid jobs that were sent.
        completed: of these, those whose terminal record says so.
        failed: of these, those whose terminal record says so.
        poison: of these, those that can never be done, which nobody can know.
        lost: of these, those without a terminal record.
        told_twice: of these, those with more than one terminal record.
        wrong: of these, those whose terminal record says what cannot be.
        unheard: of these, those whose terminal result was not on the wire.
        wire_repeats: terminal results that were on the wire once more.
        invalid: messages that are no jobs.
        answered: of these, those with an error result.
        dead_letters: jobs among the dead letters.
        wrong_letters: of these, those that are not poison.
        left_in_queue: messages that nobody acknowledged.
        left_records: records of jobs that are not at their end.
    """

    jobs: int
    completed: int
    failed: int
    poison: int
    lost: int
    told_twice: int
    wrong: int
    unheard: int
    wire_repeats: int
    invalid: int
    answered: int
    dead_letters: int
    wrong_letters: int
    left_in_queue: int
    left_records: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, told wrongly or left over."""
        bad = (self.lost, self.told_twice, self.wrong, self.unheard, self.wrong_letters, self.left_in_queue)
        same = (self.answered, self.dead_letters) == (self.invalid, self.poison)
        return not any(bad) and not self.left_records and same


def pending(connection: NatsConnection) -> int:
    """Count what is not finished: messages in the queue, and records."""
    waiting, handed_out = connection.run(queue_depth)
    return waiting + handed_out + len(connection.run(read_records))


def judge(connection: NatsConnection, ledger: Ledger) -> Verdict:
    """Compare the ledger with the terminal records, the wire, the dead letters and what is left."""
    results: dict[str, list[str]] = {}
    for subject, _, body in connection.run(lambda c: _all(c, RESULT_STREAM), timeout=120):
        results.setdefault(subject.rpartition(".")[2], []).append(body["status"])
    told: Counter[str] = Counter()
    answered: set[str] = set()
    for _, message_id, body in connection.run(lambda c: _all(c, WIRE_STREAM), timeout=120):
        if body.get("status") not in {"completed", "failed", "canceled"}:
            continue
        if body.get("jobId") is None:
            answered.add(message_id)
        else:
            told[body["jobId"]] += 1
    expected = {"good": "completed", "missing": "failed", "poison": "failed"}
    ends = Counter(statuses[0] for statuses in results.values())
    poison = {job for job, kind in ledger.kinds.items() if kind == "poison"}
    letters = set(connection.run(read_dead_letters))
    return Verdict(
        jobs=len(ledger.kinds),
        completed=ends["completed"],
        failed=ends["failed"],
        poison=len(poison),
        lost=len(set(ledger.kinds) - set(results)),
        told_twice=sum(len(statuses) > 1 for statuses in results.values()),
        wrong=sum(results.get(job, [expected[kind]])[0] != expected[kind] for job, kind in ledger.kinds.items()),
        unheard=len(set(ledger.kinds) - set(told)),
        wire_repeats=sum(count - 1 for count in told.values()),
        invalid=len(ledger.invalid),
        answered=len(answered),
        dead_letters=len(letters),
        wrong_letters=len(letters - poison),
        left_in_queue=sum(connection.run(queue_depth)),
        left_records=len(connection.run(read_records)),
    )


async def _all(client: Any, stream: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Read every message of a stream: subject, message id, body."""
    jetstream = client.jetstream()
    state = (await jetstream.stream_info(stream)).state
    found = []
    for sequence in range(state.first_seq, state.last_seq + 1):
        try:
            message = await jetstream.get_msg(stream, sequence)
        except NotFoundError:
            continue
        found.append(
            (message.subject, (message.headers or {}).get("Nats-Msg-Id", ""), json.loads(message.data or b"{}"))
        )
    return found
