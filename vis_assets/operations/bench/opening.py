"""Opening a map in a browser: our page beside a stock datamapplot page of the same points.

The stock page loads its libraries from a CDN; here they are fetched once from npm, and handed to the browser when it
asks for them, so that no network speed is measured.
"""

import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vis_assets.errors import InvalidSetting
from vis_assets.operations.bench.machine import first_value
from vis_assets.operations.chromium import HEADLESS_ARGUMENTS, find_browser
from vis_assets.page.fonts import find_npm

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Route

ENGINES = ("ours", "datamapplot")
POINTS_A_GROUP = 400
WORDS_A_TEXT = 14
OPENING_SECONDS = 300.0
DRAG_STEPS = 30
_LIBRARIES = {
    "deck.gl@": ("deck.gl@9.1.15", "dist.min.js"),
    "apache-arrow@": ("apache-arrow@21.2.0", "Arrow.es2015.min.js"),
    "jquery@": ("jquery@3.7.1", "dist/jquery.min.js"),
}
"""Part of the address that the stock page asks for -> npm package and the file in it."""
_IS_THERE = {
    "ours": "() => !!(window.visAssets?.isReady && visAssets.scene.isDrawn)",
    "datamapplot": """() => !!(window.datamap?.pointLayer?.isLoaded && datamap.labelLayer
        && document.getElementById('loading').style.display === 'none')""",
}


@dataclass(frozen=True)
class Opened:
    """How a page behaved.

    Attributes:
        engine: "ours" or "datamapplot".
        points: on the map.
        page_bytes: size of the file.
        open_seconds: from the address to points and labels on the screen, texts searchable.
        memory_bytes: what the browser's processes hold then, together (proportional set size).
        drag_seconds: from the first of 30 small moves of the pointer to the picture after the last.
    """

    engine: str
    points: int
    page_bytes: int
    open_seconds: float
    memory_bytes: int
    drag_seconds: float


def run_opening(points: int, folder: Path, say: Callable[[str], None]) -> list[Opened]:
    """Write both pages of a made-up map and open them, one after the other, each in a browser of its own.

    Args:
        points: of the map.
        folder: where pages and libraries are kept.
        say: told what is being done.

    Raises:
        InvalidSetting: there is no browser, no Playwright or no npm.
    """
    folder.mkdir(parents=True, exist_ok=True)
    libraries = _fetch_libraries(folder)
    places, labels, texts = make_up_map(points)
    found = []
    for engine in ENGINES:
        say(f"{engine}: writing a page of {points:,} points")
        page = folder / f"{engine}.html"
        _WRITERS[engine](places, labels, texts, page)
        say(f"{engine}: opening {page.stat().st_size / 1e6:.1f} MB")
        with _browser() as browser:
            found.append(_open(browser, engine, page, points, libraries))
    return found


def make_up_map(points: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int32], list[str]]:
    """Groups of points with noise between them, and a text for each, the same on every call.

    Returns:
        (n, 2) places, (n,) labels with -1 for noise, and n texts of about 100 characters.
    """
    random = np.random.default_rng(0)
    groups = max(2, points // POINTS_A_GROUP)
    labels = random.integers(-1, groups, points).astype(np.int32)
    centers, spreads = random.uniform(-10, 10, (groups, 2)), random.lognormal(-1.5, 0.5, groups) * 30 / np.sqrt(groups)
    places = centers[labels] + spreads[labels, None] * random.normal(size=(points, 2))
    is_noise = labels < 0
    places[is_noise] = random.uniform(-11, 11, (int(is_noise.sum()), 2))
    syllables = ["ta", "ri", "mo", "ke", "lun", "ver", "os", "pi", "den", "sal"]
    words = np.array([a + b + c for a in syllables for b in syllables for c in syllables], dtype=object)
    chosen = random.integers(0, len(words), (points, WORDS_A_TEXT))
    return places.astype(np.float32), labels, [" ".join(row) for row in words[chosen]]


def _write_ours(places: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], texts: list[str], page: Path) -> None:
    from vis_assets.page.content import MapContent
    from vis_assets.page.render import render_page
    from vis_assets.protocol.visualization_config import VisualizationConfig

    content = MapContent(places, labels, _names(labels), texts)
    page.write_bytes(render_page(content, VisualizationConfig()).html)


