"""How the tests look at a page in a browser: opening it, pointing at things, waiting, seeing."""

import functools
import http.server
import io
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

OFFLINE = ("file:", "data:", "blob:")
"""Addresses that need no network."""
IS_READY = "() => window.visAssets?.isReady === true"
PLACE_OF_POINT = """(row) => {
  const {data, camera} = visAssets;
  const box = document.getElementById('stage').getBoundingClientRect();
  const [left, top] = camera.project([data.positions[2 * row], data.positions[2 * row + 1]]);
  return [box.left + left, box.top + top];
}"""
PLACE_ON_MAP = """(place) => {
  const box = document.getElementById('stage').getBoundingClientRect();
  const [left, top] = visAssets.camera.project(place);
  return [box.left + left, box.top + top];
}"""
RESET = """() => {
  const {filters, selection, highlight, colors, theme, camera} = visAssets;
  for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
  if (filters.names().length > 0) document.getElementById('filter-clear').click();
  if (selection.get().length > 0) selection.set(null);
  if (highlight.get().length > 0) highlight.set(null);
  if (colors.current() !== 'cluster') colors.by('cluster');
  if (theme.isDark()) theme.set(false);
  if (location.hash) history.replaceState(null, '', location.pathname);
  document.activeElement.blur();
  const {target: [x, y], zoom} = camera.get();
  camera.fit(null);
  return JSON.stringify(camera.get()) !== JSON.stringify({target: [x, y], zoom});
}"""
"""Returns whether the map had to be moved."""
TWO_FRAMES = "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))"
_LABELS = """() => {
  const box = document.getElementById('stage').getBoundingClientRect();
  return visAssets.labels.shown().map(({name, layer, lines, box: [left, top, right, bottom]}) => ({
    name, layer, lines, box: [box.left + left, box.top + top, box.left + right, box.top + bottom],
  }));
}"""
_WATCH = """() => {
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) => {
    window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
  });
}"""
Box = tuple[float, float, float, float]
"""Left, top, right and bottom in pixels of the window."""
Pixels = npt.NDArray[np.int16]


@dataclass
class OpenedPage:
    """A page in the browser, and what it did."""

    tab: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def ask(self, script: str, argument: Any = None) -> Any:
        """What a JavaScript function returns."""
        return self.tab.evaluate(script, argument)

    def wait_for(self, condition: str, what: str, argument: Any = None) -> None:
        """Poll until a JavaScript function returns true; the page's policy forbids Playwright's own way."""
        wait_in(self.tab, condition, what, argument, self.complaints)

    def settle(self) -> None:
        """Wait until the map no longer moves and two more frames were drawn."""
        before = None
        for _ in range(100):
            view = self.ask("() => JSON.stringify(visAssets.camera.get())")
            self.ask(TWO_FRAMES)
            if view == before:
                return
            before = view
            self.tab.wait_for_timeout(20)
        pytest.fail("the map does not come to rest")

    def reset(self) -> None:
        """Bring the page back to what it was at first."""
        self.tab.mouse.move(1, 1)
        if self.ask(RESET):
            self.settle()

    def pixels(self) -> Pixels:
        """What is to be seen, after two frames."""
        self.ask(TWO_FRAMES)
        return read_image(self.tab.screenshot())

    def camera(self) -> tuple[float, float, float]:
        """Middle of the view and zoom."""
        view = self.ask("() => visAssets.camera.get()")
        return view["target"][0], view["target"][1], view["zoom"]

    def place_of(self, row: int) -> tuple[float, float]:
        """Where a point is in the window."""
        left, top = self.ask(PLACE_OF_POINT, row)
        return left, top

    def point_at(self, row: int) -> None:
        """Come near to a point and rest the pointer on it, until the tooltip is there."""
        self.ask(
            """(row) => {
              const {camera, data} = visAssets;
              camera.set({target: [...data.positions.slice(2 * row, 2 * row + 2)], zoom: 9});
            }""",
            row,
        )
        self.settle()
        left, top = self.place_of(row)
        self.tab.mouse.move(left + 40, top + 40)
        self.tab.mouse.move(left, top)
        self.wait_for("() => !document.getElementById('tooltip').hidden", "a tooltip")

    def shown(self) -> int:
        """Number of bright points."""
        return int(self.ask("() => visAssets.filters.count()"))

    def bright_rows(self) -> list[int]:
        """Rows of the bright points."""
        rows: list[int] = self.ask(
            "() => Array.from({length: visAssets.data.n}, (_, row) => row).filter(visAssets.filters.passes)"
        )
        return rows

    def selected(self) -> list[int]:
        """Rows that are selected, in order."""
        return sorted(self.ask("() => Array.from(visAssets.selection.get())"))

    def labels(self) -> list[dict[str, Any]]:
        """Names that are drawn, with their layer and box, once they no longer change."""
        before = None
        for _ in range(60):
            self.ask(TWO_FRAMES)
            drawn: list[dict[str, Any]] = self.ask(_LABELS)
            if drawn == before:
                return drawn
            before = drawn
            self.tab.wait_for_timeout(60)
        pytest.fail("the labels do not come to rest")

    def boxes(self, selector: str) -> list[Box]:
        """Boxes of the visible elements that a selector finds."""
        found = self.ask(
            """(selector) => [...document.querySelectorAll(selector)].filter((element) => element.checkVisibility())
              .map((element) => element.getBoundingClientRect())
              .filter(({width, height}) => width > 0 && height > 0)
              .map(({left, top, right, bottom}) => [left, top, right, bottom])""",
            selector,
        )
        return [tuple(box) for box in found]

    def assert_quiet(self) -> None:
        """No request left the machine, nothing was complained about, and no script of a text has run."""
        assert [url for url in self.requests if not url.startswith(OFFLINE)] == []
        assert self.complaints == []
        assert self.ask("() => window.hacked === undefined")


