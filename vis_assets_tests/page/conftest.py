"""Fixtures of the page tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vis_assets.operations.chromium import HEADLESS_ARGUMENTS, find_browser
from vis_assets.page.content import MapContent
from vis_assets.page.fonts import fonts_available
from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.browsing import Browsing, Open, OpenedPage


@pytest.fixture(scope="session")
def fonts() -> None:
    """Skip where the fonts were not built."""
    if not fonts_available():
        pytest.skip("the fonts of the page were not built: run `make setup`")


@pytest.fixture(scope="module")
def browser(fonts: None) -> Iterator[Any]:
    """One browser for a file; it ends with it, because its event loop would disturb other tests."""
    sync_api = pytest.importorskip("playwright.sync_api")
    executable = find_browser()
    if executable is None:
        pytest.skip("no browser: set CHROMIUM or put chromium on PATH to run the browser tests")
    with sync_api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=executable, args=list(HEADLESS_ARGUMENTS))
        yield running
        running.close()


@pytest.fixture(scope="module")
def shared_browsing(browser: Any) -> Iterator[Browsing]:
    """Pages that the tests of a file share."""
    browsing = Browsing(browser)
    yield browsing
    browsing.close()


@pytest.fixture
def browsing(browser: Any) -> Iterator[Browsing]:
    """Pages of one test."""
    own = Browsing(browser)
    yield own
    own.close()


@pytest.fixture
def open_map(browsing: Browsing, tmp_path: Path) -> Open:
    """Render a map and open it from disk."""

    def open_(
        content: MapContent, window_px: tuple[int, int] = (1200, 800), fragment: str = "", **options: object
    ) -> OpenedPage:
        file = tmp_path / "map.html"
        file.write_bytes(render_page(content, VisualizationConfig.model_validate(options)).html)
        return browsing.open(file.as_uri() + fragment, window_px=window_px)

    return open_
