"""The page in a real browser that has no network."""

import functools
import http.server
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vis_assets.page.content import MapContent
from vis_assets.page.render import RenderedPage, render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.install_browser import HEADLESS_ARGUMENTS, find_browser
from vis_assets_tests.page.maps import HOSTILE, blobs, crowd, degenerate_maps

pytestmark = [pytest.mark.enable_socket, pytest.mark.usefixtures("vendor_assets")]

_IS_LOADED = """() => {
  const map = window.datamap;
  return !!(map && map.pointLayer && map.labelLayer && map.searchArray && map.pointLayer.isLoaded
    && document.getElementById('loading').style.display === 'none');
}"""
_PLACE_OF_POINT = """(i) => {
  const box = document.getElementById('deck-container').getBoundingClientRect();
  const {x, y} = datamap.pointData;
  const [left, top] = datamap.deckgl.getViewports()[0].project([x[i], y[i]]);
  return [box.left + left, box.top + top];
}"""


_PLACES_OF_LABELS = """() => {
  const layer = datamap.labelLayer;
  if (!datamap.deckgl.isInitialized || !layer.state?.fontAtlasManager) return [];
  const map = document.getElementById('deck-container').getBoundingClientRect();
  const view = datamap.deckgl.getViewports()[0];
  const {data, sizeScale, sizeMinPixels, sizeMaxPixels} = layer.props;
  return data.map((label, index) => {
    const size = Math.min(sizeMaxPixels, Math.max(sizeMinPixels, label.size * sizeScale));
    const rectangle = layer.getBoundingRect(label, {index, data, target: []});
    const [left, top, width, height] = rectangle.map((side) => side * size);
    const [x, y] = view.project([label.x, label.y]);
    const corner = [map.left + x + label.offset[0] + left, map.top + y + label.offset[1] + top];
    return {name: label.label, box: [...corner, corner[0] + width, corner[1] + height]};
  });
}"""
"""Asks deck.gl itself how big the labels are that it draws."""
_PLACES_OF_BOXES = """() => [...document.querySelectorAll('#map .container-box')].map((element) => {
  const box = element.getBoundingClientRect();
  return [box.left, box.top, box.right, box.bottom];
})"""
_ZOOM_IN = """() => {
  const {longitude, latitude, zoom} = datamap.deckgl.getViewports()[0];
  datamap.deckgl.setProps({initialViewState: {longitude, latitude, zoom: zoom + 1.5}});
}"""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the window."""


@dataclass
class OpenedPage:
    """A page in the browser, and what it did."""

    tab: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def wait_for(self, condition: str, what: str) -> None:
        """Poll until a JavaScript function returns true; the page's policy forbids Playwright's own way."""
        for _ in range(200):
            if self.tab.evaluate(condition):
                return
            self.tab.wait_for_timeout(50)
        pytest.fail(f"the page did not come to {what}; it said {self.complaints}")

    def refuse(self, dialog: Any) -> None:
        """Note and close a dialog, which no page of ours opens."""
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def pixels(self) -> np.ndarray:
        """What is to be seen, after two frames."""
        self.tab.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return np.asarray(Image.open(io.BytesIO(self.tab.screenshot())).convert("RGB"), dtype=np.int16)

    def labels(self) -> dict[str, Box]:
        """Names and boxes of the labels that are drawn, once they no longer change."""
        before: list[Any] | None = None
        for _ in range(100):
            drawn = self.tab.evaluate(_PLACES_OF_LABELS)
            if drawn and drawn == before:
                return {label["name"]: tuple(label["box"]) for label in drawn}
            before = drawn
            self.tab.wait_for_timeout(300)
        pytest.fail("the labels do not come to rest")

    def assert_quiet(self) -> None:
        """No request left the machine, and nothing was complained about."""
        assert [url for url in self.requests if not url.startswith(("file:", "data:", "blob:"))] == []
        assert self.complaints == []


Open = Callable[..., OpenedPage]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for this file; it ends with it, because its event loop would disturb other tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: set CHROMIUM or put chromium on PATH to run the browser tests")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(HEADLESS_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture
def open_address(browser: Any) -> Iterator[Open]:
    """Open an address in a fresh profile and wait until the map is there."""
    contexts = []

    def open_(
        address: str,
        *,
        allowed: tuple[str, ...] = ("file:", "data:", "blob:"),
        wait: bool = True,
        window_px: tuple[int, int] = (1000, 700),
    ) -> OpenedPage:
        context = browser.new_context(
            viewport={"width": window_px[0], "height": window_px[1]}, offline=allowed == ("file:", "data:", "blob:")
        )
        contexts.append(context)
        context.route(
            "**/*", lambda route: route.continue_() if route.request.url.startswith(allowed) else route.abort()
        )
        opened = OpenedPage(context.new_page())
        opened.tab.on("request", lambda request: opened.requests.append(request.url))
        opened.tab.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.tab.on("dialog", opened.refuse)
        opened.tab.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
        opened.tab.goto(address)
        if wait:
            opened.wait_for(_IS_LOADED, "a loaded map")
        return opened

    yield open_
    for context in contexts:
        context.close()


@pytest.fixture
def open_map(open_address: Open, tmp_path: Path) -> Open:
    """Render a map and open it from disk."""

    def open_(content: MapContent, window_px: tuple[int, int] = (1000, 700), **options: object) -> OpenedPage:
        file = tmp_path / "map.html"
        file.write_bytes(render_page(content, VisualizationConfig.model_validate(options)).html)
        return open_address(file.as_uri(), window_px=window_px)

    return open_


def _touch(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_map_opens_from_disk_without_network(open_map: Open) -> None:
    """Points in their colours and labels in the page's own font are drawn, and nothing is asked of the network."""
    opened = open_map(blobs(600), title="A map", noise_color="#ff0000", color_label_text=False)
    with_labels = opened.pixels()
    assert (np.abs(with_labels - [255, 0, 0]).sum(axis=2) < 200).sum() > 60, "noise points"
    assert (with_labels.std(axis=2) > 20).sum() > 1_500, "coloured points"
    assert opened.tab.evaluate("() => [...document.fonts].some((f) => f.weight === '600' && f.status === 'loaded')")
    opened.tab.evaluate("() => datamap.setLayerVisibility('labelLayer', false)")
    ink = (with_labels.max(axis=2) < 90) & (opened.pixels().max(axis=2) >= 90)
    assert ink.sum() > 300, "label text"
    opened.assert_quiet()


