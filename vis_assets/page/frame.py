"""The HTML around a map's data: one file with styles, fonts, libraries and app inside, and the policy that binds it.

The app is `app/*.js`, plain scripts that share one scope; `page.html` and the styles lie beside them. A content
security policy lets only these scripts run, by their hashes, and lets nothing be fetched, so even a hole that we missed
has nowhere to go.
"""

import base64
import hashlib
import html
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from vis_assets.page import vendor
from vis_assets.page.vendor import VendorAssets

_APP = Path(__file__).with_name("app")
SCRIPTS = (
    "core", "dialogs", "scene", "places", "rows", "selection", "labels", "tooltip", "search", "topics", "legend",
    "timeline", "minimap", "messages", "links", "keyboard", "exports", "about", "main",
)  # fmt: skip
"""The parts of the app, in the order in which they are put together."""
STYLES = ("page", "panels")
_BEFORE_LIBRARIES = "delete globalThis.WebAssembly;"
"""A library tries out WebAssembly as it loads, which the policy would have to refuse; nothing on a page needs it."""


@dataclass(frozen=True)
class Frame:
    """What is around the data.

    Attributes:
        title: of the document.
        width: CSS width of the map.
        height_px: height of the map.
        fonts: CSS variables of fonts and sizes, by name; values fit for CSS.
        variables: other CSS variables.
    """

    title: str
    width: str
    height_px: int
    variables: Mapping[str, str]


def write_page(
    frame: Frame, blocks: Mapping[str, bytes], assets: VendorAssets | None, files: Mapping[str, str]
) -> bytes:
    """Put a page together.

    Args:
        frame: what is around the data.
        blocks: gzip data by name; inside the page but for those in `files`.
        assets: the libraries to embed; None to load them from their hosts.
        files: names of the files beside the page, by block.

    Returns:
        The page, UTF-8.
    """
    style = _style(frame, assets)
    app = app_source()
    values = {
        "policy": _policy(style, app, assets, has_files=bool(files)),
        "version": html.escape(version("vis_assets")),
        "title": html.escape(frame.title),
        "style": style,
        "scripts": "".join(_scripts(app, assets)),
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
        file = f' data-file="{html.escape(files[name])}"' if name in files else ""
        yield f'<script type="text/plain" id="block-{name}"{file}>'.encode()
        yield b"" if name in files else base64.b64encode(data)
        yield b"</script>\n"


@lru_cache(maxsize=1)
def app_source() -> str:
    """The app, as one script in a scope of its own."""
    parts = "\n".join((_APP / f"{name}.js").read_text("utf-8") for name in SCRIPTS)
    return _embeddable(f'(() => {{\n"use strict";\n{parts}\n}})();\n')


def _scripts(app: str, assets: VendorAssets | None) -> Iterator[str]:
    yield f"<script>{_BEFORE_LIBRARIES}</script>\n"
    if assets is None:
        for url in vendor.library_urls():
            yield f'<script src="{url}" crossorigin="anonymous"></script>\n'
    else:
        for source in assets.scripts.values():
            yield f"<script>{_embeddable(source)}</script>\n"
    yield f"<script>{app}</script>"


def _embeddable(script: str) -> str:
    """A script that neither ends early nor hides its own end, whatever its strings hold."""
    return script.replace("</script", "<\\/script").replace("<!--", "<\\!--").replace("\r\n", "\n")


def _style(frame: Frame, assets: VendorAssets | None) -> str:
    variables = "".join(f"--{name}: {value}; " for name, value in frame.variables.items())
    size = f"#map {{ width: {frame.width}; height: {frame.height_px}px; {variables}}}"
    parts = [(_APP / f"{name}.css").read_text("utf-8") for name in STYLES]
    return "\n".join([assets.font_css if assets else "", *parts, size])


def _policy(style: str, app: str, assets: VendorAssets | None, *, has_files: bool) -> str:
    scripts = [_hash_of(_embeddable(source)) for source in assets.scripts.values()] if assets else _hosts()
    rules = {
        "default-src": ["'none'"],
        "script-src": [_hash_of(_BEFORE_LIBRARIES), *scripts, _hash_of(app)],
        "style-src": [_hash_of(f"\n{style}\n")],
        "img-src": ["data:", "blob:"],
        "font-src": ["data:"],
        "connect-src": ["data:", "blob:", *(["'self'"] if has_files else [])],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    return "; ".join(f"{name} {' '.join(values)}" for name, values in rules.items())


def _hosts() -> Sequence[str]:
    return [f"https://{host}" for host in vendor.library_hosts()]


@lru_cache(maxsize=8)
def _hash_of(source: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(source.encode()).digest()).decode()}'"
