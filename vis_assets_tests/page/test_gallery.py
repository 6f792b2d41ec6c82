"""The page that lists an owner's maps."""

import functools
import http.server
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from vis_assets.page.gallery import GalleryEntry, MapCard, read_card, render_gallery
from vis_assets.page.preview import draw_thumbnail
from vis_assets_tests.page.maps import HOSTILE, Outline, blobs

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def card(title: str = "Invoices", **changes: Any) -> MapCard:
    return MapCard(**{"title": title, "points": 12345, "clusters": 1, "made_at": NOON, "job_id": "j"} | changes)


def entry(number: int, **changes: Any) -> GalleryEntry:
    known: dict[str, Any] = {
        "card": card(f"Map no. {number}", made_at=NOON + timedelta(hours=number)),
        "stored_at": 0.0,
    }
    return GalleryEntry(f"{number}/1.html", **known | changes)


def links(page: bytes) -> list[str | None]:
    return [attributes.get("href") for tag, attributes in Outline(page).elements if tag == "a"]


def test_the_newest_map_comes_first() -> None:
    """Maps are listed by when they were made, each with a link, a title, its counts and its date."""
    page = render_gallery("ann@example.com", [entry(1), entry(3), entry(2)], 3)
    assert links(page) == ["./3/1.html", "./2/1.html", "./1/1.html"]
    text = Outline(page).texts["html"]
    for told in (
        "Maps of ann@example.com",
        "3 maps",
        "Map no. 3",
        "12,345 points",
        "1 cluster",
        "2026-11-22 15:00 UTC",
    ):
        assert told in text


def test_pictures_and_tables_are_linked_where_there_are_some() -> None:
    """A thumbnail is shown and the table of points linked; without them nothing points nowhere."""
    page = render_gallery("o", [entry(1, thumbnail="1/1.png", points_file="1/1.points.parquet"), entry(2)], 2)
    assert links(page) == ["./2/1.html", "./1/1.html", "./1/1.points.parquet"]
    assert [a["src"] for tag, a in Outline(page).elements if tag == "img"] == ["./1/1.png"]


def test_a_map_without_card_is_listed() -> None:
    """A map from before there were cards has its address as title and the day it was stored as date."""
    text = Outline(render_gallery("o", [entry(7, card=None, stored_at=86400.0)], 1)).texts["html"]
    assert "Map 7/1" in text
    assert "1970-01-02" in text
    assert "points" not in text


def test_a_cut_list_says_so() -> None:
    """Where not all maps are shown, the page tells how many there are."""
    assert "The newest 1 of 1,234 maps." in Outline(render_gallery("o", [entry(1)], 1234)).texts["html"]


@pytest.mark.parametrize("hostile", [HOSTILE, "</title><script>x()</script>", "' onload='x()", "\x00\u202e\ud800"])
def test_hostile_text_stays_text(hostile: str) -> None:
    """Titles, owners and addresses add no element and no attribute, and the page forbids every script."""
    page = render_gallery(hostile, [entry(1, card=None), entry(2, thumbnail=hostile, points_file=hostile)], 2)
    named = render_gallery("o", [entry(1, card=MapCard.model_construct(**card().model_dump() | {"title": hostile}))], 1)
    for body in (page, named):
        outline = Outline(body)
        assert {tag for tag, _ in outline.elements} <= {
            "html", "head", "meta", "link", "title", "style", "body", "header", "h1", "p", "main", "ul", "li", "a",
            "img", "span", "strong", "time",
        }  # fmt: skip
        assert not [name for _, attributes in outline.elements for name in attributes if name.startswith("on")]
        assert all((link or "").startswith("./") for link in links(body))
        policy = next(a["content"] for tag, a in outline.elements if a.get("http-equiv") == "Content-Security-Policy")
        assert policy is not None
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy


def test_equal_maps_make_equal_pages() -> None:
    """The order in which maps are found does not matter."""
    assert render_gallery("o", [entry(1), entry(2)], 2) == render_gallery("o", [entry(2), entry(1)], 2)


def test_a_card_survives_its_file() -> None:
    """What is written is read again, in UTC to the second; what is no card is none."""
    made_at = datetime.fromisoformat("2026-11-22T13:00:00.123456+01:00")
    assert read_card(card(made_at=made_at).to_json()) == card(made_at=NOON)
    for broken in (b"", b"null", b"[]", b"{}", b'{"points": -1}', b"\xff", b'{"points":1,"clusters":1,"made_at":"x"}'):
        assert read_card(broken) is None


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A gallery of two maps, one with its picture, as it lies in a bucket or on disk."""
    (tmp_path / "1").mkdir()
    (tmp_path / "1" / "1.png").write_bytes(draw_thumbnail(blobs()))
    (tmp_path / "1" / "1.html").write_text('<!DOCTYPE html><link rel="icon" href="data:,"><title>the map</title>')
    (tmp_path / "index.html").write_bytes(render_gallery("o", [entry(1, thumbnail="1/1.png"), entry(2)], 2))
    return tmp_path


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture
def addresses(folder: Path) -> Iterator[list[str]]:
    """Where the gallery is, from disk and over http."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield [(folder / "index.html").as_uri(), f"http://127.0.0.1:{server.server_port}/"]
    server.shutdown()
    server.server_close()


@pytest.mark.enable_socket
def test_the_gallery_opens_in_a_browser(addresses: list[str], browser: Any) -> None:
    """On a phone in dark mode the picture is shown, nothing is wider than the screen, and the link leads to the map."""
    complaints: list[str] = []
    tab = browser.new_page(viewport={"width": 360, "height": 640}, color_scheme="dark")
    tab.on("console", lambda message: complaints.append(message.text))
    tab.on("requestfailed", lambda request: complaints.append(request.url))
    for address in addresses:
        tab.goto(address)
        assert tab.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 960
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 19)"
        with tab.expect_navigation():
            tab.get_by_text("Map no. 1").click()
        assert tab.title() == "the map"
    tab.close()
    assert complaints == []
