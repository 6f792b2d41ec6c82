"""The HTTP server: takes requests in, hands faults out, and leaves nobody waiting when it stops."""

import json
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self

from vis_assets.operations.embedded_llm.call import Call, ReceivedRequest, Reply, json_reply
from vis_assets.operations.embedded_llm.faults import Fault
from vis_assets.operations.embedded_llm.wires import WIRES, Wire

LOOPBACK = "127.0.0.1"
SERVER = "vis-assets-double"
_IDLE_SECONDS = 30
_POLL_SECONDS = 0.02  # how often the server looks whether it shall stop; the default of 0.5 s makes many tests slow


class EmbeddedLlm:
    """A server on 127.0.0.1; use it as a context manager.

    Attributes:
        port: the port it listens on.
    """

    def __init__(
        self, port: int = 0, api_key: str | None = None, faults: Iterable[Fault] = (), every: Fault | None = None
    ) -> None:
        """Bind the port (0: a free one).

        Args:
            port: TCP port on 127.0.0.1.
            api_key: what callers must send as bearer token, None for no check.
            faults: each of the first requests takes one.
            every: taken by all requests after those.

        Raises:
            OSError: the port is taken.
        """
        self._api_key = api_key
        self._lock = threading.Lock()
        self._requests: list[ReceivedRequest] = []
        self._next = deque(faults)
        self._always = every
        self._stopping = threading.Event()
        self._server = _Server((LOOPBACK, port), self._handler(), self._stopping)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="embedded llm", daemon=True
        )
        self.port: int = self._server.server_port

    @property
    def url(self) -> str:
        """Where Cohere's and Semantic Explorer's clients find it, e.g. `http://127.0.0.1:8082`."""
        return f"http://{LOOPBACK}:{self.port}"

    @property
    def openai_url(self) -> str:
        """Where OpenAI's clients find it."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """What was asked so far, in order of arrival, whatever the reply was."""
        with self._lock:
            return list(self._requests)

    def fail_next(self, *faults: Fault) -> None:
        """Let each of the next requests take one."""
        with self._lock:
            self._next.extend(faults)

    def fail_always(self, fault: Fault | None) -> None:
        """Let every request take it that has no fault of its own; None ends that."""
        with self._lock:
            self._always = fault

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once; callers that wait are hung up on."""
        self._stopping.set()
        self._server.shutdown()
        self._server.hang_up()
        self._server.server_close()
        self._thread.join()

    def _handler(self) -> type["_Handler"]:
        class Handler(_Handler):
            llm = self

        return Handler

    def _reply(self, wire: Wire, request: ReceivedRequest) -> Reply | None:
        call = Call(wire, request, self._stopping)
        with self._lock:
            self._requests.append(request)
            if self._api_key is not None and request.headers.get("authorization") != f"Bearer {self._api_key}":
                return call.refuse_key(HTTPStatus.UNAUTHORIZED)
            fault = self._next.popleft() if self._next else self._always
        try:
            wire.texts(request.body)
        except ValueError as error:
            return call.refuse(400, str(error), "invalid_request")
        return fault.reply(call) if fault else call.answer()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128  # the default of 5 refuses callers that come at the same time

    def __init__(
        self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler], stopping: threading.Event
    ) -> None:
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._stopping = stopping
        super().__init__(address, handler)

    def opened(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)
        if self._stopping.is_set():
            self.hang_up()

    def closed(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def hang_up(self) -> None:
        """End all connections: one that is kept alive would be answered by a server that has stopped."""
        with self._lock:
            for connection in self._open:
                _shut(connection)

    def handle_error(self, request: Any, client_address: Any) -> None:
        # Callers that give up are what the faults are for.
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return  # the other side was faster


class _Handler(BaseHTTPRequestHandler):
    llm: ClassVar[EmbeddedLlm]
    server: _Server
    protocol_version = "HTTP/1.1"
    timeout = _IDLE_SECONDS
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self.server.opened(self.connection)

    def finish(self) -> None:
        self.server.closed(self.connection)
        super().finish()

    def version_string(self) -> str:
        return SERVER

    def log_message(self, *_: Any) -> None:
        """Stay silent: the demo's output is the demo's."""

    def do_GET(self) -> None:
        self._body()
        if self.path == "/health":
            self._send(json_reply(200, {"status": "ok"}))
        elif self.path in WIRES:
            self._send(json_reply(405, {"error": {"message": "POST only."}}, {"Allow": "POST"}))
        else:
            self._send(json_reply(404, {"error": {"message": "There is nothing here."}}))

    do_PUT = do_PATCH = do_DELETE = do_GET

    def do_POST(self) -> None:
        body = self._body()
        wire = WIRES.get(self.path)
        if wire is None:
            status = 405 if self.path == "/health" else 404
            self._send(json_reply(status, {"error": {"message": "There is nothing to ask here."}}))
            return
        try:
            asked = json.loads(body)
        except ValueError:
            asked = None
        if not isinstance(asked, dict):
            self._send(json_reply(400, wire.error("The body is no JSON object.", "invalid_request", None)))
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        self._send(self.llm._reply(wire, ReceivedRequest(self.path, headers, asked)))

    def _body(self) -> bytes:
        size = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not size.isdecimal():
            self.close_connection = True  # what follows would be read as the next request
            return b""
        return self.rfile.read(int(size))

    def _send(self, reply: Reply | None) -> None:
        if reply is None:
            self.close_connection = True
            _shut(self.connection)
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.size_bytes is None:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(reply.size_bytes))
        self.end_headers()
        for part in reply.parts:
            self.wfile.write(part if reply.size_bytes is not None else b"%x\r\n%b\r\n" % (len(part), part))
        if reply.size_bytes is None:
            self._end_chunks()

    def _end_chunks(self) -> None:
        if self.server._stopping.is_set():
            self.close_connection = True  # the answer is not complete, and must not look so
        else:
            self.wfile.write(b"0\r\n\r\n")
