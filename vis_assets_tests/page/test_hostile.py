"""Hostile texts in every field: they are shown, and do nothing else."""

import base64
import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from vis_assets.page import texts
from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.browsing import Browsing, OpenedPage, serve, wait_in
from vis_assets_tests.page.hostile import PAYLOADS, POINTS_EACH, hostile_map
from vis_assets_tests.page.maps import Outline, make, read_meta, town

POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' blob: data:; style-src 'unsafe-inline'; img-src data: blob:; "
    "font-src data:; worker-src blob:; connect-src data: blob:"
)
"""The loosest policy of an embedding server under which the page must work; the page needs less, and says so itself."""
TEXT_OPTIONS = ("title", "sub_title", "noise_label")
OTHER_OPTIONS = (
    "noise_color", "background_color", "text_outline_color", "point_hover_color", "font_family", "tooltip_font_family",
    "logo", "background_image", "width", "color_by",
)  # fmt: skip
_SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="40" onload="window.hacked=1">'
    '<script>window.hacked=1;top.hacked=1</script><image href="https://evil.invalid/x.png" width="9" height="9"/>'
    "<style>@import url(https://evil.invalid/x.css);</style>"
    '<foreignObject><iframe src="https://evil.invalid/"/></foreignObject><rect width="40" height="40"/></svg>'
)
HOSTILE_IMAGE = f"data:image/svg+xml;base64,{base64.b64encode(_SVG.encode()).decode()}"


def _png() -> str:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), "#ffeedd").save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def test_there_are_many_payloads() -> None:
    """The corpus holds at least 60 different payloads."""
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 60


def _elements(html: bytes) -> list[tuple[str, list[str]]]:
    return [(tag, sorted(attributes)) for tag, attributes in Outline(html).elements]


@pytest.fixture(scope="module")
def bare_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No libraries: pages that are read and not opened are small."""
    return tmp_path_factory.mktemp("bare")


@pytest.mark.parametrize("option", TEXT_OPTIONS)
def test_texts_of_a_job_add_no_element(option: str, bare_folder: Path) -> None:
    """Each payload as title, subtitle or noise label is refused, or is in the page as this very text and no more."""
    content = make([[0, 0], [1, 1]], [0, -1], ["A"])
    calm = _elements(render_page(content, VisualizationConfig(title="t"), font_folder=bare_folder).html)
    accepted = 0
    for payload in PAYLOADS:
        try:
            config = VisualizationConfig.model_validate({option: payload})
        except ValidationError:
            continue
        accepted += 1
        html = render_page(content, config, font_folder=bare_folder).html
        assert _elements(html) == calm, payload
        meta = read_meta(html)
        kept = meta["options"]["noise_label"] if option == "noise_label" else meta[option]
        assert kept == texts.clean(payload)
        if option == "title":
            assert Outline(html).texts["title"] == (texts.clean(payload) or "Topic map")
    assert accepted >= 60


@pytest.mark.parametrize("option", OTHER_OPTIONS)
def test_what_is_no_color_font_or_image_is_refused(option: str, bare_folder: Path) -> None:
    """Each payload as colour, font, image, width or field is refused, or leaves the page as it is."""
    content = make([[0, 0], [1, 1]], [0, -1], ["A"])
    plain = render_page(content, VisualizationConfig(), font_folder=bare_folder).html
    accepted = []
    for payload in PAYLOADS:
        try:
            config = VisualizationConfig.model_validate({option: payload})
        except ValidationError:
            continue
        accepted.append(payload)
        html = render_page(content, config, font_folder=bare_folder).html
        assert _elements(html) == _elements(plain), payload
        if option != "color_by":
            assert b"evil.invalid" not in html
            assert texts.clean(payload).encode() not in html or option in {"font_family", "tooltip_font_family"}
    allowed = {
        "font_family": {"constructor", "prototype", "toString", "hasOwnProperty", "cluster", "id", "null", "NaN", "-1"},
        "logo": {payload for payload in PAYLOADS if payload.startswith(("https:", "data:image/svg"))},
    }
    allowed |= {"tooltip_font_family": allowed["font_family"], "background_image": allowed["logo"]}
    if option != "color_by":
        assert set(accepted) <= allowed.get(option, set()), "nothing else is a colour, a font, an image or a width"


@pytest.fixture(scope="module")
def opened(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenedPage]:
    """A page in which everything is hostile, from a server with the loosest policy that we promise to work under."""
    short = [payload for payload in PAYLOADS if len(payload) < 100 and "\ud800" not in payload]
    folder = tmp_path_factory.mktemp("hostile")
    config = VisualizationConfig(
        title=" ".join(short[:10])[:500],
        sub_title=" ".join(short[10:20])[:500],
        noise_label=" ".join(short[20:30])[:500],
        logo=HOSTILE_IMAGE,
        background_image=HOSTILE_IMAGE,
        color_by=PAYLOADS[0],
        enable_topic_tree=True,
        cluster_boundary_polygons=True,
    )
    (folder / "map.html").write_bytes(render_page(hostile_map(), config).html)
    with serve(folder, {"Content-Security-Policy": POLICY}) as origin:
        opened = shared_browsing.open(
            f"{origin}/map.html", allowed=(f"{origin}/map.html", "data:", "blob:"), reduced_motion="reduce"
        )
        opened.requests[:] = [url for url in opened.requests if url != f"{origin}/map.html"]
        yield opened


def _assert_inert(page: OpenedPage) -> None:
    """Nothing ran, nothing was asked of anybody, nothing was refused by a policy, no element came out of a text."""
    page.requests[:] = [url for url in page.requests if not url.endswith("/favicon.ico")]
    page.assert_quiet()
    assert page.ask("() => window.violations") == []
    assert page.ask(
        "() => top.hacked === undefined && ({}).hacked === undefined && Object.prototype.polluted === undefined"
    )
    strange = "#map :is(iframe, object, embed, form, video, math, style, link, base, meta, template, script, a)"
    assert page.ask("(strange) => document.querySelectorAll(strange).length", strange) == 0
    assert page.ask("() => document.querySelectorAll('#map img').length") == 1, "the logo"
    names = "() => [...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())"
    assert not any(name.startswith("on") for name in page.ask(names))


@pytest.mark.enable_socket
def test_hostile_page_opens_under_the_policy(opened: OpenedPage) -> None:
    """The page with all payloads opens under the server's policy and its own, and is drawn."""
    assert (opened.pixels().std(axis=2) > 20).sum() > 1_000
    assert opened.tab.inner_text("#title").startswith("<script>window.hacked=1</script>")
    assert len(opened.labels()) >= 3
    _assert_inert(opened)


