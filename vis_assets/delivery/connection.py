"""A NATS connection for code that is not asynchronous: an event loop in a thread of its own."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from vis_assets.errors import BrokerUnavailable, InvalidSetting
from vis_assets.settings import redacted

CONNECT_SECONDS = 5.0
"""Longest wait for a connection; Dagster gives up on a sensor tick after 60 s."""
REQUEST_SECONDS = 5.0
"""Longest wait for one answer of the server."""

T = TypeVar("T")


class NatsConnection:
    """One connection, usable from any thread; also a context manager that opens and closes it."""

    def __init__(self, url: str, name: str) -> None:
        """Remember where to connect; `open` does it.

        Args:
            url: `nats://[user:password@]host:port`, several separated by commas.
            name: shown in the server's list of connections.
        """
        self._url = url
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._client = Client()

    def open(self) -> Self:
        """Connect.

        Raises:
            BrokerUnavailable: no server answered within `CONNECT_SECONDS`.
            InvalidSetting: the URL is malformed.
        """
        self._thread.start()
        try:
            self.run(self._connect)
        except ValueError:
            self._stop_loop()
            raise InvalidSetting(f"NATS_URL is malformed ({redacted(self._url)}); write nats://host:port") from None
        except BrokerUnavailable:
            self._stop_loop()
            raise
        return self

    def close(self) -> None:
        """Flush what was published and disconnect; a server that does not answer is left alone."""
        with contextlib.suppress(BrokerUnavailable):
            self.run(self._drain)
        self._stop_loop()

    def run(self, call: Callable[[Client], Coroutine[Any, Any, T]], timeout: float = 30.0) -> T:
        """Run a coroutine function with the client, from any thread, and wait for its result.

        Raises:
            BrokerUnavailable: the server does not answer, or refused.
        """
        future = asyncio.run_coroutine_threadsafe(call(self._client), self._loop)
        try:
            return future.result(timeout)
        except (nats.errors.Error, APIError, OSError, TimeoutError) as error:
            future.cancel()
            raise BrokerUnavailable(
                f"NATS at {redacted(self._url)} does not answer ({type(error).__name__}: {error}); "
                "is it running, with JetStream, and is NATS_URL right?"
            ) from None

    async def _connect(self, client: Client) -> None:
        async def ignore(_error: Exception) -> None:
            """The failed call itself raises; nats-py's default prints a traceback besides."""

        await asyncio.wait_for(
            client.connect(
                servers=self._url.split(","),
                name=self._name,
                allow_reconnect=True,
                max_reconnect_attempts=3,
                reconnect_time_wait=1,
                connect_timeout=2,
                error_cb=ignore,
            ),
            CONNECT_SECONDS,
        )

    async def _drain(self, client: Client) -> None:
        if client.is_connected:
            await client.flush(2)
        await client.close()

    def _stop_loop(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        if not self._thread.is_alive():
            self._loop.close()

    def __enter__(self) -> Self:
        """Connect."""
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.close()


async def publish_stored(client: Client, subject: str, payload: bytes, message_id: str) -> None:
    """Publish so that it is not lost: stored where a stream captures the subject, else flushed to the server.

    Args:
        client: connected.
        subject: where to.
        payload: what.
        message_id: the stream drops a second message of the same id.
    """
    headers = {"Nats-Msg-Id": message_id}
    if await is_captured(client, subject):
        await client.jetstream().publish(subject, payload, timeout=REQUEST_SECONDS, headers=headers)
    else:
        await client.publish(subject, payload, headers=headers)
        await client.flush(int(REQUEST_SECONDS))


async def is_captured(client: Client, subject: str) -> bool:
    """Whether a stream captures the subject.

    It has to be asked: where plain subscribers listen, a publish that waits for a stream's answer reaches them, gets no
    answer and looks like a timeout.
    """
    try:
        await client.jetstream(timeout=REQUEST_SECONDS).find_stream_name_by_subject(subject)
    except NotFoundError:
        return False
    return True
