"""The NATS connection: bounded waits, no secrets in errors, and results that are stored where a stream is."""

import threading
from pathlib import Path

import pytest
from nats.aio.client import Client
from nats.js.api import StreamConfig

from vis_assets.delivery.connection import NatsConnection, publish_stored
from vis_assets.errors import BrokerUnavailable, InvalidSetting
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets.operations.processes import free_port

pytestmark = pytest.mark.enable_socket


@pytest.mark.timeout(30)
def test_no_server_is_told_without_the_password() -> None:
    """Where nobody listens, the error comes soon, names the server and hides the password."""
    port = free_port()
    with pytest.raises(BrokerUnavailable) as caught:
        NatsConnection(f"nats://user:CANARY@127.0.0.1:{port}", "test").open()
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert "CANARY" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize("url", ["nats://[::1", "nats://127.0.0.1:abc", "", "nats://user:CANARY@127.0.0.1:99999"])
def test_a_malformed_url_is_an_error_of_ours(url: str) -> None:
    """A URL that is none is told as such, without its password."""
    with pytest.raises((BrokerUnavailable, InvalidSetting)) as caught:
        NatsConnection(url, "test").open()
    assert "CANARY" not in str(caught.value)


@pytest.mark.timeout(60)
def test_a_server_that_goes_away_is_told(own_nats: EmbeddedNats) -> None:
    """When the server has gone, each call ends within its bound in BrokerUnavailable, and closing still works."""
    with NatsConnection(own_nats.url, "test") as connection:
        own_nats.child.stop()
        for _ in range(2):
            with pytest.raises(BrokerUnavailable):
                connection.run(lambda client: publish_stored(client, "a.b", b"x", "1"), timeout=15)


@pytest.mark.timeout(60)
def test_a_connection_survives_a_restart(own_nats: EmbeddedNats, tmp_path: Path) -> None:
    """A server that comes back soon is used again by the same connection."""
    with NatsConnection(own_nats.url, "test") as connection:
        own_nats.child.stop()
        port = int(own_nats.url.rpartition(":")[2])
        again = start_nats(tmp_path, port)
        try:
            connection.run(lambda client: client.flush(5))
        finally:
            again.child.stop()


def test_threads_share_a_connection(nats: NatsConnection) -> None:
    """Several threads may call at once."""
    failures: list[BaseException] = []

    def call() -> None:
        try:
            for _ in range(20):
                nats.run(lambda client: client.flush(5))
        except BaseException as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_closing_leaves_no_thread(nats_server: EmbeddedNats) -> None:
    """A closed connection leaves no thread behind, and neither does one that never opened."""
    before = threading.active_count()
    with NatsConnection(nats_server.url, "test"):
        assert threading.active_count() == before + 1
    with pytest.raises(BrokerUnavailable):
        NatsConnection(f"nats://127.0.0.1:{free_port()}", "test").open()
    assert threading.active_count() == before


def test_a_result_is_stored_once_where_a_stream_captures_it(nats: NatsConnection) -> None:
    """With a stream on the subject a result is in it when the call returns, and repeating it adds nothing."""

    async def publish(client: Client) -> int:
        jetstream = client.jetstream()
        await jetstream.add_stream(StreamConfig(name="RESULTS", subjects=["worker.result.>"]))
        for _ in range(2):
            await publish_stored(client, "worker.result.visualization", b"done", "job-1:result")
        return int((await jetstream.stream_info("RESULTS")).state.messages)

    assert nats.run(publish) == 1


@pytest.mark.parametrize("listeners", [0, 1, 2])
def test_a_result_reaches_plain_listeners_where_no_stream_is(nats: NatsConnection, listeners: int) -> None:
    """With no stream on the subject each plain subscriber gets the result exactly once, and none is no error."""

    async def publish(client: Client) -> list[list[bytes]]:
        subscriptions = [await client.subscribe("worker.result.visualization") for _ in range(listeners)]
        await client.flush()
        await publish_stored(client, "worker.result.visualization", b"done", "job-1:result")
        await client.flush()
        heard = []
        for subscription in subscriptions:
            messages = []
            while subscription.pending_msgs:
                messages.append((await subscription.next_msg(timeout=1)).data)
            heard.append(messages)
        return heard

    assert nats.run(publish) == [[b"done"]] * listeners
