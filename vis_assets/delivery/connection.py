"""A NATS connection for code that is not asynchronous: an event loop in a thread of its own."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

import nats
import nats.errors
from nats.aio.client import Client
from nats.js.errors import APIError, NotFoundError

from vis_assets.delivery.access import NatsAccess
from vis_assets.errors import BrokerRefused, BrokerUnavailable, InvalidSetting
from vis_assets.protocol.trace_context import trace_headers

CONNECT_SECONDS = 5.0
"""Longest wait for a connection; Dagster gives up on a sensor tick after 60 s."""
CLOSE_SECONDS = 1.0
"""Longest wait for the end of a connection, after what it held was sent."""
REQUEST_SECONDS = 5.0
"""Longest wait for one answer of the server."""

T = TypeVar("T")

# asyncio warns at the end of each TLS connection of nats-py, whose reader does not know that it is one.
logging.getLogger("asyncio").addFilter(lambda record: "returning true from eof_received" not in record.getMessage())


class EncryptedClient(Client):
    """A client that encrypts or does not connect.

    nats-py encrypts only where the server demands it, `tls://` or not: whoever stands between could strip that demand
    from the server's greeting, and read the credentials.
    """

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection:
            if not (info.get("tls_required") or info.get("tls_available")):
                raise nats.errors.SecureConnWantedError
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)


class NatsConnection:
    """One connection, usable from any thread; also a context manager that opens and closes it."""

    def __init__(self, access: NatsAccess | str, name: str) -> None:
        """Remember where to connect; `open` does it.

        Args:
            access: where NATS is and what to show it; a URL alone is an access too.
            name: shown in the server's list of connections.
        """
        self._access = NatsAccess(access) if isinstance(access, str) else access
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="nats", daemon=True)
        self._refusal: Exception | None = None
        self._client = EncryptedClient() if self._access.insists_on_tls else Client()

    def open(self) -> Self:
        """Connect.

        Raises:
            BrokerUnavailable: no server answered within `CONNECT_SECONDS`, or all refused.
            InvalidSetting: the URL is malformed, or a file of credentials or certificates is.
        """
        try:
            options = self._access.options()
        except InvalidSetting:
            self._loop.close()
            raise
        self._thread.start()
        try:
            self.run(lambda client: self._connect(client, options))
        except BrokerUnavailable:
            self.close()
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
            BrokerRefused: the server answers, and refuses this.
            BrokerUnavailable: the server does not answer.
        """
        before = self._client.last_error
        future = asyncio.run_coroutine_threadsafe(call(self._client), self._loop)
        try:
            return future.result(timeout)
        except (nats.errors.MaxPayloadError, APIError) as error:
            raise BrokerRefused(self._explain(error, before)) from None
        except (nats.errors.Error, OSError, TimeoutError) as error:
            future.cancel()
            refused = self._client.is_connected and "permissions violation" in str(error).lower()
            raise (BrokerRefused if refused else BrokerUnavailable)(self._explain(error, before)) from None

    def _explain(self, error: Exception, before: Exception | None) -> str:
        """Say why a call failed: a refusal comes apart from the answer that it keeps from coming."""
        last = self._client.last_error
        noted = [error, last if last is not before or self._client.is_closed else None]
        noted.append(None if self._client.is_connected else self._refusal)
        for one in noted:
            refusal = self._access.explain(one) if one is not None else None
            if refusal is not None:
                return refusal
        return (
            f"NATS at {self._access.servers} does not answer ({type(error).__name__}: {error}); "
            "is it running, with JetStream, and is NATS_URL right?"
        )

    async def _connect(self, client: Client, options: dict[str, Any]) -> None:
        connecting, refused = True, 0

        async def heed(error: Exception) -> None:
            """End the first attempts once every server has refused; the calls tell of later errors."""
            nonlocal refused
            if self._access.explain(error) is not None:
                self._refusal = error
                refused += 1
                if connecting and refused == len(options["servers"]):
                    raise error

        await asyncio.wait_for(
            client.connect(
                name=self._name,
                allow_reconnect=True,
                max_reconnect_attempts=3,
                reconnect_time_wait=1,
                connect_timeout=2,
                error_cb=heed,
                **options,
            ),
            CONNECT_SECONDS,
        )
        connecting = False

    async def _drain(self, client: Client) -> None:
        if client.is_connected:
            await client.flush(2)
        # After a TLS handshake that failed, asyncio would wait for ever for the end of the connection.
        await asyncio.wait_for(client.close(), CLOSE_SECONDS)

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


async def publish_stored(
    client: Client, subject: str, payload: bytes, message_id: str, traceparent: str | None = None
) -> None:
    """Publish so that it is not lost: stored where a stream captures the subject, else flushed to the server.

    Args:
        client: connected.
        subject: where to.
        payload: what.
        message_id: the stream drops a second message of the same id.
        traceparent: trace context of the job's sender; left out where it is malformed.
    """
    headers = {"Nats-Msg-Id": message_id, **trace_headers(traceparent)}
    if await is_captured(client, subject):
        await client.jetstream().publish(subject, payload, timeout=REQUEST_SECONDS, headers=headers)
        return
    async with arriving(client):
        await client.publish(subject, payload, headers=headers)


@contextlib.asynccontextmanager
async def arriving(client: Client) -> AsyncIterator[None]:
    """Wait until what the block sends has reached the server, and raise where the server forbade something of it.

    A server says so apart from the message, so that a plain publish or subscription would not notice. Nor would it
    notice a lost connection: nats-py keeps for later what it cannot send, and does not wait in a flush.
    """
    before = client.last_error
    yield
    if not client.is_connected:
        raise nats.errors.ConnectionReconnectingError
    for _ in range(2):
        # nats-py's PING overtakes what still waits to be sent: only the second one follows it.
        await client.flush(int(REQUEST_SECONDS))
    noted = client.last_error
    if noted is not None and noted is not before:
        raise noted


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