@pytest.mark.parametrize(("width", "height", "fewest"), [(1400, 900, 25), (800, 600, 20), (390, 844, 10)])
def test_labels_of_the_first_view_can_be_read(open_map: Open, width: int, height: int, fewest: int) -> None:
    """No label lies on another, under the title or over the edge; the biggest cluster has one; ink is nowhere else."""
    title = {"title": "A map of a crowd", "sub_title": "of clusters"}
    opened = open_map(crowd(), (width, height), color_label_text=False, height=height, **title)
    labels = opened.labels()
    boxes = list(labels.values())
    assert len(boxes) >= fewest
    assert any(name.startswith("Cluster 0:") for name in labels)
    taken = boxes + [tuple(box) for box in opened.tab.evaluate(_PLACES_OF_BOXES)]
    assert [(i, j) for i in range(len(boxes)) for j in range(i + 1, len(taken)) if _touch(boxes[i], taken[j])] == []
    assert all(min(left, top) >= 0 and right <= width and bottom <= height for left, top, right, bottom in boxes)
    with_labels = opened.pixels().max(axis=2)
    opened.tab.evaluate("() => datamap.setLayerVisibility('labelLayer', false)")
    ink = (with_labels < 60) & (opened.pixels().max(axis=2) >= 60)
    for left, top, right, bottom in (map(round, box) for box in boxes):
        place = np.s_[top : bottom + 1, left : right + 1]
        assert ink[place].sum() > 40, "every label is drawn in full black"
        ink[place] = False
    assert not ink.any()
    opened.assert_quiet()


