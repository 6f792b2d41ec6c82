"""The HTTP server of maps: `/maps/{owner}/{visualization_transform_id}/{visualization_id}.html`, and `/health`."""

import contextlib
import logging
import mimetypes
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from vis_assets.errors import ObjectMissing, PermanentError, StoreUnavailable
from vis_assets.resources.object_store import ObjectStore
from vis_assets.resources.pages import ROOT

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """What the server says to a request.

    Attributes:
        status: HTTP status.
        body: bytes.
        kind: content type.
    """

    status: int
    body: bytes
    kind: str = "text/plain"


Pages = Mapping[str, Callable[[], Answer]]
"""Path -> what is answered there. Called from several threads; must not wait."""
HEALTHY: Pages = {"/health": lambda: Answer(200, b"ok\n")}


@contextlib.contextmanager
def serving_maps(store: ObjectStore, port: int, host: str = "127.0.0.1", pages: Pages = HEALTHY) -> Iterator[str]:
    """Serve the public objects of the store until the block ends; yields the base URL.

    Args:
        store: where the maps are.
        port: where to listen; 0 takes any free one.
        host: address to listen on.
        pages: what else is served.

    Raises:
        OSError: the port is taken.
    """

    class Handler(_MapHandler):
        objects = store
        others = pages

    server = ThreadingHTTPServer((host, port), Handler)
    thread = threading.Thread(target=server.serve_forever, name="maps", daemon=True)
    thread.start()
    try:
        yield f"http://{host}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


class _MapHandler(BaseHTTPRequestHandler):
    objects: ObjectStore
    others: Pages
    timeout = 30
    server_version = "vis_assets"
    sys_version = ""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if path in self.others:
            answer = self.others[path]()
            self._answer(answer.status, answer.body, answer.kind)
        elif path.startswith("/maps/"):
            self._answer_object(path.removeprefix("/maps/"))
        else:
            self._answer(404, b"not found; maps are at /maps/{owner}/{transform}/{visualization}.html\n", "text/plain")

    do_HEAD = do_GET

    def _answer_object(self, name: str) -> None:
        try:
            body = self.objects.read(f"{ROOT}/{name}")
        except (ObjectMissing, PermanentError):
            self._answer(404, b"there is no such map\n", "text/plain")
        except StoreUnavailable as error:
            _log.warning("%s", error)
            self._answer(503, b"the object store does not answer; try again\n", "text/plain")
        else:
            kind = "text/html; charset=utf-8" if name.endswith(".html") else mimetypes.guess_type(name)[0]
            self._answer(200, body, kind or "application/octet-stream")

    def _answer(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        _log.debug("%s %s", self.address_string(), format % args)
