"""The stream of jobs: take messages, tell how they ended. The only place that reads from JetStream."""

import json
from collections.abc import Collection
from dataclasses import dataclass

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig
from nats.js.errors import NotFoundError

from vis_assets.delivery.connection import REQUEST_SECONDS
from vis_assets.errors import BrokerUnavailable
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM, JOB_SUBJECT
from vis_assets.protocol.trace_context import read_traceparent

ACK = b"+ACK"
MOST_UNCLAIMED = 1000
"""How many messages one look for unclaimed ones takes at most."""
NO_RESPONDERS = "503"
ACK_SECONDS = 2.0
"""How long the confirmation of an acknowledgement may take."""


@dataclass(frozen=True)
class QueuedMessage:
    """One message of the stream, not acknowledged yet.

    Attributes:
        payload: its body.
        reply: the subject on which it is acknowledged, from any process.
        stream_created: when the stream was made, seconds since 1970; a stream made anew counts sequences from 1 again.
        sequence: its place in the stream.
        deliveries: how often it was handed out, this time included.
        traceparent: W3C trace context from its headers, or None.
    """

    payload: bytes
    reply: str
    stream_created: int
    sequence: int
    deliveries: int
    traceparent: str | None = None

    @property
    def identity(self) -> str:
        """Names this message for ever: the stream's creation time and the sequence."""
        return f"{self.stream_created}:{self.sequence}"


async def ensure_stream(client: Client) -> int:
    """Create the stream and its consumer where they are missing; never change what is there.

    Returns:
        When the stream was created, whole seconds since 1970.
    """
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        info = await jetstream.stream_info(JOB_STREAM)
    except NotFoundError:
        info = await jetstream.add_stream(
            StreamConfig(name=JOB_STREAM, subjects=[JOB_SUBJECT], retention=RetentionPolicy.WORK_QUEUE)
        )
    try:
        await jetstream.consumer_info(JOB_STREAM, JOB_CONSUMER)
    except NotFoundError:
        await jetstream.add_consumer(
            JOB_STREAM,
            ConsumerConfig(
                durable_name=JOB_CONSUMER,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=3600,
                max_deliver=3,
                max_ack_pending=10,
            ),
        )
    return int(info.created.timestamp()) if info.created else 0


async def fetch(client: Client, stream_created: int, batch: int, timeout_seconds: float) -> list[QueuedMessage]:
    """Wait for messages and return as soon as there are any, at most `batch`.

    Every pull is listened to until the server has ended it: a message sent to a listener that has just left would count
    as handed out, and be offered again only after the consumer's ack_wait (an hour).

    Raises:
        BrokerUnavailable: the server does not answer, or has no such consumer.
    """
    subscription = await client.subscribe(client.new_inbox())
    try:
        messages = await _pull(
            client, subscription, {"batch": 1, "expires": int(timeout_seconds * 1e9)}, timeout_seconds
        )
        if messages and batch > 1:
            messages += await _pull(client, subscription, {"batch": batch - 1, "no_wait": True}, 0)
    finally:
        await subscription.unsubscribe()
    return [_queued(message, stream_created) for message in messages]


async def _pull(
    client: Client, subscription: Subscription, request: dict[str, object], expires_seconds: float
) -> list[Msg]:
    """Send one pull request and collect messages until it is filled or the server ends it."""
    subject = f"$JS.API.CONSUMER.MSG.NEXT.{JOB_STREAM}.{JOB_CONSUMER}"
    await client.publish(subject, json.dumps(request).encode(), reply=subscription.subject)
    messages: list[Msg] = []
    while len(messages) < int(str(request["batch"])):
        message = await subscription.next_msg(timeout=expires_seconds + REQUEST_SECONDS)
        # A message of the stream has a reply subject; whatever its sender wrote into its headers, it is no status.
        status = None if message.reply else (message.headers or {}).get("Status")
        if status == NO_RESPONDERS:
            raise BrokerUnavailable(f"stream {JOB_STREAM} has no consumer {JOB_CONSUMER}; the next tick makes it")
        if status is not None:
            break
        messages.append(message)
    return messages


