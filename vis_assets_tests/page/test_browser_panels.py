"""What is around the map in a real browser: search, colours, histogram, selection, topics, overview, links, files."""

import csv
import io
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.browsing import Browsing, OpenedPage, differs, near, read_image
from vis_assets_tests.page.maps import EMPTY, town

pytestmark = [pytest.mark.enable_socket]

CONTENT = town()
ROWS = np.arange(len(CONTENT.labels))
WITH_APPLES = [row for row, text in enumerate(CONTENT.hover_texts) if "apples" in text]
_PLACES = """() => {
  const {data, camera} = visAssets;
  const box = document.getElementById('stage').getBoundingClientRect();
  return Array.from({length: data.n}, (_, row) => {
    const [left, top] = camera.project([data.positions[2 * row], data.positions[2 * row + 1]]);
    return [box.left + left, box.top + top];
  });
}"""


@pytest.fixture(scope="module")
def opened(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> OpenedPage:
    """One map for all tests of this file."""
    file = tmp_path_factory.mktemp("town") / "map.html"
    config = VisualizationConfig(title="A town", noise_label="Outside", enable_topic_tree=True)
    file.write_bytes(render_page(CONTENT, config).html)
    return shared_browsing.open(file.as_uri(), reduced_motion="reduce")


@pytest.fixture
def page(opened: OpenedPage) -> Iterator[OpenedPage]:
    """The map as at first; it must have stayed quiet."""
    opened.reset()
    yield opened
    opened.assert_quiet()


def _saved(page: OpenedPage, button: str) -> tuple[str, bytes]:
    """Name and content of the file that a button saves."""
    with page.tab.expect_download() as waiting:
        page.tab.click(button)
    return waiting.value.suggested_filename, Path(waiting.value.path()).read_bytes()


@pytest.mark.parametrize(
    ("query", "rows"),
    [
        ("apples", WITH_APPLES),
        ("  ABOUT   apples ", WITH_APPLES),
        ("quarter 2", ROWS[CONTENT.coarser[0].labels == 2].tolist()),
        ("phrase 7", ROWS[CONTENT.labels == 7].tolist()),
        ("日本語", ROWS[CONTENT.fields[0].values == 1].tolist()),
        ("2020-01-15", ROWS[ROWS % 40 == 14].tolist()),
        ("docs/77.md", [77]),
        ("التفاح", [1]),
        ("nothing like this", []),
    ],
)
def test_search_finds_texts_topics_and_fields(page: OpenedPage, query: str, rows: list[int]) -> None:
    """Typing fades what holds the words in no text, topic, keyphrase or field; an empty box shows all again."""
    page.tab.fill("#search", query)
    said = "nothing found" if not rows else f"{len(rows)} point{'' if len(rows) == 1 else 's'}"
    page.wait_for("(said) => document.getElementById('search-count').textContent === said", f"{said!r}", said)
    assert page.bright_rows() == list(rows)
    page.tab.fill("#search", "")
    page.wait_for("() => visAssets.filters.count() === visAssets.data.n", "all points")
    assert page.tab.inner_text("#search-count") == ""


def test_search_fades_and_zooms(page: OpenedPage) -> None:
    """What is found stays bright, the rest fades; Enter zooms to it, and "Show all" ends it."""
    before, zoom = page.pixels(), page.camera()[2]
    page.tab.fill("#search", "street 4")
    page.wait_for("() => visAssets.filters.names().length === 1", "a filter")
    faded = page.pixels()
    assert (faded.std(axis=2) > 20).sum() < 0.5 * (before.std(axis=2) > 20).sum()
    assert page.tab.inner_text("#filter-count") == "48 of 720 points shown"
    page.tab.press("#search", "Enter")
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 1", "a closer view", zoom)
    page.tab.click("#filter-clear")
    assert page.shown() == 720
    assert page.tab.input_value("#search") == ""


def test_colors_by_category(page: OpenedPage) -> None:
    """By a category each value has a colour and an entry with its count; one switched off fades its points."""
    blue = (65, 151, 198)  # as it is on white
    page.tab.select_option("#color-by", "lang")
    painted = page.pixels()
    assert near(painted[:, 400:], blue, 40) > 300
    entries = page.tab.locator("#legend .category")
    assert [text.split("\n") for text in entries.all_inner_texts()] == [
        ["english", "180"], ["日本語", "180"], ["العربية", "180"], ["(missing)", "180"],
    ]  # fmt: skip
    entries.nth(0).click()
    assert page.shown() == 540
    assert entries.nth(0).get_attribute("aria-pressed") == "false"
    assert near(page.pixels()[:, 400:], blue, 40) < 0.3 * near(painted[:, 400:], blue, 40)
    entries.nth(3).click()
    assert page.bright_rows() == [i for i in ROWS if CONTENT.fields[0].values[i] > 0]
    entries.nth(3).click()
    entries.nth(0).focus()
    page.tab.keyboard.press("Space")
    assert page.shown() == 720
    focused = "() => document.activeElement.innerText"
    assert page.ask(focused).startswith("english"), "the focus stays where it was"


@pytest.mark.parametrize(
    ("field", "ends"),
    [("score", ["0.00972", "0.9889"]), ("meta.made", ["2020-01-01", "2020-02-09"]), ("strength", ["0.0", "1.0"])],
)
def test_colors_by_number_and_date(page: OpenedPage, field: str, ends: list[str]) -> None:
    """By a number, a date or the membership strength the points take the colours of a ramp, whose ends are told."""
    before = page.pixels()
    page.tab.select_option("#color-by", field)
    painted = page.pixels()
    assert differs(painted[:, 400:900], before[:, 400:900]) > 2_000
    assert near(painted, (72, 40, 120), 120) > 50, "dark end"
    told = page.tab.locator("#legend .ramp-ends span").all_inner_texts()
    if field == "score":
        assert [float(end) for end in told] == pytest.approx([0.01, 0.99], abs=0.01)
    else:
        assert told == ends


def test_noise_has_an_entry_in_the_legend(page: OpenedPage) -> None:
    """The noise label stands in the legend with its count, and switches these points off."""
    entry = page.tab.locator("#noise-legend .category")
    assert entry.inner_text().split("\n") == ["Outside", "72"]
    entry.click()
    assert page.shown() == 648


def _bin_place(page: OpenedPage, bin_: int, bins: int = 40) -> tuple[float, float]:
    left, top, right, bottom = page.boxes("#timeline .histogram")[0]
    return left + (bin_ + 0.5) * (right - left) / bins, (top + bottom) / 2


def test_histogram_filters_by_a_range_of_dates(page: OpenedPage) -> None:
    """Dragging over bars of the histogram shows the points of these days only; moving and resetting work."""
    assert page.tab.input_value("#timeline-field") == "meta.made"
    page.tab.locator("#timeline .histogram").scroll_into_view_if_needed()
    page.tab.mouse.move(*_bin_place(page, 10))
    page.tab.mouse.down()
    page.tab.mouse.move(*_bin_place(page, 19), steps=4)
    page.tab.mouse.up()
    assert page.bright_rows() == [i for i in ROWS if 10 <= i % 40 <= 19]
    assert page.tab.inner_text("#timeline .range-name") == "2020-01-11 \u2013 2020-01-20"
    assert page.tab.inner_text("#timeline-count") == "180 points"
    page.tab.mouse.move(*_bin_place(page, 15))
    page.tab.mouse.down()
    page.tab.mouse.move(*_bin_place(page, 20), steps=4)
    page.tab.mouse.up()
    assert page.bright_rows() == [i for i in ROWS if 15 <= i % 40 <= 24], "the range was moved"
    page.tab.click("#timeline-reset")
    assert page.shown() == 720


def test_histogram_works_by_keys_and_for_numbers(page: OpenedPage) -> None:
    """The ends of the range move by arrow keys; points without a value stay if wanted."""
    page.tab.select_option("#timeline-field", "score")
    with_value = ~np.isnan(CONTENT.fields[1].values)
    page.tab.get_by_label("From", exact=True).focus()
    for _ in range(10):
        page.tab.keyboard.press("ArrowRight")
    page.wait_for("() => visAssets.filters.count() < 650", "fewer points")
    kept = page.bright_rows()
    assert all(with_value[row] for row in kept)
    assert min(kept) > 100
    missing = page.tab.locator("#timeline .missing")
    assert missing.inner_text() == "Keep 80 points without a value"
    missing.click()
    assert page.shown() == len(kept) + 80
    missing.click()
    page.tab.select_option("#timeline-field", "meta.made")
    assert page.shown() == 720


def _draw(page: OpenedPage, corners: list[tuple[float, float]]) -> None:
    page.tab.mouse.move(*corners[0])
    page.tab.mouse.down()
    for corner in [*corners[1:], corners[0]]:
        page.tab.mouse.move(*corner, steps=3)
    page.tab.mouse.up()


def _assert_selected_inside(page: OpenedPage, box: tuple[float, float, float, float]) -> list[int]:
    """Exactly the points inside a box are selected; those within 4 pixels of its line may be on either side."""
    places = np.array(page.ask(_PLACES))
    left, top, right, bottom = box
    selected = page.selected()
    for away, should in ((4, True), (-4, False)):
        x_fits = (places[:, 0] > left + away) & (places[:, 0] < right - away)
        inside = x_fits & (places[:, 1] > top + away) & (places[:, 1] < bottom - away)
        if should:
            assert set(ROWS[inside]) <= set(selected)
        else:
            assert set(selected) <= set(ROWS[inside])
    assert selected
    return selected


BOX = (430.0, 220.0, 640.0, 520.0)
SHOW_WEST = "() => visAssets.camera.fit(visAssets.data.layers[2].clusters[0].box)"


def test_lasso_selects_what_it_surrounds(page: OpenedPage) -> None:
    """A line drawn with the tool selects the points inside; the panel tells count, topics and a sample."""
    left, top, right, bottom = BOX
    page.ask(SHOW_WEST)
    page.settle()
    page.tab.click("#tool-lasso")
    view = page.camera()
    _draw(page, [(left, top), (right, top), (right, bottom), (left, bottom)])
    selected = _assert_selected_inside(page, BOX)
    assert page.camera() == view, "drawing does not move the map"
    assert page.tab.locator("#tool-lasso").get_attribute("aria-pressed") == "false"
    share = f"{100 * len(selected) / 720:.2g}"
    assert page.tab.inner_text("#selection-count") == f"{len(selected)} points ({share} %)"
    shown = page.ask("() => [...document.querySelectorAll('#selection .shares li')].map((item) => item.innerText)")
    names = [*(f"Street {i}" for i in range(10)), "Twin", "Twin (2)", "Outside"]
    counts = Counter(names[CONTENT.labels[row]] for row in selected)
    told = dict(text.split("\n") for text in shown if "more topic" not in text)
    assert told == {name: str(counts[name]) for name in told}
    assert len(told) == min(8, len(counts))
    samples = page.tab.locator("#selection .sample")
    assert samples.count() == min(10, len(selected))
    texts = {CONTENT.hover_texts[row] for row in selected}
    assert set(samples.all_inner_texts()) <= texts
    samples.nth(0).click()
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 2", "a closer view", view[2])


def test_box_and_shift_select_too(page: OpenedPage) -> None:
    """With Alt a drag selects a box, with Shift it draws a line, and Escape gives the selection up."""
    left, top, right, bottom = BOX
    page.ask(SHOW_WEST)
    page.settle()
    page.tab.keyboard.down("Alt")
    page.tab.mouse.move(left, top)
    page.tab.mouse.down()
    page.tab.mouse.move(right, bottom, steps=5)
    page.tab.mouse.up()
    page.tab.keyboard.up("Alt")
    first = _assert_selected_inside(page, BOX)
    page.tab.keyboard.press("Escape")
    assert page.selected() == []
    assert not page.tab.locator("#selection").is_visible()
    page.tab.keyboard.down("Shift")
    _draw(page, [(left, top), (right, top), (right, bottom), (left, bottom)])
    page.tab.keyboard.up("Shift")
    assert len(set(first) ^ set(page.selected())) < 30


def _select(page: OpenedPage, rows: list[int]) -> None:
    page.ask("(rows) => visAssets.selection.set(Int32Array.from(rows), 'lasso')", rows)


def test_selection_can_be_kept_alone_and_cleared(page: OpenedPage) -> None:
    """The panel's buttons fade all other points, go to those selected, and end the selection."""
    rows = ROWS[CONTENT.labels == 3].tolist()
    _select(page, rows)
    page.tab.click("#selection >> text=Only these")
    assert page.bright_rows() == rows
    zoom = page.camera()[2]
    page.tab.click("#selection >> text=Zoom to")
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 1", "a closer view", zoom)
    page.tab.click("#selection >> text=Clear")
    assert page.shown() == 720
    assert page.selected() == []
    assert not page.tab.locator("#selection").is_visible()


def test_selection_can_be_saved_as_csv(page: OpenedPage) -> None:
    """The table holds each selected point with its fields, and no cell that a spreadsheet would run."""
    rows = [1, 5, 14, 20, 719]
    _select(page, rows)
    name, data = _saved(page, "#selection >> text=CSV")
    assert name == "A-town-selection.csv"
    assert data.startswith(b"\xef\xbb\xbf")
    table = list(csv.DictReader(io.StringIO(data.decode("utf-8-sig"), newline="")))
    assert [line["id"] for line in table] == [f"id-{row}" for row in rows]
    assert [line["text"] for line in table] == [CONTENT.hover_texts[row] for row in rows]
    assert [line["topic"] for line in table] == ["Street 1", "Street 5", "Street 2", "", "Twin (2)"]
    assert [line["topic_2"] for line in table] == ["West", "West", "West", "East", "East"]
    assert [line["path"] for line in table] == [f"'=docs/{row}.md" for row in rows]
    assert table[2]["meta.made"] == "2020-01-15T00:00:00.000Z"
    assert [bool(line["score"]) for line in table] == [row % 9 != 0 for row in rows]
    assert [bool(line["lang"]) for line in table] == [row % 4 != 0 for row in rows]


def test_selection_can_be_saved_as_json(page: OpenedPage) -> None:
    """The list holds each selected point with places, topics of all layers, text and payload."""
    rows = [EMPTY, 72, 100]
    _select(page, rows)
    name, data = _saved(page, "#selection >> text=JSON")
    points = json.loads(data)
    assert name == "A-town-selection.json"
    assert [point["id"] for point in points] == [f"id-{row}" for row in rows]
    assert points[1]["topics"] == ["Street 0", "Quarter 0", "West"]
    assert points[0]["text"] == ""
    assert points[1]["payload"] == {
        "lang": None, "score": None, "meta.made": "2020-02-02T00:00:00.000Z", "path": "=docs/72.md",
    }  # fmt: skip
    places = page.ask("() => Array.from(visAssets.data.positions.subarray(200, 202))")
    assert [points[2]["x"], points[2]["y"]] == pytest.approx(places, rel=1e-6)


def test_picture_of_the_map_can_be_saved(page: OpenedPage) -> None:
    """The picture is a PNG, twice as fine as the map, with points, names and title where they are seen."""
    seen = page.pixels()
    name, data = _saved(page, "#tool-picture")
    assert name == "A-town.png"
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    picture = read_image(data)
    width, height = page.ask("() => visAssets.camera.size()")
    assert picture.shape == (2 * height, 2 * width, 3)
    middle = np.s_[200:600, 400:1100]
    shrunk = picture.reshape(height, 2, width, 2, 3).mean(axis=(1, 3))
    assert np.abs(shrunk[middle] - seen[middle]).mean() < 4, "the picture is what is seen"
    assert (picture[:800, 800:].std(axis=2) > 20).sum() > 4_000
    left, top, right, bottom = (round(2 * side) for side in page.boxes("#title")[0])
    assert (picture[top:bottom, left:right].max(axis=2) < 120).sum() > 100, "ink of the title"


def test_tree_leads_through_all_layers(page: OpenedPage) -> None:
    """The tree goes from halves to quarters to streets; a click zooms in, the button selects."""
    tree = page.tab.locator("#topics")
    assert tree.locator("> .panel-body > ul > li").count() == 2
    before = page.camera()[0]
    tree.get_by_role("button", name="West", exact=True).click()
    page.wait_for("(x) => visAssets.camera.get().target[0] < x - 5", "the west", before)
    page.settle()
    first = page.camera()[2]
    for name in ("West", "Quarter 1"):
        page.ask(
            """(name) => {
              const button = [...document.querySelectorAll('#topics .name')].find((one) => one.textContent === name);
              const summary = button.closest('summary');
              summary.scrollIntoView({block: 'center'});
            }""",
            name,
        )
        summary = tree.locator("summary", has=page.tab.get_by_text(name, exact=True)).last
        summary.click(position={"x": 4, "y": 14})
        page.settle()
    streets = tree.locator("li.leaf .name").all_inner_texts()
    assert sorted(streets) == ["Street 3", "Street 4", "Street 5"]
    tree.get_by_role("button", name="Street 4", exact=True).click()
    page.wait_for("(zoom) => visAssets.camera.get().zoom > zoom + 1", "a closer view", first)
    tree.locator("li.leaf", has=page.tab.get_by_text("Street 4", exact=True)).locator(".pick").click()
    assert page.selected() == ROWS[CONTENT.labels == 4].tolist()


def test_overview_moves_the_map(page: OpenedPage) -> None:
    """A press on the overview brings that part into view; its frame shows what is in view."""
    page.ask("() => visAssets.camera.set({zoom: visAssets.camera.get().zoom + 2})")
    page.settle()
    left, top, right, bottom = page.boxes("#minimap canvas")[0]
    small = page.boxes(".minimap-frame")[0]
    assert small[2] - small[0] < 0.6 * (right - left)
    canvas = page.pixels()[round(top) : round(bottom), round(left) : round(right)]
    assert (canvas.std(axis=2) > 20).sum() > 100, "points"
    before = page.camera()
    page.tab.mouse.click(left + 0.2 * (right - left), (top + bottom) / 2)
    page.settle()
    after = page.camera()
    assert after[0] < before[0] - 5
    assert after[2] == before[2]
    moved = page.boxes(".minimap-frame")[0]
    assert moved[0] < small[0]
    page.tab.click("#tool-minimap")
    assert not page.tab.locator("#minimap").is_visible()
    page.tab.click("#tool-minimap")


def test_click_on_a_point_makes_a_link(page: OpenedPage) -> None:
    """A click on a point puts it into the address, and that address leads back to it."""
    page.point_at(33)
    page.tab.mouse.click(*page.place_of(33))
    assert page.ask("() => location.hash") == "#point=id-33"
    page.tab.mouse.move(1, 1)
    page.ask("() => visAssets.camera.fit(null)")
    page.settle()
    page.ask("() => { location.hash = '#point=id-77'; }")
    page.wait_for("() => document.querySelector('#tooltip .text')?.textContent === 'text 77 about pears'", "the text")
    x, y, zoom = page.camera()
    assert [x, y] == pytest.approx(page.ask("() => [...visAssets.data.positions.subarray(154, 156)]"), abs=1e-3)
    assert page.ask("() => [...visAssets.highlight.get()]") == [77]
    page.ask("() => { location.hash = '#point=' + encodeURIComponent('<img src=x onerror=hacked=1>'); }")
    page.tab.wait_for_timeout(120)
    assert page.tab.inner_text("#live") == "The point of this link is not on this map."
    assert page.camera() == (x, y, zoom)


def test_link_to_the_view_can_be_copied(page: OpenedPage) -> None:
    """The link of the view goes to the clipboard, or is offered to be copied by hand, and leads back to the view."""
    page.tab.keyboard.press("Escape")
    page.ask(
        """() => {
          visAssets.bus.emit('click', {index: -1, at: [5, 795]});
          visAssets.camera.set({target: [3, 2], zoom: 7});
        }"""
    )
    page.ask("() => Object.defineProperty(navigator, 'clipboard', {value: undefined, configurable: true})")
    page.tab.click("#tool-link")
    link = page.tab.input_value("#link-dialog input")
    assert link.endswith("#x=3.000&y=2.000&zoom=7.00")
    page.tab.keyboard.press("Escape")
    page.ask("() => visAssets.camera.fit(null)")
    page.ask("(link) => { location.hash = link.slice(link.indexOf('#')); }", link)
    page.wait_for("() => visAssets.camera.get().zoom === 7", "the view")
    page.settle()
    assert page.camera() == pytest.approx((3, 2, 7), abs=1e-6)


def test_about_tells_what_the_page_is(page: OpenedPage) -> None:
    """The dialog tells counts and licences, and closes by its button."""
    page.tab.click("#tool-about")
    said: str = page.tab.inner_text("#about")
    for part in (
        "vis_assets",
        "720",
        "12, 4, 2 (from fine to coarse)",
        "lang, score, meta.made, path",
        "@fontsource/roboto",
        "OFL-1.1",
    ):
        assert part in said
    page.tab.click("#about .dialog-close")
    assert not page.tab.locator("#about").is_visible()


def _unnamed(page: OpenedPage) -> list[Any]:
    """Controls that a screen reader could not name."""
    found: list[Any] = page.ask(
        """() => [...document.querySelectorAll('button, input, select, summary, a, dialog, canvas:not([aria-hidden]),'
            + '[role="application"], [role="img"]')]
          .filter((one) => !one.closest('#stage canvas') && !(one.localName === 'canvas' && one.closest('#stage')))
          .filter((one) => {
            const by = one.getAttribute('aria-labelledby');
            const said = one.getAttribute('aria-label') || (by && document.getElementById(by)?.textContent)
              || [...(one.labels ?? [])].map((label) => label.textContent).join('') || one.textContent || one.title;
            return said.trim() === '';
          }).map((one) => one.outerHTML.slice(0, 200))"""
    )
    return found


def test_every_control_has_a_name(page: OpenedPage) -> None:
    """Every button, field, choice, panel, dialog and picture has an accessible name, and every id is used once."""
    _select(page, list(range(30)))
    page.tab.select_option("#color-by", "lang")
    assert _unnamed(page) == []
    ids = page.ask("() => [...document.querySelectorAll('[id]')].map((one) => one.id)")
    assert len(ids) == len(set(ids))
    assert page.ask("() => document.querySelectorAll('button').length") > 20
    assert page.tab.locator("#live").get_attribute("aria-live") == "polite"


def test_keys_move_the_map(page: OpenedPage) -> None:
    """Arrows move, plus and minus zoom, 0 shows all."""
    page.tab.focus("#stage")
    first = page.camera()
    for key, axis, sign in (("ArrowRight", 0, 1), ("ArrowUp", 1, 1), ("ArrowLeft", 0, -1), ("ArrowDown", 1, -1)):
        before = page.camera()
        page.tab.keyboard.press(key)
        page.settle()
        assert sign * (page.camera()[axis] - before[axis]) > 0.5, key
    page.tab.keyboard.press("+")
    page.settle()
    assert page.camera()[2] == pytest.approx(first[2] + 0.5, abs=0.01)
    page.tab.keyboard.press("-")
    page.settle()
    page.tab.keyboard.press("-")
    page.settle()
    assert page.camera()[2] == pytest.approx(first[2] - 0.5, abs=0.01)
    page.tab.keyboard.press("0")
    page.settle()
    assert page.camera() == pytest.approx(first, abs=0.01)


def test_keys_search_help_and_step_through_topics(page: OpenedPage) -> None:
    """Slash searches, ? lists the keys, N steps through topics, Enter goes in, S selects, Escape undoes."""
    page.tab.focus("#stage")
    page.tab.keyboard.press("/")
    assert page.ask("() => document.activeElement.id") == "search"
    page.tab.keyboard.type("street 1")
    page.wait_for("() => visAssets.filters.names().length === 1", "a filter")
    page.tab.keyboard.press("Escape")
    assert page.shown() == 720
    page.tab.focus("#stage")
    page.tab.keyboard.press("?")
    assert page.tab.locator("#help").is_visible()
    page.tab.keyboard.press("Escape")
    assert not page.tab.locator("#help").is_visible()
    page.tab.focus("#stage")
    page.tab.keyboard.press("n")
    assert page.tab.inner_text("#topic-said").startswith("Topic 1 of 2: ")
    page.tab.keyboard.press("Enter")
    page.tab.keyboard.press("n")
    assert page.tab.inner_text("#topic-said").startswith("Topic 1 of 2: Quarter ")
    page.tab.keyboard.press("s")
    assert len(page.selected()) == 180
    page.tab.keyboard.press("Escape")
    assert len(page.selected()) == 180, "the first one leaves the topic"
    page.tab.keyboard.press("Escape")
    assert page.selected() == []
    page.settle()


def test_tab_key_reaches_every_tool(page: OpenedPage) -> None:
    """Going on with Tab leads from the map over the search box to each button of the toolbar, each with a ring."""
    page.tab.focus("#stage")
    seen = []
    for _ in range(45):
        page.tab.keyboard.press("Tab")
        seen.append(page.ask("() => document.activeElement.id"))
        if seen[-1] == "tool-home":
            assert page.ask("() => getComputedStyle(document.activeElement).outlineStyle") != "none"
    tools = page.ask("() => [...document.querySelectorAll('#toolbar button')].map((one) => one.id)")
    assert "search" in seen
    assert set(tools) <= set(seen)
    assert seen.index("search") < seen.index("tool-home")


@pytest.fixture(scope="module")
def phone(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> OpenedPage:
    """The map on a phone, opened by a link to a point."""
    file = tmp_path_factory.mktemp("phone") / "map.html"
    config = VisualizationConfig(
        title="A town with a long title", sub_title="and more", enable_topic_tree=True, height=844
    )
    file.write_bytes(render_page(CONTENT, config).html)
    return shared_browsing.open(f"{file.as_uri()}#point=id-100", window_px=(390, 844), has_touch=True, is_mobile=True)


def test_link_opens_the_map_at_its_point(phone: OpenedPage) -> None:
    """A page opened by `#point=` shows this point in the middle, with a ring and its text."""
    phone.wait_for(
        "() => document.querySelector('#tooltip .text')?.textContent === 'text 100 about apples'", "the text"
    )
    left, top = phone.place_of(100)
    assert (left, top) == pytest.approx((195, 422), abs=2)
    assert phone.ask("() => [...visAssets.highlight.get()]") == [100]


def test_phone_has_room_for_the_map(phone: OpenedPage) -> None:
    """On a phone nothing is wider than the screen, panels are folded, and buttons are big enough for fingers."""
    phone.ask("() => visAssets.camera.fit(null)")
    phone.settle()
    assert phone.ask("() => document.documentElement.scrollWidth") <= 390
    boxes = phone.boxes("#map button, #map .panel, #map .bar, #map input, #title-box")
    assert [box for box in boxes if min(box) < 0 or box[2] > 390 or box[3] > 844] == []
    assert phone.ask("() => document.querySelectorAll('details.panel[open]').length") == 0
    tools = phone.boxes("#toolbar button")
    assert len(tools) >= 8
    assert all(right - left >= 36 and bottom - top >= 36 for left, top, right, bottom in tools)
    free = np.ones((844, 390), dtype=bool)
    for left, top, right, bottom in boxes:
        free[round(top) : round(bottom), round(left) : round(right)] = False
    assert free.mean() > 0.6, "the map is not covered"
    phone.assert_quiet()


def test_tap_shows_the_text(phone: OpenedPage) -> None:
    """A tap on a point shows its text, a tap beside all points hides it; panels can be opened by a tap."""
    phone.ask("() => visAssets.camera.set({target: [...visAssets.data.positions.subarray(28, 30)], zoom: 9})")
    phone.settle()
    phone.tab.touchscreen.tap(*phone.place_of(14))
    phone.wait_for("() => document.querySelector('#tooltip .text')?.textContent === 'text 14 about pears'", "the text")
    left, _, right, _ = phone.boxes("#tooltip")[0]
    assert left >= 0
    assert right <= 390
    phone.tab.locator("#topics > summary").tap()
    assert phone.tab.locator("#topics .name").first.is_visible()
    assert phone.ask("() => document.documentElement.scrollWidth") <= 390
    phone.assert_quiet()
