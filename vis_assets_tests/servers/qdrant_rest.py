"""A small real HTTP server that speaks Qdrant's REST protocol over the in-memory local mode of its client."""

import json
import ssl
import threading
from collections import deque
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from qdrant_client import QdrantClient, models

from vis_assets.operations.embedded_qdrant import update_in_order


@dataclass(frozen=True)
class Fault:
    """An answer given instead of the real one.

    Attributes:
        status: HTTP status.
        headers: e.g. {"Retry-After": "1"}.
        body: what is sent; None sends Qdrant's error JSON.
    """

    status: int
    headers: dict[str, str] | None = None
    body: bytes | None = None


class RestQdrant:
    """Serves on a free port of 127.0.0.1 until closed.

    Attributes:
        client: the database behind it.
        api_key: what callers must send, None for no check.
        faults: answers for the next requests, in order, before the real ones.
        requests: (method, path, headers) of everything asked.
    """

    def __init__(self, api_key: str | None = None, tls: ssl.SSLContext | None = None) -> None:
        """Bind a free port; `tls` None serves plain text."""
        self.client = QdrantClient(":memory:")
        self.api_key = api_key
        self.faults: deque[Fault] = deque()
        self.requests: list[tuple[str, str, dict[str, str]]] = []
        self.lock = threading.Lock()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.answer(self)

            def do_POST(self) -> None:
                server.answer(self)

            def log_message(self, format: str, *args: Any) -> None:
                """Stay silent."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._http.daemon_threads = True
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True)
        self.port: int = self._http.server_address[1]
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """The connection URL, with the scheme of plain text."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        """Start to serve."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        self.client.close()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        """Answer one request: with the next fault, a refusal, or what is true."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        with self.lock:
            self.requests.append((handler.command, handler.path, dict(handler.headers)))
            fault = self.faults.popleft() if self.faults else self._refusal(handler)
            fault = fault or self._real_answer(handler, json.loads(body or b"{}"))
        content = fault.body if fault.body is not None else _error(f"as ordered: {fault.status}")
        handler.send_response(fault.status)
        for name, value in {"Content-Length": str(len(content)), **(fault.headers or {})}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(content)

    def _refusal(self, handler: BaseHTTPRequestHandler) -> Fault | None:
        if self.api_key is None or handler.headers.get("api-key") == self.api_key:
            return None
        return Fault(401, body=b"Invalid API key or JWT")

    def _real_answer(self, handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> Fault:
        try:
            result = self._result(urlsplit(handler.path).path, urlsplit(handler.path).query, body)
        except ValueError as error:
            missing = str(error).endswith("found")
            return Fault(404 if missing else 400, body=_error(str(error)))
        content = result if isinstance(result, dict) else {"result": json.loads(result), "status": "ok", "time": 0.0}
        return Fault(200, {"Content-Type": "application/json"}, json.dumps(content).encode())

    def _result(self, path: str, query: str, body: dict[str, Any]) -> str | dict[str, Any]:
        parts = [unquote(part) for part in path.strip("/").split("/")]
        match parts:
            case [""]:
                return self.client.info().model_dump()
            case ["collections"]:
                return self.client.get_collections().model_dump_json()
            case ["collections", name]:
                return self.client.get_collection(name).model_dump_json()
            case ["collections", name, "points", "count"]:
                request = models.CountRequest.model_validate(body)
                return self.client.count(name, count_filter=request.filter, exact=True).model_dump_json()
            case ["collections", name, "points", "scroll"]:
                return self._scroll(name, models.ScrollRequest.model_validate(body))
            case ["collections", name, "points", "batch"]:
                operations = models.UpdateOperations.model_validate(body).operations
                update_in_order(self.client, name, operations, wait=parse_qs(query).get("wait") == ["true"])
                return json.dumps([{"status": "acknowledged"}] * len(operations))
        raise ValueError(f"{path} not found")

    def _scroll(self, name: str, request: models.ScrollRequest) -> str:
        points, next_offset = self.client.scroll(
            name,
            scroll_filter=request.filter,
            limit=request.limit or 10,
            offset=request.offset,
            with_payload=True if request.with_payload is None else request.with_payload,
            with_vectors=request.with_vector or False,
        )
        return models.ScrollResult(points=points, next_page_offset=next_offset).model_dump_json()


def _error(text: str) -> bytes:
    return json.dumps({"status": {"error": text}, "time": 0.0}).encode()
