"""A Chromium to open pages with."""

import os
import shutil
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
HEADLESS_ARGUMENTS = (
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--no-first-run",
)
"""For a browser that runs as root, draws without a graphics card and calls nobody."""


def find_browser() -> str | None:
    """Path of a Chromium or Chrome: the one that CHROMIUM names, one on PATH, one of Playwright's; None if none."""
    chosen = os.environ.get("CHROMIUM")
    if chosen:
        return shutil.which(chosen)
    on_path = (shutil.which(name) for name in NAMES)
    return next(filter(None, on_path), None) or _of_playwright()


def _of_playwright() -> str | None:
    folder = Path(os.environ.get("PLAYWRIGHT_BROWSERS_PATH") or Path.home() / ".cache" / "ms-playwright")
    found = sorted(path for path in folder.glob("chromium-*/chrome-linux*/chrome") if os.access(path, os.X_OK))
    return str(found[-1]) if found else None
