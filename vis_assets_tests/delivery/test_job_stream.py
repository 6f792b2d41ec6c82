"""The stream of jobs on a real server: made where missing, left alone where not, nothing lost."""

import asyncio
import random
import time
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy, StreamConfig

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_stream import (
    QueuedMessage,
    acknowledge,
    ensure_stream,
    extend,
    fetch,
    queue_depth,
    unclaimed,
)
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM, JOB_SUBJECT
from vis_assets_tests.servers.nats_streams import forget_streams

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


async def publish(client: Client, *payloads: bytes) -> None:
    """Send job messages."""
    for payload in payloads:
        await client.jetstream().publish(JOB_SUBJECT, payload)


async def take(client: Client, batch: int = 10, timeout_seconds: float = 1.0) -> list[QueuedMessage]:
    """Fetch from the stream as it is."""
    return await fetch(client, await ensure_stream(client), batch, timeout_seconds)


def test_missing_stream_and_consumer_are_made(nats: NatsConnection) -> None:
    """On an empty server stream and consumer are made as the platform makes them; asking again changes nothing."""

    async def ensure(client: Client) -> tuple[StreamConfig, ConsumerConfig]:
        assert await ensure_stream(client) == await ensure_stream(client) > 0
        jetstream = client.jetstream()
        consumer = await jetstream.consumer_info(JOB_STREAM, JOB_CONSUMER)
        return (await jetstream.stream_info(JOB_STREAM)).config, consumer.config

    stream, consumer = nats.run(ensure)
    assert (stream.subjects, stream.retention) == ([JOB_SUBJECT], RetentionPolicy.WORK_QUEUE)
    assert consumer.durable_name == JOB_CONSUMER
    assert consumer.ack_policy == AckPolicy.EXPLICIT
    assert (consumer.ack_wait, consumer.max_deliver, consumer.max_ack_pending) == (3600, 3, 10)


def test_what_others_made_is_left_alone(nats: NatsConnection) -> None:
    """A stream and a consumer that exist keep their configuration, whatever it is, and serve."""

    async def ensure(client: Client) -> tuple[object, object, object, object, list[QueuedMessage]]:
        jetstream = client.jetstream()
        await jetstream.add_stream(
            StreamConfig(name=JOB_STREAM, subjects=["workers.>"], retention=RetentionPolicy.WORK_QUEUE, max_msgs=77)
        )
        await jetstream.add_consumer(
            JOB_STREAM,
            ConsumerConfig(
                durable_name=JOB_CONSUMER,
                ack_policy=AckPolicy.EXPLICIT,
                ack_wait=17,
                max_deliver=9,
                max_ack_pending=2,
                description="somebody else's",
            ),
        )
        before = (
            (await jetstream.stream_info(JOB_STREAM)).config,
            (await jetstream.consumer_info(JOB_STREAM, JOB_CONSUMER)).config,
        )
        await ensure_stream(client)
        after = (
            (await jetstream.stream_info(JOB_STREAM)).config,
            (await jetstream.consumer_info(JOB_STREAM, JOB_CONSUMER)).config,
        )
        await publish(client, b"a")
        return *before, *after, await take(client)

    stream, consumer, stream_after, consumer_after, messages = nats.run(ensure)
    assert (stream_after, consumer_after) == (stream, consumer)
    assert [message.payload for message in messages] == [b"a"]


def test_messages_come_in_order_with_their_facts(nats: NatsConnection) -> None:
    """Messages come in the order they were sent, at most as many as asked for, each with its place and count."""

    async def work(client: Client) -> tuple[int, list[QueuedMessage], list[QueuedMessage], list[QueuedMessage]]:
        created = await ensure_stream(client)
        await publish(client, b"0", b"1", b"2")
        return created, await take(client, 2), await take(client, 2), await take(client, 2, 0.05)

    created, first, second, third = nats.run(work)
    assert [message.payload for message in [*first, *second, *third]] == [b"0", b"1", b"2"]
    assert len(first) <= 2
    assert [message.identity for message in first] == [f"{created}:{i}" for i in (1, 2)]
    assert first[0].deliveries == 1
    assert len({message.reply for message in [*first, *second]}) == 3