def test_zooming_in_shows_more_labels(open_map: Open) -> None:
    """Closer by, clusters in view have labels that had none from afar."""
    opened = open_map(crowd())
    from_afar = set(opened.labels())
    opened.tab.evaluate(_ZOOM_IN)
    opened.wait_for(f"() => datamap.labelLayer.props.data.length !== {len(from_afar)}", "another choice of labels")
    close_by = set(opened.labels())
    assert len(close_by - from_afar) >= 5
    opened.assert_quiet()


def test_long_names_are_cut_on_the_map_only(open_map: Open) -> None:
    """A label has three lines at most; the whole name stays in the topic tree."""
    content = blobs(60)
    name = "one topic with a name that is much longer than three lines of a label"
    long = MapContent(content.coordinates, content.labels, [name, "B", "C"], content.hover_texts)
    opened = open_map(long, enable_topic_tree=True)
    opened.labels()
    texts = opened.tab.evaluate("() => datamap.labelLayer.props.data.map((label) => label.text)")
    assert "one topic with a\nname that is\nmuch longer than\u2026" in texts
    assert name in [" ".join(text.split()) for text in opened.tab.locator(".topic-tree-label").all_text_contents()]
    opened.assert_quiet()


def test_labels_make_way_for_a_box_that_grows(open_map: Open) -> None:
    """A box of the page that comes to lie over labels takes their place."""
    opened = open_map(crowd(), title="T")
    before = len(opened.labels())
    opened.tab.evaluate(
        "() => { document.getElementById('title-container').style.cssText = 'width:500px;height:400px'; }"
    )
    opened.wait_for(f"() => datamap.labelLayer.props.data.length < {before}", "fewer labels")
    title = tuple(opened.tab.evaluate(_PLACES_OF_BOXES)[0])
    assert not any(_touch(box, title) for box in opened.labels().values())


def test_search_highlights_what_it_finds(open_map: Open) -> None:
    """Typing a topic's name selects its points and dims the others; clearing the box brings them back."""
    content = blobs(300)
    opened = open_map(content)
    before = opened.pixels()
    opened.tab.fill("#text-search", "OF KIND 1")
    opened.wait_for("() => datamap.getSelectedIndices().size > 0", "a selection")
    assert opened.tab.evaluate("() => datamap.getSelectedIndices().size") == int((content.labels == 1).sum())
    assert (opened.pixels() != before).any(axis=2).sum() > 500
    opened.tab.fill("#text-search", "")
    opened.wait_for("() => datamap.getSelectedIndices().size === 0", "no selection")
    opened.assert_quiet()


def test_hover_shows_the_text_of_the_point(open_map: Open) -> None:
    """The tooltip shows the topic and the text, markup as text."""
    content = blobs(30)
    hostile = MapContent(content.coordinates, content.labels, content.cluster_names, [HOSTILE] * 30)
    opened = open_map(hostile)
    opened.tab.mouse.move(*opened.tab.evaluate(_PLACE_OF_POINT, 1))
    opened.wait_for("() => !!document.querySelector('.deck-tooltip')?.innerText", "a tooltip")
    assert opened.tab.inner_text(".deck-tooltip") == f"Topic of kind 1\n{HOSTILE}"
    assert opened.tab.evaluate("() => window.hacked") is None
    opened.assert_quiet()


def test_hostile_texts_do_not_run(open_map: Open) -> None:
    """Hostile names, title, subtitle and noise label are shown as they are, in the topic tree too."""
    content = degenerate_maps()["hostile"]
    opened = open_map(content, title=HOSTILE, sub_title=HOSTILE, noise_label=HOSTILE, enable_topic_tree=True)
    labels = opened.tab.locator(".topic-tree-label").all_text_contents()
    assert " ".join(labels[0].split()) == HOSTILE
    assert opened.tab.title() == HOSTILE
    assert opened.tab.evaluate("() => window.hacked") is None
    opened.assert_quiet()


def test_policy_stops_injected_markup(open_map: Open) -> None:
    """Even markup that found its way into the page could not run or call home."""
    opened = open_map(blobs())
    opened.tab.evaluate(
        "() => { document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.hacked=1\">'); }"
    )
    opened.tab.evaluate("() => fetch('https://example.invalid/').catch(() => null)")
    opened.wait_for("() => true", "the next turn")
    assert opened.tab.evaluate("() => window.hacked") is None
    assert not any(url.startswith("http") for url in opened.requests)


