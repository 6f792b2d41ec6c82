"""From the page that datamapplot writes to one that can be trusted inside other people's applications.

The library's page loads scripts, styles and fonts from five hosts, fills the browser window whatever size was asked
for, and builds its topic tree from unescaped names. Each change below names what it replaces and fails loudly when a
new version of the library no longer has it. Last comes a content security policy: only the page's own scripts run, by
hash, and nothing is fetched, so even a hole that we missed has nowhere to go.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from vis_assets.errors import ComputeFailed
from vis_assets.page import texts, vendor
from vis_assets.page.datamap import FONT
from vis_assets.protocol.visualization_config import VisualizationConfig

_REMOTE_LINK = re.compile(r"<link\b[^>]*>", re.IGNORECASE)
_LIBRARY_BLOCK = re.compile(r"<script>\s*// Offline mode enabled.*?</script>", re.DOTALL)
_TITLE = re.compile(r"<title>.*?</title>", re.DOTALL)
_SCRIPT = re.compile(r"<script(?: type=\"module\")?>(.*?)</script>", re.DOTALL)
_GZIP_IN_PAGE = re.compile(r'(DataEncoded = ")(H4sI[A-Za-z0-9+/]{12})')
_EMPTY_DATA = re.compile(r'const ([a-z]+)DataEncoded = "(?=";)')
_CONTENT_TYPE = '<meta http-equiv="content-type" content="text/html; charset=UTF-8" />'

_LABEL_SCRIPT = Path(__file__).with_name("labels.js")

_SCRIPT_CHANGES = {
    # the map's own box, not the window, decides the zoom
    "const width=document.documentElement.clientWidth;const height=document.documentElement.clientHeight;": (
        "const box=document.getElementById('deck-container');const width=box.clientWidth;const height=box.clientHeight;"
    ),
    # one point, or all points in one place, would give an infinite zoom
    "const lngRange=bounds[1]-bounds[0];const latRange=bounds[3]-bounds[2];": (
        "const lngRange=Math.max(bounds[1]-bounds[0],0.5);const latRange=Math.max(bounds[3]-bounds[2],0.5);"
    ),
    # deck.gl's world is 512 pixels at zoom 0 both ways; by the library's 256 and 180 a wide map runs out of the window
    "zoomX=Math.log2(360/(lngRange/(viewportWidth/256)))": "zoomX=Math.log2(360/(lngRange/(viewportWidth/512)))",
    "zoomY=Math.log2(180/(latRange/(viewportHeight/256)))": "zoomY=Math.log2(360/(latRange/(viewportHeight/512)))",
    "viewportHeight,padding=0.5": "viewportHeight,padding=0.2",
    # its rejection, after half a second, is nobody's; fonts are awaited below
    "waitForFont(this.fontFamily);": "",
    # labels are drawn once, so their font must be there first
    '<script type="module">': (
        '<script type="module">\n    await Promise.allSettled([...document.fonts].map((face) => face.load()));\n'
    ),
    # lets labels overlap and half fades them; labels.js chooses the ones to draw
    "extensions:[new deck.CollisionFilterExtension()]": "extensions:[]",
    '<div style="isolation: isolate; position: relative;">': '<div id="map">',
}
_TREE_CHANGE = (
    "${label.label||label.id}",
    "${String(label.label).replace(/[&<>\"'`]/g,(c)=>'&#'+c.charCodeAt(0)+';')}",
)
_FILE_CHANGE = ("currentURL.lastIndexOf('/') + 1)", "currentURL.lastIndexOf('/'))")  # or addresses get a double slash


def harden(
    page: str, config: VisualizationConfig, assets: vendor.VendorAssets | None, data: Mapping[str, bytes]
) -> bytes:
    """Make the page self-contained, of the size asked for and safe, and put its data in.

    Args:
        page: datamapplot's HTML.
        config: how the map was to be made.
        assets: the libraries to embed; None to load them from their hosts.
        data: base64 to put between the quotes of `const {name}DataEncoded = ""`, by name.

    Returns:
        The page, UTF-8.

    Raises:
        ComputeFailed: the page is not of the form that this version of datamapplot writes.
    """
    for old, new in _SCRIPT_CHANGES.items():
        page = _change(page, old, new)
    if config.enable_topic_tree:
        page = _change(page, *_TREE_CHANGE)
    if not config.inline_data:
        page = _change(page, *_FILE_CHANGE)
    page = _REMOTE_LINK.sub("", page)
    page = _change_first(_LIBRARY_BLOCK, _libraries(assets), page)
    title = texts.escape(config.title or "") or "Topic map"
    page = _change_first(_TITLE, f"<title>{title}</title>", page)
    head = f"<style>{_style(config, assets)}</style>\n<script>{_embeddable(_LABEL_SCRIPT.read_text('ascii'))}</script>"
    page = _change(page, "</head>", f"{head}\n</head>", count=1)
    page = _change(page, '<div class="stack bottom-left">', '<div class="stack bottom-left">' + _legend(config))
    page = _GZIP_IN_PAGE.sub(_drop_time, page)
    policy = f'<meta http-equiv="Content-Security-Policy" content="{_policy(page, config, assets, data)}" />'
    viewport = '<meta name="viewport" content="width=device-width, initial-scale=1" />'
    page = _change(page, _CONTENT_TYPE, f"{_CONTENT_TYPE}\n{policy}\n{viewport}", count=1)
    page = _change(page, "<html>", '<html lang="en">', count=1)
    return b"".join(_fill(page, data))


def _fill(source: str, data: Mapping[str, bytes]) -> Iterator[bytes]:
    """Put data into a page or script; a text of others cannot hold the place, since its quotes are escaped."""
    end = 0
    for match in _EMPTY_DATA.finditer(source):
        if match[1] in data:
            yield source[end : match.end()].encode()
            yield data[match[1]]
            end = match.end()
    yield source[end:].encode()


def without_time(gzipped: bytes) -> bytes:
    """Set the time in a gzip header to zero, so that equal data make equal bytes."""
    return gzipped[:4] + bytes(4) + gzipped[8:]


def _drop_time(match: re.Match[str]) -> str:
    return match[1] + base64.b64encode(without_time(base64.b64decode(match[2]))).decode()


def _change(page: str, old: str, new: str, count: int = -1) -> str:
    if old not in page:
        raise ComputeFailed(f"this datamapplot writes pages without {old!r}; install the version in constraints.txt")
    return page.replace(old, new, count)


def _change_first(pattern: re.Pattern[str], new: str, page: str) -> str:
    changed, found = pattern.subn(lambda _: new, page, count=1)
    if not found:
        raise ComputeFailed(
            f"this datamapplot writes pages without {pattern.pattern!r}; install the version in constraints.txt"
        )
    return changed


def _libraries(assets: vendor.VendorAssets | None) -> str:
    if assets is None:
        return "\n".join(f'<script src="{url}"></script>' for url in vendor.library_urls())
    return "\n".join(f"<script>{_embeddable(source)}</script>" for source in assets.scripts.values())


def _embeddable(source: str) -> str:
    """Keep JavaScript from ending, or commenting out, the element that it stands in; it means the same."""
    return source.replace("<!--", "<\\!--").replace("</script", "<\\/script")


def _style(config: VisualizationConfig, assets: vendor.VendorAssets | None) -> str:
    has_title = bool(texts.escape(config.title or ""))
    rules = [
        assets.font_css if assets else "",
        "html{height:100%}",
        f'body,input{{font-family:{FONT},"Helvetica Neue",Arial,sans-serif}}',
        "body{overflow:auto;min-height:100%}",
        "#map{isolation:isolate;position:relative;overflow:hidden;margin:0 auto}",
        f"#map{{width:{config.width};height:{config.height}px}}",
        "#deck-container{position:absolute!important;width:100%!important;height:100%!important}",
        "#map .content-wrapper{position:absolute!important;inset:0;height:100%;min-height:0}",
        "#map .content-wrapper{grid-template:1fr auto/1fr auto}",
        "#map .stack{max-height:100%}",
        "#map .stack.bottom-left{display:flex;transform:none;flex-direction:column}",
        ".expand-all-btn{display:none}",  # there is one level
        ".topic-tree-header h3{margin:0.6em 0}",
        "#loading{pointer-events:none}#loading-image{width:64px;left:calc(50% - 32px)}",
        "#title-container{max-width:min(44em,80vw);overflow-wrap:anywhere;line-height:1.2!important}",
        "@media(max-width:900px){#title-container span{font-size:11pt!important}"
        "#title-container #main-title{font-size:16pt!important}}",
        ".container-box{border-radius:10px}",
        "input#text-search{font-size:15px;width:14em;max-width:70vw;padding:6px 10px;border:1px solid #88888888}",
        ".deck-tooltip{white-space:pre-line;overflow-wrap:anywhere;max-width:min(26em,60%)!important;line-height:1.35;"
        "font-size:13px!important;padding:8px 12px!important}",
        ".darkmode .container-box,.darkmode .deck-tooltip{box-shadow:0 0 0 1px #ffffff2b!important}",
        "#noise-legend{display:flex;align-items:center;gap:8px;font-size:13px;line-height:1.2}",
        "#noise-legend{max-width:24em;overflow-wrap:anywhere}",
        f"#noise-legend i{{width:11px;height:11px;border-radius:50%;flex:none;background:{config.noise_color}}}",
    ]
    if texts.clean(config.noise_label):  # only then every text begins with a topic
        rules.append(".deck-tooltip::first-line{font-weight:600}")
    if not has_title:
        rules.append("#main-title,#title-container br{display:none}")
    return "\n".join(rules)


def _legend(config: VisualizationConfig) -> str:
    label = texts.escape(config.noise_label)
    return f'<div id="noise-legend" class="container-box"><i></i><span>{label}</span></div>' if label else ""


def _policy(
    page: str, config: VisualizationConfig, assets: vendor.VendorAssets | None, data: Mapping[str, bytes]
) -> str:
    hashes = sorted({_hash(_fill(source, data)) for source in _SCRIPT.findall(page)})
    scripts = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in hashes]
    if assets is None:
        scripts += [f"https://{host}" for host in vendor.library_hosts()]
    rules = {
        "default-src": "'none'",
        "script-src": " ".join(scripts),
        "worker-src": "blob:",
        "style-src": "'unsafe-inline'",
        "img-src": "data: blob:",
        "font-src": "data:",
        "connect-src": "data: blob:" if config.inline_data else "'self' data: blob:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _hash(parts: Iterator[bytes]) -> bytes:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.digest()
