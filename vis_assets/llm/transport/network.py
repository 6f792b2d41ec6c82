"""Connections whose every step ends by the deadline of the call that uses them.

A timeout of a socket starts anew with every byte. The deadline is kept per thread (a context variable), not per
connection: connections outlive calls and are taken over by the calls of other threads.
"""

import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore

_WRITE_BYTES = 16_384
"""At most this much is written on one look at the clock; also the size of a TLS record."""
_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


@contextmanager
def call_ends_within(seconds: float) -> Iterator[None]:
    """Give what this thread does inside the block that many seconds altogether."""
    token = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(token)


def _seconds_left(too_late: type[httpcore.TimeoutException]) -> float | None:
    deadline = _deadline.get()
    if deadline is None:
        return None
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise too_late("the call's time is over")
    return seconds


class BoundedNetwork(httpcore.NetworkBackend):
    """Opens connections, to one judged address where there is one.

    The pool above goes on to use the URL's host in the Host header, for the TLS server name and for the certificate.
    """

    def __init__(self, address: str | None) -> None:
        """Connect to this IP address whatever host is asked for; None resolves the host."""
        self._address = address
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to the first address that accepts, each getting its share of the time that is left.

        Raises:
            httpcore.ConnectTimeout: the deadline passed.
            httpcore.ConnectError: the name is unknown or no address accepts.
        """
        addresses = [self._address] if self._address is not None else _resolve(host, port)
        failure: Exception = httpcore.ConnectError("the name has no address")
        for tried, address in enumerate(addresses):
            seconds = _seconds_left(httpcore.ConnectTimeout) or timeout
            share = None if seconds is None else seconds / (len(addresses) - tried)
            try:
                stream = self._network.connect_tcp(address, port, share, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
            else:
                return BoundedStream(stream)
        raise failure


class BoundedStream(httpcore.NetworkStream):
    """A connection that looks at the clock before each step."""

    def __init__(self, stream: httpcore.NetworkStream) -> None:
        """Take over an open connection."""
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Return what has come, at least one byte; b"" at the end."""
        return self._stream.read(max_bytes, _seconds_left(httpcore.ReadTimeout) or timeout)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write everything; a server that takes a byte now and then does not hold us."""
        for start in range(0, len(buffer), _WRITE_BYTES):
            seconds = _seconds_left(httpcore.WriteTimeout) or timeout
            self._stream.write(buffer[start : start + _WRITE_BYTES], seconds)

    def close(self) -> None:
        """Close the connection."""
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        """Return the same connection, encrypted."""
        seconds = _seconds_left(httpcore.ConnectTimeout) or timeout
        return BoundedStream(self._stream.start_tls(ssl_context, server_hostname, seconds))

    def get_extra_info(self, info: str) -> Any:
        """Return what is known of the connection under it."""
        return self._stream.get_extra_info(info)


def _resolve(host: str, port: int) -> list[str]:
    try:
        answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError("the name cannot be resolved") from error
    return [str(answer[4][0]) for answer in answers]
