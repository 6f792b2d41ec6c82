"""Jobs that were given up: looking at them, sending them again, forgetting them.

A replay is a new job: the sender was told that the old one failed, and a job id has one terminal result. Its id is the
old one and the number of the dead letter, `{job_id}-r{number}`. The number is never used again, so however often a
replay is repeated after a crash, it is the same job, and runs once.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

from nats.aio.client import Client
from pydantic import ValidationError

from vis_assets.delivery import ledger
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import REQUEST_SECONDS, NatsConnection
from vis_assets.delivery.job_stream import ensure_stream
from vis_assets.errors import InvalidJob, ObjectMissing
from vis_assets.protocol.job import parse_job, read_object
from vis_assets.protocol.subjects import JOB_STREAM, JOB_SUBJECT
from vis_assets.protocol.trace_context import trace_headers
from vis_assets.resources.object_store import open_store
from vis_assets.resources.sealing import open_sealer
from vis_assets.resources.specs import Spec, SpecStore
from vis_assets.settings import Settings

LONGEST_JOB_ID = 64
_REPLAYED = re.compile(r"-r\d+$")


@dataclass(frozen=True)
class DeadLetter:
    """One job that was given up.

    Attributes:
        job_id: its id.
        number: its place in the stream of dead letters.
        partition: its visualization_transform_id.
        error: what ended the last attempt.
        failures: attempts that failed.
        lost: attempts whose process vanished.
        died: when it was given up.
        stored: the job as the spec store had it, secrets sealed; None where its map had been deleted before.
        traceparent: trace context of its sender.
    """

    job_id: str
    number: int
    partition: str
    error: str
    failures: int
    lost: int
    died: datetime
    stored: dict[str, Any] | None
    traceparent: str | None

    @classmethod
    def decode(cls, letter: dict[str, Any]) -> Self:
        """Read what `ledger.dead_letter` wrote."""
        return cls(
            letter["job_id"],
            letter["number"],
            letter["partition"],
            letter["error"],
            letter["failures"],
            letter["lost"],
            datetime.fromtimestamp(letter["at"], UTC),
            letter["job"],
            letter.get("traceparent"),
        )

    @property
    def replay_job_id(self) -> str:
        """Id of the job that a replay makes; where both parts do not fit, a digest stands for the end of the first."""
        head, tail = _REPLAYED.sub("", self.job_id), f"-r{self.number}"
        room = LONGEST_JOB_ID - len(tail)
        if len(head) > room:
            digest = hashlib.sha256(head.encode()).hexdigest()[:8]
            head = f"{head[: room - 9]}-{digest}"
        return head + tail

    def summary(self) -> dict[str, Any]:
        """What a list says about it."""
        return {
            "job_id": self.job_id,
            "visualization_transform_id": int(self.partition),
            "owner": self.stored["job"].get("owner") if self.stored else None,
            "died": self.died.isoformat(timespec="seconds"),
            "failures": self.failures,
            "lost": self.lost,
            "error": self.error,
        }

    def details(self) -> dict[str, Any]:
        """Everything about it; of its secrets only which there are."""
        stored = self.stored or {"job": None, "dialect": None, "sealed": {}}
        about = {"job": stored["job"], "dialect": stored["dialect"], "secrets": sorted(stored["sealed"])}
        return self.summary() | about


class DeadLetters:
    """The dead letters of an installation."""

    def __init__(self, connection: NatsConnection, specs: SpecStore) -> None:
        """Work over an open connection; `specs` opens the secrets of a job that is sent again."""
        self._connection = connection
        self._specs = specs

    def all(self) -> list[DeadLetter]:
        """Return all, oldest first."""
        letters = self._connection.run(ledger.read_dead_letters)
        return [DeadLetter.decode(letter) for letter in letters.values()]

    def of(self, job_id: str) -> DeadLetter:
        """Return that of one job.

        Raises:
            ObjectMissing: there is none.
        """
        for letter in self.all():
            if letter.job_id == job_id:
                return letter
        raise ObjectMissing(f"there is no dead letter of job {job_id[:80]!r}; `vis-assets dlq list` shows all")

    def replay(self, letter: DeadLetter) -> str:
        """Send the job again as a new one, which the stream confirms, then remove the letter; return the new id.

        Raises:
            ObjectMissing: the letter holds no job.
            SecretUnreadable: the key that sealed its secrets is lost.
            InvalidJob: this version no longer accepts the job.
        """
        if letter.stored is None:
            raise ObjectMissing(
                f"the dead letter of job {letter.job_id} holds no job: its map was deleted before, or it was too large "
                "to be kept; purge it, and send the job anew"
            )
        job_id = letter.replay_job_id
        try:
            payload = self._specs.message(Spec.decode(letter.stored), job_id)
        except ValidationError:
            raise InvalidJob(f"job {letter.job_id} is none for this version of vis_assets; send it anew") from None
        parse_job(read_object(payload))
        headers = {"Nats-Msg-Id": f"{job_id}:replay", **trace_headers(letter.traceparent)}

        async def send(client: Client) -> None:
            await ensure_stream(client)
            jetstream = client.jetstream()
            await jetstream.publish(JOB_SUBJECT, payload, REQUEST_SECONDS, stream=JOB_STREAM, headers=headers)

        self._connection.run(send)
        self.remove(letter)
        return job_id

    def remove(self, letter: DeadLetter) -> None:
        """Forget a job for good."""
        self._connection.run(lambda c: ledger.remove_dead_letter(c, letter.number))


@contextlib.contextmanager
def opened_dead_letters(settings: Settings) -> Iterator[DeadLetters]:
    """Connect, and give the dead letters until the block ends."""
    specs = SpecStore(open_store(settings), open_sealer(settings))
    with NatsConnection(NatsAccess.of(settings), "vis-assets dlq") as connection:
        yield DeadLetters(connection, specs)