def _write_datamapplot(
    places: npt.NDArray[np.float32], labels: npt.NDArray[np.int32], texts: list[str], page: Path
) -> None:
    import datamapplot

    names = np.array([*_names(labels), "Unlabelled"], dtype=object)
    datamapplot.create_interactive_plot(places, names[labels], hover_text=texts, enable_search=True).save(page)


_WRITERS = {"ours": _write_ours, "datamapplot": _write_datamapplot}


def _names(labels: npt.NDArray[np.int32]) -> list[str]:
    return [f"Topic {label}" for label in range(int(labels.max()) + 1)]


def _fetch_libraries(folder: Path) -> dict[str, bytes]:
    """The libraries of the stock page, by part of their address."""
    found = {}
    for part, (package, file) in _LIBRARIES.items():
        archive = folder / f"{package.replace('@', '-')}.tgz"
        if not archive.is_file():
            command = [*find_npm(), "pack", package, "--pack-destination", str(folder), "--loglevel=error"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)  # noqa: S603 - fixed
            if done.returncode != 0:
                raise InvalidSetting(f"npm could not fetch {package}: {done.stderr.strip()[-300:]}")
        with tarfile.open(archive) as packed:
            member = packed.extractfile(f"package/{file}")
            found[part] = member.read() if member else b""
    return found


@contextmanager
def _browser() -> "Iterator[Browser]":
    executable = find_browser()
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        raise InvalidSetting("Playwright is not installed: `pip install playwright`, and try again") from None
    if executable is None:
        raise InvalidSetting("no browser was found: install chromium, or set CHROMIUM to the path of one")
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(HEADLESS_ARGUMENTS))
        yield running
        running.close()


def _open(browser: "Browser", engine: str, file: Path, points: int, libraries: dict[str, bytes]) -> Opened:
    tab = browser.new_page(viewport={"width": 1280, "height": 800})
    tab.set_default_timeout(OPENING_SECONDS * 1000)

    def answer(route: "Route") -> None:
        body = next((body for part, body in libraries.items() if part in route.request.url), None)
        if body is None:
            route.abort()
        else:
            route.fulfill(body=body, content_type="text/javascript")

    tab.route("http*://**/*", answer)
    started = time.monotonic()
    tab.goto(file.as_uri(), wait_until="commit")
    while not tab.evaluate(_IS_THERE[engine]):
        if time.monotonic() - started > OPENING_SECONDS:
            raise InvalidSetting(f"{engine}: the page was not there after {OPENING_SECONDS:.0f} s")
        tab.wait_for_timeout(20)
    seconds = time.monotonic() - started
    tab.wait_for_timeout(1_000)
    memory = _memory_bytes(browser)
    return Opened(engine, points, file.stat().st_size, seconds, memory, _drag(tab))


def _memory_bytes(browser: "Browser") -> int:
    """Proportional set size of all of the browser's processes."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    return sum(_pss_bytes(int(process["id"])) for process in processes)


def _pss_bytes(pid: int) -> int:
    said = first_value(Path(f"/proc/{pid}/smaps_rollup"), "Pss")
    return int(said.split()[0]) * 1024 if said else 0


def _drag(tab: "Page") -> float:
    """Drag the map about and wait until all is drawn; a picture of the page is not there before."""
    started = time.monotonic()
    tab.screenshot()
    still = time.monotonic() - started
    started = time.monotonic()
    tab.mouse.move(640, 400)
    tab.mouse.down()
    for step in range(DRAG_STEPS):
        tab.mouse.move(640 + 6 * step, 400 + 3 * step)
    tab.screenshot()
    seconds = time.monotonic() - started - still
    tab.mouse.up()
    return seconds
