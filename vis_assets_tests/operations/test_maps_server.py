"""The HTTP server of maps, over a folder."""

import http.client
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from vis_assets.operations.maps_server import serving_maps
from vis_assets.resources.content_types import HTML, content_type
from vis_assets.resources.gallery import update_gallery
from vis_assets.resources.object_store import FolderStore

pytestmark = pytest.mark.enable_socket
OWNER = "ann+x@example.com"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of one owner's map."""
    store = FolderStore(tmp_path_factory.mktemp("store"))
    for name in ("1.html", "1.json", "1.png", "1.points.parquet", "1_point.zip"):
        store.write(f"visualizations/{OWNER}/12/{name}", name.encode(), content_type(name))
    update_gallery(store, f"visualizations/{OWNER}")
    store.write("specs/12/latest.json", b"sealed", HTML)
    with serving_maps(store, 0) as url:
        yield url


def get(address: str, path: str) -> tuple[int, http.client.HTTPMessage, bytes]:
    """Send the path exactly as it is."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, answer.headers, body


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("1.html", "text/html; charset=utf-8"),
        ("1.json", "application/json"),
        ("1.png", "image/png"),
        ("1.points.parquet", "application/vnd.apache.parquet"),
        ("1_point.zip", "application/zip"),
    ],
)
def test_files_have_their_types(address: str, name: str, kind: str) -> None:
    """Each file around a page is served as what it is, and nothing is guessed from its content."""
    status, headers, body = get(address, f"/maps/{OWNER}/12/{name}")
    assert (status, headers["Content-Type"], body) == (200, kind, name.encode())
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", [f"/maps/{OWNER}/", f"/maps/{OWNER}/index.html", "/maps/ann%2Bx%40example.com/"])
def test_the_gallery_is_served(address: str, path: str) -> None:
    """An owner's gallery is at the owner's address, however it is written."""
    status, headers, body = get(address, path)
    assert (status, headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert b'href="./12/1.html"' in body


def test_the_slash_at_the_end_is_added(address: str) -> None:
    """Without the slash the gallery's links would lead elsewhere, so the browser is sent to where they lead right."""
    status, headers, _ = get(address, f"/maps/{OWNER}")
    assert (status, headers["Location"]) == (301, "./ann%2Bx%40example.com/")


@pytest.mark.parametrize(
    "path",
    [
        "/maps/", "/maps//", "/maps/..", "/maps/../", "/maps/%2e%2e/", "/maps/nobody", "/maps/nobody/",
        "/maps/x%0d%0aA:b",
        "/maps/..%2fspecs", "/maps/..%2fspecs/12/latest.json", f"/maps/{OWNER}/12/", f"/maps/{OWNER}/12",
    ],
)  # fmt: skip
def test_nothing_else_is_served(address: str, path: str) -> None:
    """No spelling of a path leads out of the maps, lists owners, or gets an answer of its own making."""
    status, headers, body = get(address, path)
    assert status == 404
    assert headers["Location"] is None
    assert b"sealed" not in body
