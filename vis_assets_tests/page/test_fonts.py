"""The fonts of a page."""

import json
import re
from pathlib import Path

import pytest

from vis_assets.page import fonts

_FOLDER = Path(fonts.__file__).parent


def test_lock_file_names_no_registry() -> None:
    """The lock file says of no package where to fetch it, so that it works with any registry."""
    packages = json.loads((_FOLDER / "package-lock.json").read_text())["packages"]
    assert not any("://" in entry.get("resolved", "") for entry in packages.values())


def test_lock_file_pins_every_library_by_hash() -> None:
    """Every package that comes from a registry has an integrity hash, and the direct ones an exact version."""
    lock = json.loads((_FOLDER / "package-lock.json").read_text())
    fetched = [
        entry for path, entry in lock["packages"].items() if path and not entry.get("link") and "version" in entry
    ]
    assert fetched
    assert all(entry["integrity"].startswith("sha512-") for entry in fetched)
    package = json.loads((_FOLDER / "package.json").read_text())
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in package["dependencies"].values())


@pytest.mark.usefixtures("fonts")
def test_built_fonts_need_no_network() -> None:
    """What was built holds the fonts themselves, and no address."""
    built = fonts.load_fonts()
    assert built is not None
    assert built.css.count("data:font/woff2;base64,") >= 15
    assert not re.search(r"https?:", built.css)


@pytest.mark.usefixtures("fonts")
def test_built_fonts_hold_the_licences() -> None:
    """What was built names every package with its version, and holds the text of its licence."""
    assets = fonts.load_fonts()
    assert assets is not None
    wanted = json.loads((_FOLDER / "package.json").read_text())["dependencies"]
    assert {entry["name"]: entry["version"] for entry in assets.licences} == wanted
    assert all(entry["licence"] and len(entry["text"]) > 500 for entry in assets.licences)


@pytest.mark.usefixtures("fonts")
def test_a_second_build_does_nothing() -> None:
    """Fonts of the same lock file are not built again."""
    build = fonts.build_fonts()
    assert not build.fresh
    assert "up to date" in str(build)


def test_a_folder_without_fonts_has_none(tmp_path: Path) -> None:
    """Missing fonts are told as such, not as an error."""
    assert not fonts.fonts_available(tmp_path)
    assert fonts.load_fonts(tmp_path) is None