def test_map_has_the_size_asked_for(open_map: Open) -> None:
    """The map's box has the configured width and height, and its canvas fills it."""
    opened = open_map(blobs(), width="60%", height=500)
    for element in ("#map", "#deck-container canvas"):
        box = opened.tab.locator(element).first.bounding_box()
        assert (box["width"], box["height"]) == (600, 500)
    opened.assert_quiet()


def test_dark_mode_is_dark(open_map: Open) -> None:
    """With darkmode the ground of the map is black."""
    opened = open_map(blobs(), darkmode=True)
    assert opened.pixels()[650, 500].tolist() == [0, 0, 0]
    opened.assert_quiet()


def test_boundaries_are_drawn(open_map: Open) -> None:
    """Cluster boundaries are a layer of their own that changes the picture."""
    opened = open_map(blobs(), cluster_boundary_polygons=True)
    opened.wait_for("() => !!datamap.boundaryLayer", "boundaries")
    before = opened.pixels()
    opened.tab.evaluate("() => datamap.setLayerVisibility('boundaryLayer', false)")
    assert (opened.pixels() != before).any(axis=2).sum() > 200
    opened.assert_quiet()


def test_topic_tree_leads_to_the_topic(open_map: Open) -> None:
    """A click on a topic in the tree zooms in on it."""
    opened = open_map(blobs(), enable_topic_tree=True)
    zoom = "() => datamap.deckgl.getViewports()[0].zoom"
    before = opened.tab.evaluate(zoom)
    opened.tab.locator(".topic-tree-label").first.click()
    opened.wait_for(f"() => ({zoom})() > {before} + 1", "a closer view")
    opened.assert_quiet()


@pytest.mark.parametrize("name", ["one point", "one noise point", "all noise", "all in one place", "every script"])
def test_every_map_opens(open_map: Open, name: str) -> None:
    """Maps at the edge of what can be drawn open without complaint and show something."""
    opened = open_map(degenerate_maps()[name], cluster_boundary_polygons=True, enable_topic_tree=True)
    opened.tab.evaluate("() => document.querySelectorAll('.stack').forEach((stack) => stack.remove())")
    assert (opened.pixels() < 250).any(axis=2).sum() > 5
    opened.assert_quiet()


def test_data_beside_the_page_work_over_http(open_address: Open, tmp_path: Path) -> None:
    """With inline_data false the page finds its data in its own folder, by addresses that a plain store knows."""
    page: RenderedPage = render_page(blobs(), VisualizationConfig(inline_data=False), "m1")
    (tmp_path / "a").mkdir()
    for name, data in {"m1.html": page.html, **page.data_files}.items():
        (tmp_path / "a" / name).write_bytes(data)
    handler = functools.partial(_QuietHandler, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        origin = f"http://127.0.0.1:{server.server_port}"
        opened = open_address(f"{origin}/a/m1.html", allowed=(origin, "blob:", "data:"))
        asked = {url for url in opened.requests if url.startswith("http") and not url.endswith("favicon.ico")}
        server.shutdown()
    assert asked == {f"{origin}/a/m1.html"} | {f"{origin}/a/{name}" for name in page.data_files}
    assert (opened.pixels() < 250).any(axis=2).sum() > 500


def test_map_works_in_a_sandboxed_frame(open_address: Open, tmp_path: Path) -> None:
    """An application that shows the page in an iframe that may run scripts and nothing else sees the map."""
    (tmp_path / "map.html").write_bytes(render_page(blobs(), VisualizationConfig(height=600)).html)
    host = tmp_path / "host.html"
    host.write_text('<iframe sandbox="allow-scripts" src="map.html" width="900" height="620"></iframe>')
    opened = open_address(host.as_uri(), wait=False)
    frame = opened.tab.frames[1]
    for _ in range(200):
        if frame.evaluate(_IS_LOADED):
            break
        opened.tab.wait_for_timeout(50)
    assert (opened.pixels().std(axis=2) > 20).sum() > 500
    opened.assert_quiet()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
