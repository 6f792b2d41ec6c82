"""The browser libraries of a page."""

import json
import re
from pathlib import Path

import pytest

from vis_assets.page import vendor

_FOLDER = Path(vendor.__file__).parent


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


def test_addresses_name_the_pinned_versions() -> None:
    """A page without built libraries loads the very versions that the lock file pins."""
    wanted = json.loads((_FOLDER / "package.json").read_text())["dependencies"]
    assert [url.split("/")[3] for url in vendor.library_urls()] == [f"deck.gl@{wanted['deck.gl']}"]
    assert vendor.library_hosts() == ["unpkg.com"]


@pytest.mark.usefixtures("vendor_assets")
def test_built_assets_hold_scripts_and_fonts() -> None:
    """What was built has a source for each address, and fonts that need no network."""
    assets = vendor.load_vendor_assets()
    assert assets is not None
    assert list(assets.scripts) == vendor.library_urls()
    assert all(len(source) > 50_000 for source in assets.scripts.values())
    assert "data:font/woff2;base64," in assets.font_css
    assert not re.search(r"https?:", assets.font_css)


@pytest.mark.usefixtures("vendor_assets")
def test_built_assets_hold_the_licences() -> None:
    """What was built names every package with its version, and holds the text of its licence."""
    assets = vendor.load_vendor_assets()
    assert assets is not None
    wanted = json.loads((_FOLDER / "package.json").read_text())["dependencies"]
    assert {entry["name"]: entry["version"] for entry in assets.licences} == wanted
    assert all(entry["licence"] and len(entry["text"]) > 500 for entry in assets.licences)


@pytest.mark.usefixtures("vendor_assets")
def test_a_second_build_does_nothing() -> None:
    """Assets of the same lock file are not built again."""
    build = vendor.build_vendor_assets()
    assert not build.fresh
    assert "up to date" in str(build)


def test_a_folder_without_assets_has_none(tmp_path: Path) -> None:
    """Missing assets are told as such, not as an error."""
    assert not vendor.vendor_assets_available(tmp_path)
    assert vendor.load_vendor_assets(tmp_path) is None
