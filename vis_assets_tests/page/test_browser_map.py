"""The map itself in a real browser that has no network: points, names, the way around, what the pointer shows."""

import base64
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from vis_assets.page.content import MapContent
from vis_assets.page.fields import choose_fields
from vis_assets.page.render import RenderedPage, render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.browsing import Browsing, Open, OpenedPage, differs, near, serve, touch, wait_in
from vis_assets_tests.page.maps import (
    ARABIC,
    CHINESE,
    EMOJI,
    EMPTY,
    HEBREW,
    blobs,
    crowd,
    degenerate_maps,
    make,
    town,
)

pytestmark = [pytest.mark.enable_socket]

_OPTIONS = {
    "title": "A town",
    "sub_title": "of three layers",
    "noise_label": "Outside",
    "noise_color": "#ff0000",
    "color_label_text": False,
    "cluster_boundary_polygons": True,
    "height": 800,
}


@pytest.fixture(scope="module")
def opened(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> OpenedPage:
    """One map for most tests of this file."""
    file = tmp_path_factory.mktemp("town") / "map.html"
    file.write_bytes(render_page(town(), VisualizationConfig.model_validate(_OPTIONS)).html)
    return shared_browsing.open(file.as_uri())


@pytest.fixture
def page(opened: OpenedPage) -> Iterator[OpenedPage]:
    """The map as at first; it must have stayed quiet."""
    opened.reset()
    yield opened
    opened.assert_quiet()


def test_map_opens_from_disk_without_network(page: OpenedPage) -> None:
    """Points in their colours and names in the page's own font are drawn, and nothing is asked of the network."""
    assert page.tab.inner_text("#title") == "A town"
    assert page.tab.inner_text("#sub-title") == "of three layers"
    assert page.tab.title() == "A town"
    with_labels = page.pixels()
    assert near(with_labels, (255, 80, 80), 150) > 60, "noise points"
    assert (with_labels.std(axis=2) > 20).sum() > 1_500, "coloured points"
    assert page.ask("() => [...document.fonts].some((face) => face.weight === '600' && face.status === 'loaded')")
    page.tab.click("#tool-labels")
    without = page.pixels()
    page.tab.click("#tool-labels")
    ink = (with_labels.max(axis=2) < 90) & (without.max(axis=2) >= 90)
    assert ink.sum() > 300, "ink of names"
    assert page.ask("() => window.violations") == []


def test_dragging_moves_the_map(page: OpenedPage) -> None:
    """A drag moves the map by its own length and does not zoom."""
    x, y, zoom = page.camera()
    before = page.pixels()
    page.tab.mouse.move(600, 400)
    page.tab.mouse.down()
    page.tab.mouse.move(606, 403, steps=2)  # a drag begins after some pixels
    page.tab.mouse.move(800, 500, steps=6)
    page.tab.wait_for_timeout(250)  # at rest when let go, so that it does not glide on
    page.tab.mouse.up()
    page.settle()
    right, up, zoom_after = page.camera()
    assert (right - x) * 2**zoom == pytest.approx(-200, abs=20)
    assert (up - y) * 2**zoom == pytest.approx(100, abs=20)
    assert zoom_after == zoom
    assert differs(page.pixels(), before) > 2_000


def test_wheel_zooms_around_the_pointer(page: OpenedPage) -> None:
    """The wheel zooms in, and what is under the pointer stays there."""
    page.tab.mouse.move(750, 300)
    place = "() => visAssets.camera.unproject([750, 300])"
    before, zoom = page.ask(place), page.camera()[2]
    page.tab.mouse.wheel(0, -300)
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 0.5", "a closer view", zoom)
    page.settle()
    assert page.ask(place) == pytest.approx(before, abs=0.05)
    page.tab.mouse.wheel(0, 600)
    page.wait_for("(zoom) => visAssets.camera.get().zoom < zoom", "a wider view", zoom)


def test_buttons_zoom_and_go_home(page: OpenedPage) -> None:
    """The buttons zoom in and out by a factor of two, and one shows the whole map again."""
    first = page.camera()
    page.tab.click("#tool-in")
    page.settle()
    assert page.camera()[2] == pytest.approx(first[2] + 1, abs=0.01)
    for _ in range(2):
        page.tab.click("#tool-out")
        page.settle()
    assert page.camera()[2] == pytest.approx(first[2] - 1, abs=0.01)
    page.tab.click("#tool-home")
    page.settle()
    assert page.camera() == pytest.approx(first, abs=0.01)


def test_camera_obeys_again_after_the_reader_moved(page: OpenedPage) -> None:
    """The same view asked for twice is shown twice, though the reader moved in between."""
    drawn = "() => visAssets.camera.get().zoom"
    page.ask("() => visAssets.camera.set({target: [1, 1], zoom: 6})")
    page.settle()
    page.tab.mouse.move(600, 400)
    page.tab.mouse.wheel(0, -200)
    page.wait_for(f"() => ({drawn})() > 6.3", "a closer view")
    page.settle()
    page.ask("() => visAssets.camera.set({target: [1, 1], zoom: 6})")
    page.settle()
    assert page.ask(drawn) == 6


def test_pointer_shows_text_topics_and_fields(page: OpenedPage) -> None:
    """The tooltip shows topic, coarser topics, text and the fields that have a value; elsewhere it goes."""
    page.point_at(14)
    said = page.tab.inner_text("#tooltip")
    for part in ("Street 2", "Quarter 0 · West", "text 14 about pears", "日本語", "0.0194444444444", "2020-01-15"):
        assert part in said
    assert page.tab.locator("#tooltip dt").all_inner_texts() == ["lang", "score", "meta.made", "path"]
    page.point_at(72)
    assert page.tab.locator("#tooltip dt").all_inner_texts() == ["meta.made", "path"], "missing values are left out"
    page.tab.mouse.move(5, 795)
    page.wait_for("() => document.getElementById('tooltip').hidden", "no tooltip")


def test_pointer_on_noise_names_it(page: OpenedPage) -> None:
    """A point in no cluster shows the noise label."""
    page.point_at(20)
    assert page.tab.inner_text("#tooltip .topic").strip() == "Outside"


def test_point_without_text_says_so(page: OpenedPage) -> None:
    """A point without text names itself."""
    page.point_at(EMPTY)
    assert page.tab.inner_text("#tooltip .text") == f"point id-{EMPTY} has no text"


@pytest.mark.parametrize(
    ("row", "direction", "text"),
    [
        (ARABIC, "rtl", "نص عن التفاح"),
        (HEBREW, "rtl", "טקסט על תפוחים"),
        (CHINESE, "ltr", "關於蘋果的文字"),
        (EMOJI, "ltr", "🍎🍐👩‍👩‍👧"),
    ],
)
def test_every_script_is_shown_in_its_direction(page: OpenedPage, row: int, direction: str, text: str) -> None:
    """Arabic and Hebrew run from right to left, Chinese and emoji from left to right, and all are drawn."""
    page.point_at(row)
    assert page.tab.inner_text("#tooltip .text") == text
    assert page.ask("() => document.querySelector('#tooltip .text').matches(':dir(rtl)')") == (direction == "rtl")
    left, top, right, bottom = (round(side) for side in page.boxes("#tooltip .text")[0])
    assert (page.pixels()[top:bottom, left:right].max(axis=2) < 200).sum() > 40, "ink"


def test_pointer_on_a_name_shows_what_sets_it_apart(page: OpenedPage) -> None:
    """Resting on a name shows its number of points and its keyphrases; a click zooms to it."""
    label = next(one for one in page.labels() if one["layer"] == 1)
    left, top, right, bottom = label["box"]
    zoom = page.camera()[2]
    page.ask("() => visAssets.filters.set('test', new Uint8Array(visAssets.data.n))")  # no point is under the pointer
    page.tab.mouse.move((left + right) / 2, (top + bottom) / 2)
    page.wait_for("() => !document.getElementById('tooltip').hidden", "a tooltip")
    said = page.tab.inner_text("#tooltip")
    assert label["name"] in said
    assert "180 points, 25.0 %" in said
    assert f"quarterly {label['name'][-1]}" in said
    page.tab.mouse.click((left + right) / 2, (top + bottom) / 2)
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 0.5", "a closer view", zoom)


def test_coarse_names_from_afar_fine_names_from_near(page: OpenedPage) -> None:
    """From afar names of the coarsest layers are shown, from near those of the finest, equal names as two."""
    far = page.labels()
    assert {"West", "East"} <= {one["name"] for one in far}
    assert not any(one["name"].startswith("Twin") for one in far if one["layer"] > 0)
    box = page.ask("() => visAssets.data.layers[1].clusters[3].box")
    page.ask("(box) => visAssets.camera.fit(box)", box)
    close = page.labels()
    assert {"Twin", "Twin (2)", "Street 9"} <= {one["name"] for one in close if one["layer"] == 0}
    page.ask("(box) => visAssets.camera.fit(box)", page.ask("() => visAssets.data.layers[0].clusters[10].box"))
    near_ = {one["name"] for one in page.labels()}
    assert "Twin" in near_
    assert not near_ & {"West", "East"}, "clusters much wider than the view need no name"


def test_outlines_can_be_switched_off(page: OpenedPage) -> None:
    """The outlines of clusters are there, and a button takes them away."""
    button = page.tab.locator("#tool-outlines")
    assert button.get_attribute("aria-pressed") == "true"
    before = page.pixels()
    button.click()
    page.tab.mouse.move(1, 1)
    assert differs(page.pixels()[100:], before[100:]) > 200
    button.click()


def test_dark_mode_can_be_switched(page: OpenedPage) -> None:
    """A button makes the ground dark and light again, and the ink of names with it."""
    button = page.tab.locator("#tool-dark")
    light = page.pixels()
    assert light[790, 600].tolist() == [255, 255, 255]
    button.click()
    dark = page.pixels()
    assert dark[790, 600].tolist() == [0x14, 0x16, 0x1A]
    assert button.get_attribute("aria-pressed") == "true"
    assert near(dark, (238, 238, 238), 60) > 200, "light ink"
    button.click()
    assert page.pixels()[790, 600].tolist() == [255, 255, 255]


def test_policy_stops_injected_markup(page: OpenedPage) -> None:
    """Even markup that found its way into the page could not run or call home."""
    page.ask(
        """() => {
          document.body.insertAdjacentHTML('beforeend', '<p id="injected"><img src=x onerror="window.hacked=1"></p>');
        }"""
    )
    page.ask("() => fetch('https://example.invalid/').catch(() => null)")
    page.ask(
        "() => { const s = document.createElement('script'); s.textContent = 'hacked=1'; document.body.append(s); }"
    )
    page.tab.wait_for_timeout(50)
    assert page.ask("() => window.hacked") is None
    assert not any(url.startswith("http") for url in page.requests)
    assert len(page.complaints) >= 3, "the browser told what it refused"
    assert all("Content Security Policy" in said or "Fetch API" in said for said in page.complaints)
    page.ask("() => { document.getElementById('injected').remove(); document.body.lastChild.remove(); }")
    page.complaints.clear()


@pytest.fixture(scope="module")
def busy(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> OpenedPage:
    """A map with more names than fit."""
    file = tmp_path_factory.mktemp("crowd") / "map.html"
    config = VisualizationConfig(title="A map of a crowd", sub_title="of clusters", color_label_text=False, height=900)
    file.write_bytes(render_page(crowd(), config).html)
    return shared_browsing.open(file.as_uri())


@pytest.mark.parametrize(("width", "height", "fewest"), [(1400, 900, 25), (800, 600, 18), (390, 844, 8)])
def test_names_of_the_first_view_can_be_read(busy: OpenedPage, width: int, height: int, fewest: int) -> None:
    """No name lies on another, under a panel or over the edge; the biggest cluster has one; ink is nowhere else."""
    busy.tab.set_viewport_size({"width": width, "height": height})
    busy.reset()
    labels = busy.labels()
    boxes = [tuple(one["box"]) for one in labels]
    assert len(boxes) >= fewest
    assert any(one["name"].startswith("Cluster 0:") for one in labels)
    taken = boxes + busy.boxes("#map .panel, #map .bar, #title-box")
    assert [(i, j) for i in range(len(boxes)) for j in range(i + 1, len(taken)) if touch(boxes[i], taken[j])] == []
    assert all(min(left, top) >= 0 and right <= width and bottom <= height for left, top, right, bottom in boxes)
    with_labels = busy.pixels().max(axis=2)
    busy.ask("() => visAssets.labels.toggle(false)")
    ink = (with_labels < 90) & (busy.pixels().max(axis=2) >= 90)
    busy.ask("() => visAssets.labels.toggle(true)")
    for left, top, right, bottom in (map(round, box) for box in boxes):
        place = np.s_[top : bottom + 1, left : right + 1]
        assert ink[place].sum() > 40, "every name is drawn in full"
        ink[place] = False
    assert not ink.any()
    busy.assert_quiet()


def test_zooming_in_shows_more_names(busy: OpenedPage) -> None:
    """Closer by, clusters in view have names that had none from afar."""
    busy.tab.set_viewport_size({"width": 1200, "height": 800})
    busy.reset()
    from_afar = {one["name"] for one in busy.labels()}
    busy.ask("() => visAssets.camera.set({zoom: visAssets.camera.get().zoom + 1.5})")
    assert len({one["name"] for one in busy.labels()} - from_afar) >= 5


def test_names_make_way_for_a_box_that_grows(busy: OpenedPage) -> None:
    """A panel that comes to lie over names takes their place."""
    busy.tab.set_viewport_size({"width": 1200, "height": 800})
    busy.reset()
    before = len(busy.labels())
    busy.ask(
        """() => {
          const box = document.getElementById('title-box');
          Object.assign(box.style, {width: '700px', height: '500px'});
          Object.assign(box.parentElement.style, {maxWidth: 'none'});
          visAssets.bus.emit('panel', {id: 'title-box'});
        }"""
    )
    labels = busy.labels()
    title = busy.boxes("#title-box")[0]
    busy.ask("() => { for (const id of ['title-box', 'corner-top-left']) document.getElementById(id).style = ''; }")
    assert 0 < len(labels) < before
    assert not any(touch(tuple(one["box"]), title) for one in labels)


def test_options_of_the_look(open_map: Open) -> None:
    """Size, ground, theme, safe colours and the cut of long names are as the job says."""
    content = blobs(60)
    name = "one topic with a name that is much longer than three lines of a label"
    long = MapContent(content.coordinates, content.labels, [name, "B", "C"], content.hover_texts)
    drawing = '<svg xmlns="http://www.w3.org/2000/svg"><rect width="100%" height="100%" fill="#d0ffd0"/></svg>'
    opened = open_map(
        long,
        width="60%",
        height=500,
        darkmode=True,
        background_color="#102030",
        background_image=f"data:image/svg+xml;base64,{base64.b64encode(drawing.encode()).decode()}",
        cvd_safer=True,
        enable_topic_tree=True,
    )
    for element in ("#map", "#stage canvas"):
        box = opened.tab.locator(element).first.bounding_box()
        assert (box["width"], box["height"]) == (720, 500)
    pixels = opened.pixels()
    assert pixels[490, 300].tolist() == [0x10, 0x20, 0x30]
    assert near(pixels, (0xD0, 0xFF, 0xD0), 20) > 20_000, "the picture behind the points"
    assert opened.tab.locator("#tool-dark").get_attribute("aria-pressed") == "true"
    safe = ((0, 114, 178), (230, 159, 0), (0, 158, 115))
    assert all(near(pixels, color, 90) > 20 for color in safe)
    lines = next(one["lines"] for one in opened.labels() if one["name"] == name)
    assert lines == ["one topic with a", "name that is", "much longer than…"]
    assert name in opened.tab.locator("#topics .name").all_inner_texts()
    opened.assert_quiet()


@pytest.mark.parametrize("name", ["one point", "one noise point", "all in one place", "every script"])
def test_every_map_opens(open_map: Open, name: str) -> None:
    """Maps at the edge of what can be drawn open without complaint and show something."""
    opened = open_map(
        degenerate_maps()[name], (700, 500), cluster_boundary_polygons=True, enable_topic_tree=True, height=500
    )
    opened.ask("() => document.querySelectorAll('.corner').forEach((corner) => corner.remove())")
    assert (opened.pixels() < 250).any(axis=2).sum() > 5
    opened.assert_quiet()


def test_data_beside_the_page_work_over_http(browsing: Browsing, tmp_path: Path) -> None:
    """With inline_data false the page finds its data in its own folder, by addresses that a plain store knows."""
    page: RenderedPage = render_page(town(), VisualizationConfig(inline_data=False), "m1")
    (tmp_path / "a").mkdir()
    for name, data in {"m1.html": page.html, **page.data_files}.items():
        (tmp_path / "a" / name).write_bytes(data)
    with serve(tmp_path) as origin:
        opened = browsing.open(f"{origin}/a/m1.html", allowed=(origin, "blob:", "data:"))
        asked = {
            url.partition("?")[0]
            for url in opened.requests
            if url.startswith("http") and not url.endswith("favicon.ico")
        }
    assert asked == {f"{origin}/a/m1.html"} | {f"{origin}/a/{name}" for name in page.data_files}
    assert opened.ask("() => visAssets.data.text(14)") == "text 14 about pears"
    assert (opened.pixels() < 250).any(axis=2).sum() > 500


def test_page_that_cannot_be_read_says_why(browsing: Browsing, tmp_path: Path) -> None:
    """Where the data beside a page are missing, it says so instead of nothing."""
    page = render_page(make([[0, 0]], [-1], []), VisualizationConfig(inline_data=False), "m2")
    (tmp_path / "m2.html").write_bytes(page.html)
    with serve(tmp_path) as origin:
        opened = browsing.open(f"{origin}/m2.html", allowed=(origin, "blob:", "data:"), is_map=False)
        wait_in(opened.tab, "() => document.getElementById('loading').role === 'alert'", "an error")
    assert opened.tab.inner_text("#loading").startswith("This map could not be shown: the data of this map are missing")


def test_a_map_in_a_hidden_frame_fills_it_once_it_is_shown(browsing: Browsing, tmp_path: Path) -> None:
    """A frame that has no size while the map loads shows all of it, and its panels, as soon as it has one."""
    (tmp_path / "map.html").write_bytes(render_page(blobs(), VisualizationConfig(enable_topic_tree=True)).html)
    host = tmp_path / "host.html"
    host.write_text('<iframe src="map.html" width="1000" height="700" style="display:none"></iframe>')
    opened = browsing.open(host.as_uri(), is_map=False)
    frame = opened.tab.frames[1]
    wait_in(frame, "() => window.visAssets?.isReady === true", "a map that is ready")
    opened.ask("() => { document.querySelector('iframe').style.display = 'block'; }")
    wait_in(frame, "() => visAssets.camera.get().zoom > 4", "a map that fills the frame")
    assert frame.evaluate("() => document.getElementById('topics').open")
    opened.assert_quiet()


def test_large_maps_draw_fewer_points_while_they_move(browsing: Browsing, tmp_path: Path) -> None:
    """Every second to sixteenth point alone can be drawn, in its own colour and place, without complaint."""
    file = tmp_path / "map.html"
    file.write_bytes(render_page(blobs(3_000), VisualizationConfig()).html)
    opened = browsing.open(file.as_uri())
    opened.ask("() => visAssets.labels.toggle(false)")
    whole = opened.pixels()
    draw = """(step) => {
      const {scene, camera, data} = visAssets;
      const view = {...camera.get(), size: camera.size(), density: 1, radius: 3, line: 0};
      scene.painter.draw({...view, step});
      return scene.painter.gl?.getError() ?? 0;
    }"""
    assert [opened.ask(draw, step) for step in (1, 2, 4, 8, 16)] == [0] * 5
    colors = {tuple(color) for color in whole[whole.std(axis=2) > 40].tolist()}
    opened.ask("() => visAssets.camera.fit(null)")
    again = opened.pixels()
    assert {tuple(color) for color in again[again.std(axis=2) > 40].tolist()} <= colors
    opened.assert_quiet()


def test_a_search_that_is_overtaken_leaves_nothing(browsing: Browsing, tmp_path: Path) -> None:
    """Of two searches the later one counts, and "Show all" ends one that is running."""
    file = tmp_path / "map.html"
    file.write_bytes(render_page(blobs(45_000), VisualizationConfig()).html)
    opened = browsing.open(file.as_uri())
    found = opened.ask("() => Promise.all([visAssets.search.set('text 1'), visAssets.search.set('text 2')])")
    assert found[0] is None
    assert found[1] > 0
    opened.ask("() => { visAssets.search.set('text 3'); document.getElementById('filter-clear').click(); }")
    opened.tab.wait_for_timeout(400)
    assert opened.ask("() => visAssets.filters.names()") == []
    assert opened.ask("() => document.getElementById('search').value") == ""
    opened.assert_quiet()


def test_fields_named_like_something_else_are_fields(open_map: Open) -> None:
    """Fields called like a built-in colour or a property of every object can be chosen, under names of their own."""
    values = np.arange(300, dtype=np.float64)
    content = blobs(300)
    named = choose_fields([json.dumps({"strength": i * 1000.5, "constructor": i % 3}) for i in range(300)], None).fields
    assert sorted(field.name for field in named) == ["constructor", "strength (payload)"]
    strengths = (values / 300).astype(np.float32)
    opened = open_map(dataclasses.replace(content, fields=named, strengths=strengths))
    assert opened.ask("() => visAssets.colors.choices()") == ["cluster", "strength", *(field.name for field in named)]
    shown = opened.tab.locator("#color-by option").all_text_contents()
    assert shown == ["Topic", "Membership strength", *(field.name for field in named)]
    opened.tab.select_option("#color-by", "strength")
    assert "1.0" in opened.tab.inner_text("#legend")
    opened.assert_quiet()
