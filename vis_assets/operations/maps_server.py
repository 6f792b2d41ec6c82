"""The HTTP server of maps: `/maps/{owner}/{visualization_transform_id}/{visualization_id}.html`, and `/health`.

`/maps/{owner}/` is the owner's gallery; what lies beside a page is served too.
"""

import contextlib
import logging
import mimetypes
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote, urlsplit

from vis_assets.errors import ObjectMissing, PermanentError, StoreUnavailable
from vis_assets.resources.content_types import BYTES, INDEX_PAGE, content_type
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
            self._answer(
                404,
                b"not found; maps are at /maps/{owner}/ and /maps/{owner}/{transform}/{visualization}.html\n",
                "text/plain",
            )

    do_HEAD = do_GET

    def _answer_object(self, name: str) -> None:
        if name.endswith("/"):
            name += INDEX_PAGE
        try:
            body = self.objects.read(f"{ROOT}/{name}")
        except ObjectMissing:
            self._redirect_to_gallery(name)
        except PermanentError:
            self._answer(404, b"there is no such map\n", "text/plain")
        except StoreUnavailable as error:
            _log.warning("%s", error)
            self._answer(503, b"the object store does not answer; try again\n", "text/plain")
        else:
            known = content_type(name)
            self._answer(200, body, known if known != BYTES else mimetypes.guess_type(name)[0] or BYTES)

    def _redirect_to_gallery(self, name: str) -> None:
        """Lead from `/maps/{owner}` to `/maps/{owner}/`, without which the gallery's links would lead elsewhere."""
        try:
            is_owner = "/" not in name and self.objects.exists(f"{ROOT}/{name}/{INDEX_PAGE}")
        except StoreUnavailable:
            is_owner = False
        if is_owner:
            # Relative, because a proxy may serve this under a longer path.
            self._answer(301, b"the gallery has a slash at its end\n", "text/plain", {"Location": f"./{quote(name)}/"})
        else:
            self._answer(404, b"there is no such map\n", "text/plain")

    def _answer(self, status: int, body: bytes, kind: str, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for header, value in (headers or {}).items():
            self.send_header(header, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        _log.debug("%s %s", self.address_string(), format % args)
