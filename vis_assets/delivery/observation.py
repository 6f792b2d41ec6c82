"""What JetStream says of the work of this installation, for health checks and metrics. Reads; changes nothing."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NotFoundError

from vis_assets.delivery import leadership, ledger
from vis_assets.delivery.connection import REQUEST_SECONDS
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.job_stream import queue_depth

BATCH = 500


@dataclass(frozen=True)
class Queue:
    """The state of delivery at one moment.

    Attributes:
        waiting: messages that were never handed out; None where the stream or its consumer is missing.
        records: jobs without a terminal result.
        dead_letters: jobs that were given up and are kept.
        tick: when a sensor last reconciled.
    """

    waiting: int | None
    records: Sequence[JobRecord] = ()
    dead_letters: int = 0
    tick: leadership.Tick | None = None


@dataclass(frozen=True)
class Settled:
    """A job that has its terminal result.

    Attributes:
        job_id: which.
        outcome: completed, failed or canceled.
        at: seconds since 1970 on the server's clock.
        failures: attempts that failed and might have been mended by another.
        lost: attempts whose process vanished.
        given_up: no attempt was left.
    """

    job_id: str
    outcome: str
    at: float
    failures: int = 0
    lost: int = 0
    given_up: bool = False

    @property
    def retries(self) -> int:
        """How often it was tried again."""
        return self.failures + self.lost - (1 if self.given_up else 0)


async def read_queue(client: Client) -> Queue:
    """See how delivery stands now."""
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        waiting, _ = await queue_depth(client)
        records = [held.record for held in await ledger.read_records(client)]
        dead = (await jetstream.stream_info(ledger.DEAD_STREAM)).state.messages
        return Queue(waiting, records, dead, await leadership.read_tick(client))
    except NotFoundError:
        return Queue(None)


async def read_settled(client: Client, after: int) -> tuple[list[Settled], int]:
    """Read the terminal results behind a sequence of their stream, at most `BATCH`.

    Returns:
        The results, and the sequence to go on from.
    """
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        state = (await jetstream.stream_info(ledger.RESULT_STREAM)).state
    except NotFoundError:
        return [], 0
    if state.last_seq < after:
        after = 0
    expected = min(BATCH, state.last_seq - max(after, state.first_seq - 1))
    if expected <= 0 or not state.messages:
        return [], after
    place = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
        opt_start_seq=after + 1,
        ack_policy=AckPolicy.NONE,
        inactive_threshold=30,
    )
    subscription = await jetstream.pull_subscribe("visualization.results.*", stream=ledger.RESULT_STREAM, config=place)
    try:
        messages = await subscription.fetch(expected, timeout=1)
    except nats.errors.TimeoutError:
        return [], after
    finally:
        await subscription.unsubscribe()
    return [_settled(message) for message in messages], messages[-1].metadata.sequence.stream


def _settled(message: Msg) -> Settled:
    outcome = json.loads(message.data).get("status")
    told = (message.headers or {}).get(ledger.EFFORT_HEADER)
    effort = json.loads(told) if told else {}
    return Settled(
        job_id=message.subject.rpartition(".")[2],
        outcome="completed" if outcome == "success" else str(outcome),
        at=message.metadata.timestamp.timestamp(),
        failures=int(effort.get("failures", 0)),
        lost=int(effort.get("lost", 0)),
        given_up=bool(effort.get("given_up", False)),
    )