@pytest.mark.enable_socket
def test_hovering_hostile_points(opened: OpenedPage) -> None:
    """Every payload is shown as text where the pointer rests on its point, names of fields and values too."""
    opened.ask("() => visAssets.camera.set({zoom: 9})")
    for row in range(0, len(PAYLOADS), 16):
        opened.point_at(row)
        shown = opened.ask("() => document.querySelector('#tooltip .text').textContent")
        text = texts.clean_start(PAYLOADS[row], 500)
        assert text in {shown, ""}
        names = opened.tab.locator("#tooltip dt").all_text_contents()
        assert len(names) > 20
    rows = opened.ask(
        """(count) => {
          const {bus} = visAssets;
          let said = 0;
          for (let row = 0; row < count; row++) {
            bus.emit('hover', {index: row});
            said += document.getElementById('tooltip').textContent.length;
          }
          bus.emit('hover', {index: -1});
          return said;
        }""",
        len(PAYLOADS),
    )
    assert rows > 10_000
    _assert_inert(opened)


@pytest.mark.enable_socket
def test_using_every_panel_of_a_hostile_page(opened: OpenedPage) -> None:
    """Opening the tree, colouring by every field, histograms, dialogs and searches neither run nor break anything."""
    opened.ask("() => visAssets.camera.fit(null)")
    opened.ask("() => document.querySelectorAll('#topics details').forEach((one) => { one.open = true; })")
    opened.ask("() => new Promise((done) => setTimeout(done, 50))")
    opened.ask("() => document.querySelectorAll('#topics details').forEach((one) => { one.open = true; })")
    opened.ask("() => new Promise((done) => setTimeout(done, 50))")
    assert opened.tab.locator("#topics .name").count() > 60
    noise = opened.ask(
        """async () => {
          let noise = '';
          for (const id of ['color-by', 'timeline-field']) {
            const select = document.getElementById(id);
            for (const option of select.options) {
              select.value = option.value;
              select.dispatchEvent(new Event('change'));
              document.querySelector('#legend .category')?.click();
              await new Promise((done) => requestAnimationFrame(done));
              noise ||= document.querySelector('#noise-legend .name')?.textContent ?? '';
            }
          }
          document.getElementById('filter-clear').click();
          return noise;
        }"""
    )
    assert noise == opened.ask("() => visAssets.data.options.noise_label") != ""
    for tool in ("help", "about", "link", "dark", "outlines", "labels", "minimap", "home"):
        opened.tab.click(f"#tool-{tool}")
        if opened.tab.locator("dialog[open]").count():
            opened.tab.keyboard.press("Escape")
        if tool in {"dark", "outlines", "labels", "minimap"}:
            opened.tab.click(f"#tool-{tool}")
    for payload in (PAYLOADS[0], PAYLOADS[11], "__proto__", "constructor", "\\", "[", "(.*)+$", "A" * 20_000):
        opened.ask("(query) => visAssets.search.set(query)", payload)
    assert opened.ask("(query) => visAssets.search.set(query)", PAYLOADS[11]) >= POINTS_EACH
    opened.ask("() => visAssets.search.set('')")
    _assert_inert(opened)