Open = Callable[..., OpenedPage]


def wait_in(frame: Any, condition: str, what: str, argument: Any = None, complaints: list[str] | None = None) -> None:
    """Poll a page or a frame until a JavaScript function returns true."""
    for _ in range(600):
        if frame.evaluate(condition, argument):
            return
        frame.wait_for_timeout(20)
    pytest.fail(f"the page did not come to {what}; it said {complaints}")


def read_image(data: bytes) -> Pixels:
    """A picture as (height, width, 3) numbers."""
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16)


def differs(one: Pixels, other: Pixels) -> int:
    """Number of pixels that are not the same."""
    return int((one != other).any(axis=2).sum())


def near(pixels: Pixels, color: tuple[int, int, int], away: int = 60) -> int:
    """Number of pixels of about a colour."""
    return int((np.abs(pixels - np.array(color)).sum(axis=2) < away).sum())


def touch(one: Box, other: Box) -> bool:
    """Whether two boxes lie on each other."""
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


class Browsing:
    """Opens addresses, each in a fresh profile that reaches only what it may."""

    def __init__(self, browser: Any) -> None:
        """Remember the browser."""
        self._browser = browser
        self._contexts: list[Any] = []

    def open(
        self,
        address: str,
        *,
        allowed: tuple[str, ...] = OFFLINE,
        is_map: bool = True,
        window_px: tuple[int, int] = (1200, 800),
        **options: Any,
    ) -> OpenedPage:
        """Open an address; a map until it is ready.

        Args:
            address: of the page.
            allowed: starts of the addresses that may be reached.
            is_map: whether it is a page of ours, to wait for.
            window_px: width and height of the window.
            **options: of the browser's context.
        """
        width, height = window_px
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, offline=allowed == OFFLINE, **options
        )
        self._contexts.append(context)
        context.route(
            "**/*", lambda route: route.continue_() if route.request.url.startswith(allowed) else route.abort()
        )
        context.add_init_script(f"({_WATCH})()")
        opened = OpenedPage(context.new_page())
        opened.tab.on("request", lambda request: opened.requests.append(request.url))
        opened.tab.on("pageerror", lambda error: opened.complaints.append(str(error)))
        opened.tab.on("dialog", functools.partial(_refuse, opened))
        opened.tab.on("popup", lambda popup: opened.complaints.append(f"window: {popup.url}"))
        opened.tab.on("console", lambda m: opened.complaints.append(m.text) if m.type == "error" else None)
        opened.tab.goto(address)
        if is_map:
            opened.wait_for(IS_READY, "a map")
            opened.settle()
        return opened

    def close(self) -> None:
        """Close what was opened."""
        for context in self._contexts:
            context.close()


def _refuse(opened: OpenedPage, dialog: Any) -> None:
    """Note and close a dialog, which no page of ours opens."""
    opened.complaints.append(f"dialog: {dialog.message}")
    dialog.dismiss()


@contextmanager
def serve(folder: Path, headers: Mapping[str, str] | None = None) -> Iterator[str]:
    """Serve a folder over http on this machine; yields the origin.

    Args:
        folder: what to serve.
        headers: sent with every answer.
    """
    handler = functools.partial(_QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.extra_headers = dict(headers or {})  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    """Serves files and keeps no log."""

    def end_headers(self) -> None:
        """Add the headers that a test asked for."""
        for name, value in self.server.extra_headers.items():  # type: ignore[attr-defined]
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""