async def unclaimed(client: Client, stream_created: int, claimed: Collection[int]) -> list[QueuedMessage]:
    """Return messages that were handed out, are not acknowledged, and that no record claims.

    Who fetched them died before writing them down. The consumer would offer them again after its ack_wait, an hour,
    and after its max_deliver never. They have no reply subject; they are acknowledged by removing them.

    Args:
        client: connected.
        stream_created: the stream's creation time, whole seconds since 1970.
        claimed: sequences of the messages that records hold.
    """
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    info = await jetstream.consumer_info(JOB_STREAM, JOB_CONSUMER)
    state = (await jetstream.stream_info(JOB_STREAM)).state
    if state.messages - (info.num_pending or 0) <= 0:
        return []
    handed_out = info.delivered.stream_seq if info.delivered else 0
    found: list[QueuedMessage] = []
    sequence = state.first_seq
    while sequence <= handed_out and len(found) < MOST_UNCLAIMED:
        if sequence not in claimed:
            try:
                message = await jetstream.get_msg(JOB_STREAM, sequence, subject=">", next=True)
            except NotFoundError:
                break
            sequence = message.seq or sequence
            if sequence not in claimed and sequence <= handed_out:
                traceparent = read_traceparent(message.headers)
                found.append(QueuedMessage(message.data or b"", "", stream_created, sequence, 1, traceparent))
        sequence += 1
    return found


async def acknowledge(client: Client, reply: str, message_identity: str) -> None:
    """Tell the stream that a message is done, and wait until it has heard. Repeating it is harmless.

    A nats-server that was killed may have forgotten that it handed the message out; then it never confirms. What is not
    confirmed is removed from the stream instead, which the consumer takes for an acknowledgement.

    Args:
        client: connected.
        reply: the message's reply subject, or "" where it has none (`unclaimed`).
        message_identity: `QueuedMessage.identity`.
    """
    if not reply:
        await _remove(client, message_identity)
        return
    if not await _is_of_this_stream(client, message_identity):
        return
    try:
        await client.request(reply, ACK, timeout=ACK_SECONDS)
    except (nats.errors.TimeoutError, nats.errors.NoRespondersError):
        await _remove(client, message_identity)


async def _remove(client: Client, message_identity: str) -> None:
    if await _still_holds(client, message_identity):
        await client.jetstream(timeout=REQUEST_SECONDS).delete_msg(JOB_STREAM, int(message_identity.partition(":")[2]))


async def _still_holds(client: Client, message_identity: str) -> bool:
    """Whether the stream has the message. A server does not answer when a message is acknowledged a second time."""
    if not await _is_of_this_stream(client, message_identity):
        return False
    try:
        sequence = int(message_identity.partition(":")[2])
        await client.jetstream(timeout=REQUEST_SECONDS).get_msg(JOB_STREAM, sequence)
    except NotFoundError:
        return False
    return True


async def _is_of_this_stream(client: Client, message_identity: str) -> bool:
    """Whether the stream is the one that the message was in: made anew, it gives the sequence to another message."""
    try:
        info = await client.jetstream(timeout=REQUEST_SECONDS).stream_info(JOB_STREAM)
    except NotFoundError:
        return False
    return info.created is not None and int(info.created.timestamp()) == int(message_identity.partition(":")[0])


async def queue_depth(client: Client) -> tuple[int, int]:
    """Count messages that wait, and messages handed out but not acknowledged."""
    info = await client.jetstream(timeout=REQUEST_SECONDS).consumer_info(JOB_STREAM, JOB_CONSUMER)
    return info.num_pending or 0, info.num_ack_pending or 0


def _queued(message: Msg, stream_created: int) -> QueuedMessage:
    metadata = message.metadata
    return QueuedMessage(
        payload=message.data,
        reply=message.reply,
        stream_created=stream_created,
        sequence=metadata.sequence.stream,
        deliveries=metadata.num_delivered,
        traceparent=read_traceparent(message.headers),
    )


async def extend(client: Client, reply: str) -> None:
    """Say that a message is being worked on, so that it is not handed out again for another ack_wait."""
    await client.publish(reply, b"+WPI")