@pytest.mark.enable_socket
def test_selecting_and_saving_hostile_points(opened: OpenedPage) -> None:
    """All points selected, saved as a table, as a list and as a picture, linked to one by one: nothing runs."""
    opened.ask("() => visAssets.selection.set(Int32Array.from({length: visAssets.data.n}, (_, row) => row), 'api')")
    saved = {}
    for button in ("#selection >> text=CSV", "#selection >> text=JSON", "#tool-picture"):
        with opened.tab.expect_download() as waiting:
            opened.tab.click(button)
        saved[waiting.value.suggested_filename] = Path(waiting.value.path()).read_bytes()
    assert not any(set(name) & set("<>:\"/\\|?*'`") for name in saved)
    table = next(data for name, data in saved.items() if name.endswith(".csv")).decode("utf-8-sig")
    cells = _cells(table)
    assert len(cells) == POINTS_EACH * len(PAYLOADS) + 1
    assert len({len(line) for line in cells}) == 1
    numbers = {cell for line in cells for cell in line if _is_number(cell)}
    assert not any(cell[:1] in "=+-@\t" and cell for line in cells for cell in line if cell not in numbers)
    opened.ask("() => visAssets.selection.set(null)")
    for payload in PAYLOADS[::7]:
        opened.ask(
            "(id) => { location.hash = new URLSearchParams({point: id}); }", payload.encode("utf-8", "replace").decode()
        )
        opened.ask(
            "(id) => { location.hash = new URLSearchParams({topic: id}); }", payload.encode("utf-8", "replace").decode()
        )
    opened.ask("() => new Promise((done) => setTimeout(done, 200))")
    _assert_inert(opened)


def _cells(table: str) -> list[list[str]]:
    csv.field_size_limit(10_000_000)
    return list(csv.reader(io.StringIO(table, newline="")))


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


@pytest.mark.enable_socket
def test_page_works_in_a_frame_under_the_policy(shared_browsing: Browsing, tmp_path: Path) -> None:
    """From such a server, in a frame that may run scripts only, an ordinary map works without a violation."""
    (tmp_path / "map.html").write_bytes(render_page(town(), VisualizationConfig(title="A town")).html)
    (tmp_path / "host.html").write_text("<iframe sandbox='allow-scripts' src='map.html' width=900 height=700></iframe>")
    with serve(tmp_path, {"Content-Security-Policy": f"{POLICY}; frame-src 'self'"}) as origin:
        host = shared_browsing.open(f"{origin}/host.html", allowed=(origin, "data:", "blob:"), is_map=False)
        frame = host.tab.frames[1]
        wait_in(frame, "() => window.visAssets?.isReady === true", "a map", None, host.complaints)
        assert frame.evaluate("() => window.violations") == []
        assert (host.pixels().std(axis=2) > 20).sum() > 500
    assert host.complaints == [] or all("favicon" in said for said in host.complaints)