@pytest.mark.parametrize("batch", [1, 3])
def test_waiting_ends_with_the_first_message(nats: NatsConnection, batch: int) -> None:
    """A message that arrives while a fetch waits ends the wait, however many more were allowed."""

    async def work(client: Client) -> list[QueuedMessage]:
        await ensure_stream(client)
        waiting = asyncio.create_task(take(client, batch, 25.0))
        await asyncio.sleep(0.3)
        await publish(client, b"now")
        return await asyncio.wait_for(waiting, 10)

    assert [message.payload for message in nats.run(work)] == [b"now"]


def test_an_empty_stream_gives_no_message(nats: NatsConnection) -> None:
    """A fetch from an empty stream ends without a message and without an error."""
    assert nats.run(lambda client: take(client, 3, 0.05)) == []


def test_no_message_is_dropped_between_two_fetches(nats: NatsConnection) -> None:
    """Messages that arrive while one fetch ends and the next begins are handed out too, none is left half-delivered."""
    count = 250

    async def send(client: Client) -> None:
        rng = random.Random(0)  # noqa: S311 - spreads arrivals over the fetches
        for i in range(count):
            await asyncio.sleep(rng.uniform(0, 0.012))
            await client.jetstream().publish(JOB_SUBJECT, b"%d" % i)

    async def work(client: Client) -> tuple[set[bytes], tuple[int, int]]:
        created = await ensure_stream(client)
        sending = asyncio.create_task(send(client))
        heard: set[bytes] = set()
        last_news = time.monotonic()
        while not sending.done() or time.monotonic() < last_news + 0.5:
            for message in await fetch(client, created, 2, 0.01):
                heard.add(message.payload)
                last_news = time.monotonic()
                await acknowledge(client, message.reply, message.identity)
        return heard, await queue_depth(client)

    heard, depth = nats.run(work)
    assert depth == (0, 0)
    assert heard == {b"%d" % i for i in range(count)}


def test_acknowledging_removes_the_message_and_repeating_it_is_harmless(nats: NatsConnection) -> None:
    """An acknowledged message leaves the stream at once, and a second acknowledgement changes nothing."""

    async def work(client: Client) -> list[tuple[int, int]]:
        await ensure_stream(client)
        await publish(client, b"0", b"1")
        message = (await take(client, 1))[0]
        depths = [await queue_depth(client)]
        for _ in range(2):
            await acknowledge(client, message.reply, message.identity)
            depths.append(await queue_depth(client))
        return depths

    assert nats.run(work) == [(1, 1), (1, 0), (1, 0)]


def test_acknowledging_works_from_another_connection(nats: NatsConnection, nats_server: EmbeddedNats) -> None:
    """The reply subject alone is enough to acknowledge, from any process."""
    nats.run(ensure_stream)
    nats.run(lambda client: publish(client, b"0"))
    message = nats.run(take)[0]
    with NatsConnection(nats_server.url, "other") as other:
        other.run(lambda client: acknowledge(client, message.reply, message.identity))
    assert nats.run(queue_depth) == (0, 0)


def test_acknowledging_survives_a_restart_of_the_server(own_nats: EmbeddedNats, tmp_path: Path) -> None:
    """A message taken before the server restarted is acknowledged after it, once or twice."""
    with NatsConnection(own_nats.url, "before") as connection:
        connection.run(ensure_stream)
        connection.run(lambda client: publish(client, b"0"))
        message = connection.run(take)[0]
    own_nats.child.stop()
    again = start_nats(tmp_path)
    try:
        with NatsConnection(again.url, "after") as connection:
            assert connection.run(queue_depth) == (0, 1)
            for _ in range(2):
                connection.run(lambda client: acknowledge(client, message.reply, message.identity))
                assert connection.run(queue_depth) == (0, 0)
            created = connection.run(ensure_stream)
            assert created == message.stream_created
    finally:
        again.child.stop()


def test_an_old_message_of_a_stream_made_anew_is_done(nats: NatsConnection) -> None:
    """A message whose stream was deleted and made anew counts as acknowledged, without waiting for ever."""

    async def work(client: Client) -> tuple[int, int]:
        await ensure_stream(client)
        await publish(client, b"old")
        old = (await take(client))[0]
        await client.jetstream().delete_stream(JOB_STREAM)
        await asyncio.sleep(1.1)  # creation times are whole seconds
        await ensure_stream(client)
        await publish(client, b"new")
        await acknowledge(client, old.reply, old.identity)
        return await queue_depth(client)

    assert nats.run(work) == (1, 0)


