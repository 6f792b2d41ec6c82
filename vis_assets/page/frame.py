"""The HTML around a map's data: one file with styles, fonts and app inside, and the policy that binds it.

The app is `app/*.js`, plain scripts that share one scope; `page.html` and the styles lie beside them. A content
security policy lets only these scripts run, by their hashes, and lets nothing be fetched, so even a hole that we missed
has nowhere to go.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from vis_assets.page.fonts import Fonts

_APP = Path(__file__).with_name("app")
SCRIPTS = (
    "core", "dialogs", "filters", "colors", "grid", "camera", "points", "scene", "places", "rows", "selection",
    "labels", "tooltip", "search", "topics", "legend", "timeline", "minimap", "messages", "links", "keyboard",
    "exports", "about", "main",
)  # fmt: skip
"""The parts of the app, in the order in which they are put together."""
STYLES = ("page", "panels")


@dataclass(frozen=True)
class Frame:
    """What is around the data.

    Attributes:
        title: of the document.
        width: CSS width of the map.
        height_px: height of the map.
        variables: CSS variables of fonts and sizes, by name; values fit for CSS.
    """

    title: str
    width: str
    height_px: int
    variables: Mapping[str, str]


def write_page(frame: Frame, blocks: Mapping[str, bytes], fonts: Fonts | None, files: Mapping[str, str]) -> bytes:
    """Put a page together.

    Args:
        frame: what is around the data.
        blocks: gzip data by name; inside the page but for those in `files`.
        fonts: the fonts to embed; None to do with the reader's own.
        files: names of the files beside the page, by block.

    Returns:
        The page, UTF-8.
    """
    style = _style(frame, fonts)
    app = app_source()
    values = {
        "policy": _policy(style, app, has_files=bool(files)),
        "version": html.escape(version("vis_assets")),
        "title": html.escape(frame.title),
        "style": style,
        "app": app,
    }
    template = (_APP / "page.html").read_text("utf-8")
    before, after = (_fill(part, values).encode() for part in template.split("{{ blocks }}"))
    return b"".join([before, *_blocks(blocks, files), after])


def _fill(template: str, values: Mapping[str, str]) -> str:
    """Fill a template piece by piece, so that no value is taken for a place to fill."""
    pieces = template.split("{{ ")
    filled = [pieces[0]]
    for piece in pieces[1:]:
        name, _, rest = piece.partition(" }}")
        filled.append(values[name] + rest)
    return "".join(filled)


def _blocks(blocks: Mapping[str, bytes], files: Mapping[str, str]) -> Iterator[bytes]:
    for name, data in blocks.items():
        file = f' data-file="{html.escape(_versioned(files[name], data))}"' if name in files else ""
        yield f'<script type="text/plain" id="block-{name}"{file}>'.encode()
        yield b"" if name in files else base64.b64encode(data)
        yield b"</script>\n"


def _versioned(file: str, data: bytes) -> str:
    """An address that is another one for other data, so that no cache gives a page the data of an older one."""
    return f"{file}?{hashlib.sha256(data).hexdigest()[:12]}"


@lru_cache(maxsize=1)
def app_source() -> str:
    """The app, as one script in a scope of its own."""
    parts = "\n".join((_APP / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    return _embeddable(f'(() => {{\n"use strict";\n{parts}\n}})();\n')


def _embeddable(script: str) -> str:
    """A script that neither ends early nor hides its own end, whatever its strings hold."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")


def _style(frame: Frame, fonts: Fonts | None) -> str:
    variables = "".join(f"--{name}: {value}; " for name, value in frame.variables.items())
    size = f"#map {{ width: {frame.width}; height: {frame.height_px}px; {variables}}}"
    parts = [(_APP / f"{name}.css").read_text("utf-8") for name in STYLES]
    return "\n".join([fonts.css if fonts else "", *parts, size])


def _policy(style: str, app: str, *, has_files: bool) -> str:
    rules = {
        "default-src": ["'none'"],
        "script-src": [_hash_of(app)],
        "style-src": [_hash_of(f"\n{style}\n")],
        "img-src": ["data:", "blob:"],
        "font-src": ["data:"],
        "connect-src": ["data:", "blob:", *(["'self'"] if has_files else [])],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


@lru_cache(maxsize=8)
def _hash_of(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