def test_a_message_whose_delivery_the_server_forgot_can_be_ended(nats: NatsConnection) -> None:
    """Where the consumer does not know that it handed a message out, the message leaves the stream all the same."""

    async def work(client: Client) -> tuple[list[int], tuple[int, int]]:
        await ensure_stream(client)
        await publish(client, b"0", b"1")
        first, second = await take(client)
        await client.jetstream().delete_consumer(JOB_STREAM, JOB_CONSUMER)
        await ensure_stream(client)
        for _ in range(2):
            await acknowledge(client, first.reply, first.identity)
        (again,) = await take(client)
        await acknowledge(client, "$JS.ACK.nobody", again.identity)
        for _ in range(50):  # the server counts a little later
            if await queue_depth(client) == (0, 0):
                break
            await asyncio.sleep(0.1)
        return [second.sequence, again.sequence], await queue_depth(client)

    assert nats.run(work) == ([2, 2], (0, 0))


def test_a_message_that_is_worked_on_is_not_handed_out_again(nats: NatsConnection) -> None:
    """While its deadline is renewed a message stays with its worker, far beyond ack_wait; left alone it comes again."""

    async def work(client: Client) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        created = await ensure_stream(client)
        await client.jetstream().delete_consumer(JOB_STREAM, JOB_CONSUMER)
        config = ConsumerConfig(durable_name=JOB_CONSUMER, ack_policy=AckPolicy.EXPLICIT, ack_wait=3)
        await client.jetstream().add_consumer(JOB_STREAM, config)
        await publish(client, b"0")
        message = (await fetch(client, created, 1, 1.0))[0]
        for _ in range(12):
            await extend(client, message.reply)
            await asyncio.sleep(0.4)
        return await fetch(client, created, 1, 0.05), await fetch(client, created, 1, 20.0)

    kept, left = nats.run(work)
    assert kept == []
    assert [(message.payload, message.deliveries) for message in left] == [(b"0", 2)]


def test_the_trace_of_the_sender_comes_with_the_message(nats: NatsConnection) -> None:
    """The traceparent header of a message is read; without one there is none."""

    async def work(client: Client) -> list[QueuedMessage]:
        await ensure_stream(client)
        await client.jetstream().publish(JOB_SUBJECT, b"0", headers={"traceparent": TRACE})
        await publish(client, b"1")
        return [*await take(client, 1), *await take(client, 1)]

    assert [message.traceparent for message in nats.run(work)] == [TRACE, None]


def test_a_stream_made_anew_loses_no_message_to_an_old_acknowledgement(nats: NatsConnection) -> None:
    """The message with the same sequence in a stream that was made anew is another one, and stays."""

    async def recreate(client: Client) -> tuple[str, str]:
        await ensure_stream(client)
        await publish(client, b"old")
        (old,) = await take(client)
        await forget_streams(client)
        await asyncio.sleep(1.1)  # creation times are compared by whole seconds
        await ensure_stream(client)
        await publish(client, b"new")
        await take(client)
        return old.reply, old.identity

    reply, identity = nats.run(recreate)
    nats.run(lambda c: acknowledge(c, reply, identity))
    assert nats.run(queue_depth) == (0, 1)


def test_headers_of_a_message_are_no_status(nats: NatsConnection) -> None:
    """A sender that writes a status into the headers does not end the pull, and a bad traceparent is dropped."""

    async def send(client: Client) -> tuple[list[QueuedMessage], list[QueuedMessage]]:
        created = await ensure_stream(client)
        headers = {"Status": "408", "traceparent": "x" * 5000}
        await client.jetstream().publish(JOB_SUBJECT, b"first", headers=headers)
        await client.jetstream().publish(JOB_SUBJECT, b"second", headers={"Traceparent": TRACE})
        taken = await take(client)
        return taken, await unclaimed(client, created, [])

    taken, found = nats.run(send)
    for messages in (taken, found):
        assert [(m.payload, m.traceparent) for m in messages] == [(b"first", None), (b"second", TRACE)]


def test_only_unclaimed_messages_are_found(nats: NatsConnection) -> None:
    """Of what was handed out, the messages that no record claims are found, over gaps, and whatever else is claimed."""

    async def look(client: Client) -> list[int]:
        created = await ensure_stream(client)
        await publish(client, *(b"%d" % n for n in range(8)))
        for message in (await take(client, 6))[1:3]:
            await acknowledge(client, message.reply, message.identity)
        return [message.sequence for message in await unclaimed(client, created, {1, 2, 3, 5, 99, 100})]

    assert nats.run(look) == [4, 6]
