"""A page inside an application: a frame that may run scripts and nothing else, and the messages that go to and fro."""

import base64
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.browsing import (
    IS_READY,
    TWO_FRAMES,
    Browsing,
    OpenedPage,
    Pixels,
    near,
    read_image,
    wait_in,
)
from vis_assets_tests.page.maps import town

pytestmark = [pytest.mark.enable_socket]

ROOT = Path(__file__).parent.parent.parent
CONTENT = town()
ROWS = np.arange(len(CONTENT.labels))
_HOST = """<!DOCTYPE html><iframe sandbox="allow-scripts" src="map.html" width="1000" height="700"></iframe>
<script>
  window.heard = [];
  const frame = document.querySelector("iframe");
  addEventListener("message", (event) => { if (event.source === frame.contentWindow) heard.push(event.data); });
  let count = 0;
  window.say = (message) => frame.contentWindow.postMessage(message, "*");
  window.demand = (message) => new Promise((answer) => {
    const requestId = `request ${++count}`;
    addEventListener("message", function listen({ data }) {
      if (data.requestId !== requestId) return;
      removeEventListener("message", listen);
      answer(data);
    });
    say({ target: "vis-assets", requestId, ...message });
    setTimeout(() => answer(null), 8000);
  });
</script>"""


class Host:
    """An application with a map in a frame."""

    def __init__(self, opened: OpenedPage) -> None:
        """Find the frame."""
        self.opened = opened
        self.frame = opened.tab.frames[1]

    def demand(self, **message: Any) -> dict[str, Any]:
        """Ask the map for something, and wait for the answer."""
        answer = self.opened.ask("(message) => demand(message)", message)
        assert answer is not None, "no answer"
        assert (answer["source"], answer["version"]) == ("vis-assets", 1)
        return dict(answer)

    def heard(self, kind: str) -> list[dict[str, Any]]:
        """Messages of a type that the map sent by itself."""
        found: list[dict[str, Any]] = self.opened.ask(
            "(kind) => heard.filter((message) => message.type === kind && message.requestId === undefined)", kind
        )
        return found

    def wait_for(self, kind: str) -> dict[str, Any]:
        """The newest message of a type, once there is one."""
        self.opened.wait_for(
            "(kind) => heard.some(({type, requestId}) => type === kind && requestId === undefined)", kind, kind
        )
        return self.heard(kind)[-1]

    def forget(self) -> None:
        """Forget what was heard."""
        self.opened.tab.wait_for_timeout(150)  # the map tells views and points not more often
        self.opened.ask("() => { heard.length = 0; }")

    def pixels(self) -> Pixels:
        """What is to be seen, once the frame has drawn it and the window around has it."""
        for _ in range(2):
            self.frame.evaluate(TWO_FRAMES)
        return self.opened.pixels()

    def click(self, selector: str) -> None:
        """Click on something inside the frame."""
        self.frame.click(selector)


@pytest.fixture(scope="module")
def opened_host(shared_browsing: Browsing, tmp_path_factory: pytest.TempPathFactory) -> Host:
    """One application for all tests of this file."""
    folder = tmp_path_factory.mktemp("host")
    config = VisualizationConfig(title="A town", height=690, enable_topic_tree=True)
    (folder / "map.html").write_bytes(render_page(CONTENT, config).html)
    (folder / "host.html").write_text(_HOST)
    opened = shared_browsing.open((folder / "host.html").as_uri(), is_map=False, reduced_motion="reduce")
    host = Host(opened)
    wait_in(host.frame, IS_READY, "a map in a frame", None, opened.complaints)
    return host


@pytest.fixture
def host(opened_host: Host) -> Iterator[Host]:
    """The application, with nothing chosen, filtered or highlighted; the map must have stayed quiet."""
    for kind in ("select", "highlight", "filter", "flyTo"):
        opened_host.demand(type=kind)
    opened_host.demand(type="search", query="")
    opened_host.demand(type="colorBy", field="cluster")
    opened_host.demand(type="theme", dark=False)
    opened_host.forget()
    yield opened_host
    opened_host.opened.assert_quiet()


def test_a_page_in_a_frame_says_nothing_unasked(opened_host: Host) -> None:
    """Until the application has said something valid it hears nothing; then it hears that the map is ready."""
    opened_host.frame.evaluate("() => visAssets.selection.set(Int32Array.of(1, 2))")
    almost = {"target": "vis-asset", "type": "getState"}
    unheard: list[Any] = [None, 7, "select", [], {}, almost, {"type": "getState"}]
    for nonsense in unheard:
        opened_host.opened.ask("(message) => say(message)", nonsense)
    opened_host.opened.tab.wait_for_timeout(120)
    assert opened_host.opened.ask("() => heard.length") == 0
    state = opened_host.demand(type="getState")
    assert state["type"] == "state"
    assert opened_host.wait_for("ready") == {
        "source": "vis-assets", "version": 1, "type": "ready", "points": 720, "hasIds": True, "layers": [12, 4, 2],
        "fields": [{"name": one.name, "kind": one.kind} for one in CONTENT.fields], "ready": True,
    }  # fmt: skip
    assert (opened_host.pixels().std(axis=2) > 20).sum() > 500, "the map is drawn"


def test_select_by_ids_rows_and_topics(host: Host) -> None:
    """Points can be selected by ids, rows and topics together; texts come back only where asked for."""
    answer = host.demand(type="select", ids=["id-14", "id-33"], rows=[7], topics=[{"layer": 0, "topic": 3}])
    expected = sorted({14, 33, 7, *ROWS[CONTENT.labels == 3].tolist()})
    assert (answer["type"], answer["cause"], answer["count"]) == ("selection", "api", len(expected))
    assert answer["rows"] == expected
    assert answer["ids"] == [f"id-{row}" for row in expected]
    assert "texts" not in answer
    assert host.frame.evaluate("() => Array.from(visAssets.selection.get())") == expected
    assert host.frame.inner_text("#selection-count").startswith(f"{len(expected)} points")
    answer = host.demand(type="select", topics=["Quarter 2"], texts=True)
    assert answer["count"] == 180
    assert answer["texts"] == [CONTENT.hover_texts[row] for row in answer["rows"]]
    assert host.demand(type="select", topics=["Twin (2)"])["rows"] == ROWS[CONTENT.labels == 11].tolist()
    assert host.demand(type="select")["count"] == 0
    assert host.heard("selection") == [], "a command is told in its answer, not a second time"


def test_ids_that_the_map_does_not_hold(host: Host) -> None:
    """Unknown ids are refused with their names and change nothing, or are left out where the sender wants it so."""
    host.demand(type="select", rows=[1])
    answer = host.demand(type="select", ids=["id-2", "nobody", "__proto__"])
    assert answer["type"] == "error"
    assert answer["unknown"] == ["nobody", "__proto__"]
    assert host.demand(type="getState")["selection"]["rows"] == [1]
    assert host.demand(type="select", ids=["id-2", "nobody"], partial=True)["rows"] == [2]


def test_highlight_rings_points(host: Host) -> None:
    """Highlighting rings points and fades none."""
    before = host.pixels()
    assert host.demand(type="highlight", topics=["Street 4"])["highlighted"] == 48
    assert host.frame.evaluate("() => [visAssets.highlight.get().length, visAssets.filters.count()]") == [48, 720]
    assert (host.pixels() != before).any(axis=2).sum() > 300
    assert host.demand(type="highlight")["highlighted"] == 0


def test_filters_by_points_values_and_ranges(host: Host) -> None:
    """Filters by points, category, number and date work together and can be taken away one by one."""
    lang, score, made = (field.values for field in CONTENT.fields[:3])
    assert host.demand(type="filter", topics=["West"])["shown"] == 360
    west = CONTENT.coarser[1].labels == 0
    shown = host.demand(type="filter", field="lang", values=["日本語", None])["shown"]
    assert shown == int((west & ((lang == 1) | (lang == -1))).sum())
    shown = host.demand(type="filter", field="score", range=[0.5, None])["shown"]
    assert shown == int((west & ((lang == 1) | (lang == -1)) & (score >= 0.5)).sum())
    host.demand(type="filter", field="lang")
    answer = host.demand(type="filter", field="meta.made", range=["2020-01-10", "2020-01-20"])
    days = (made - made.min()) / 86_400_000
    assert answer["shown"] == int((west & (score >= 0.5) & (days >= 9) & (days <= 19)).sum())
    assert len(answer["filters"]) == 3
    assert host.demand(type="filter", field="path", values=["=docs/7.md"])["shown"] == 0
    assert host.demand(type="filter")["shown"] == 720


def test_color_theme_search_and_view(host: Host) -> None:
    """Colours, theme, search and view follow the application."""
    answer = host.demand(type="colorBy", field="score")
    assert (answer["type"], answer["field"]) == ("color", "score")
    assert answer["choices"] == ["cluster", "strength", "lang", "score", "meta.made"]
    assert host.frame.input_value("#color-by") == "score"
    assert host.demand(type="theme", dark=True)["dark"] is True
    assert near(host.pixels(), (0x14, 0x16, 0x1A), 10) > 300_000
    answer = host.demand(type="search", query="apples")
    expected = sum("apples" in text for text in CONTENT.hover_texts)
    assert (answer["found"], answer["filter"]["shown"]) == (expected, expected)
    assert host.frame.input_value("#search") == "apples"
    host.demand(type="flyTo", ids=["id-50"], zoom=8)
    wait_in(host.frame, "() => document.querySelector('#tooltip .text')?.textContent === 'text 50 about pears'", "text")
    view = host.demand(type="getState")["view"]
    place = host.frame.evaluate("() => [...visAssets.data.positions.subarray(100, 102)]")
    assert view["target"] == pytest.approx(place, abs=1e-3)
    assert view["zoom"] == 8


def test_state_tells_everything_but_texts(host: Host) -> None:
    """The state holds counts, topics of all layers with their parents, view, colours and filters."""
    state = host.demand(type="getState")
    assert (state["points"], state["title"], state["layers"], state["dark"]) == (720, "A town", [12, 4, 2], False)
    assert len(state["topics"]) == 18
    assert state["topics"][0] == {"layer": 0, "topic": 0, "name": "Street 0", "size": 48, "parent": 0}
    assert state["topics"][17]["name"] == "East"
    assert state["filter"] == {"shown": 720, "points": 720, "filters": []}
    assert "about pears" not in str(state)


def test_what_the_reader_does_is_told(host: Host) -> None:
    """Hover, click, selection, filter, colour and view of the reader are told, with ids and without texts."""
    host.frame.evaluate("() => visAssets.camera.set({target: [...visAssets.data.positions.subarray(28, 30)], zoom: 9})")
    host.opened.tab.wait_for_timeout(150)
    assert host.wait_for("view")["zoom"] == 9
    box = host.opened.tab.locator("iframe").bounding_box()
    left, top = host.frame.evaluate("() => visAssets.camera.size().map((side) => side / 2)")
    host.opened.tab.mouse.move(box["x"] + left + 30, box["y"] + top + 30)
    host.opened.tab.mouse.move(box["x"] + left, box["y"] + top)
    host.opened.wait_for("() => heard.some(({type, row}) => type === 'hover' && row === 14)", "a hover")
    host.opened.tab.mouse.click(box["x"] + left, box["y"] + top)
    clicked = host.wait_for("click")
    assert (clicked["row"], clicked["id"], clicked["shift"]) == (14, "id-14", False)
    host.frame.select_option("#color-by", "lang")
    assert host.wait_for("color")["field"] == "lang"
    host.click("#legend .category >> nth=0")
    assert host.wait_for("filter")["shown"] == 540
    host.frame.evaluate("() => visAssets.selection.set(Int32Array.of(3, 4), 'lasso')")
    told = host.wait_for("selection")
    assert (told["cause"], told["ids"], told["truncated"]) == ("lasso", ["id-3", "id-4"], False)
    assert "text" not in str(host.opened.ask("() => heard"))


BAD: list[dict[str, Any]] = [
    {"type": "selct"}, {"type": "__proto__"}, {"type": "constructor"}, {"type": None}, {"type": 7},
    {"type": ["select"]},
    {"type": "select", "ids": "id-1"}, {"type": "select", "ids": [{}]}, {"type": "select", "ids": [None]},
    {"type": "select", "ids": ["x" * 100_000]}, {"type": "select", "rows": [-1]}, {"type": "select", "rows": [720]},
    {"type": "select", "rows": [1.5]}, {"type": "select", "rows": ["1"]}, {"type": "select", "rows": {"length": 3}},
    {"type": "select", "rows": list(range(721))}, {"type": "select", "topics": ["nobody"]},
    {"type": "select", "topics": [12]}, {"type": "select", "topics": [{"layer": 9, "topic": 0}]},
    {"type": "select", "topics": [{"layer": "__proto__", "topic": "constructor"}]}, {"type": "select", "topics": [[]]},
    {"type": "filter", "field": "nothing", "values": ["x"]}, {"type": "filter", "field": 7},
    {"type": "filter", "field": "lang", "range": [1, 2]}, {"type": "filter", "field": "lang", "values": "english"},
    {"type": "filter", "field": "score", "range": [0]}, {"type": "filter", "field": "score", "range": ["a", "b"]},
    {"type": "filter", "field": "score", "range": {}}, {"type": "filter", "field": "__proto__", "values": ["x"]},
    {"type": "filter", "field": "meta.made", "range": ["soon", None]}, {"type": "colorBy"},
    {"type": "colorBy", "field": "path"}, {"type": "colorBy", "field": {}}, {"type": "colorBy", "field": "toString"},
    {"type": "flyTo", "ids": ["nobody"]}, {"type": "flyTo", "rows": [1], "zoom": "near"},
    {"type": "flyTo", "rows": [1], "zoom": None}, {"type": "search"}, {"type": "search", "query": 7},
    {"type": "search", "query": "x" * 1_001}, {"type": "theme"}, {"type": "theme", "dark": "yes"},
    {"type": "highlight", "rows": [10**9]},
]  # fmt: skip


def test_malformed_messages_change_nothing(host: Host) -> None:
    """Each message that cannot be carried out is answered by an error with a reason, and nothing changes."""
    host.demand(type="select", rows=[5])
    before = host.demand(type="getState")
    for message in BAD:
        answer = host.demand(**message)
        assert answer["type"] == "error", message
        assert 10 < len(answer["message"]) < 900, message
    after = host.demand(type="getState")
    assert {**after, "requestId": 0} == {**before, "requestId": 0}
    assert host.opened.complaints == []


def test_texts_of_messages_stay_texts(host: Host) -> None:
    """Markup in a message is searched for or refused, never run."""
    markup = "<img src=x onerror=\"parent.postMessage('hacked','*')\"><script>hacked=1</script>"
    assert host.demand(type="search", query=markup)["found"] == 0
    for kind in ("select", "flyTo", "highlight"):
        assert markup[:20] in host.demand(type=kind, ids=[markup])["message"]
    host.demand(type="colorBy", field=markup)
    assert host.frame.evaluate("() => window.hacked === undefined && document.querySelector('#map img') === null")


def test_files_come_as_messages_where_downloads_are_not_allowed(host: Host) -> None:
    """In a sandbox a table, a list and a picture go to the application."""
    host.demand(type="select", ids=["id-14", "id-15"])
    host.click("#selection >> text=CSV")
    table = host.wait_for("export")
    assert (table["name"], table["mime"]) == ("A-town-selection.csv", "text/csv;charset=utf-8")
    assert table["text"].count("\r\n") == 3
    assert "id-14" in table["text"]
    host.click("#selection >> text=JSON")
    host.opened.wait_for("() => heard.some(({mime}) => mime === 'application/json')", "a list")
    host.click("#tool-picture")
    host.opened.wait_for("() => heard.some(({mime}) => mime === 'image/png')", "a picture")
    picture = host.heard("export")[-1]
    kind, _, data = picture["dataUrl"].partition(",")
    assert kind == "data:image/png;base64"
    pixels = read_image(base64.b64decode(data))
    assert pixels.shape[1] == 2 * host.frame.evaluate("() => visAssets.camera.size()[0]")
    assert (pixels.std(axis=2) > 20).sum() > 4_000


def test_links_in_a_sandbox_do_no_harm(host: Host) -> None:
    """Copying a link shows it where the clipboard is out of reach, and clicks leave the address alone."""
    host.click("#tool-link")
    wait_in(
        host.frame, "() => document.querySelector('#link-dialog').open || document.querySelector('.flash')", "a link"
    )
    host.frame.evaluate("() => document.querySelector('#link-dialog').close()")


def test_the_example_works(shared_browsing: Browsing, tmp_path: Path) -> None:
    """docs/examples/embedding.html drives a real map by its buttons, and logs what it hears."""
    shutil.copy(ROOT / "docs/examples/embedding.html", tmp_path)
    (tmp_path / "town.html").write_bytes(render_page(CONTENT, VisualizationConfig(title="A town")).html)
    opened = shared_browsing.open((tmp_path / "embedding.html").as_uri() + "?map=town.html", is_map=False)
    tab = opened.tab
    frame = tab.frames[1]
    wait_in(frame, IS_READY, "a map in the example", None, opened.complaints)
    opened.wait_for("() => document.querySelectorAll('#topic option').length === 18", "topics to choose from")
    assert tab.locator("#field option").all_inner_texts() == ["cluster", "strength", "lang", "score", "meta.made"]
    tab.fill("#ids", "id-14, id-33, nobody")
    tab.click("#by-id button")
    wait_in(frame, "() => visAssets.selection.get().length === 2", "a selection")
    tab.fill("#query", "apples")
    tab.click("#by-query button")
    wait_in(frame, "() => visAssets.filters.names().includes('search')", "a search")
    tab.select_option("#field", "lang")
    tab.click("#by-field button")
    wait_in(frame, "() => visAssets.colors.current() === 'lang'", "colours")
    tab.fill("#from", "english")
    tab.click("#by-value button")
    wait_in(frame, "() => visAssets.filters.names().length === 2", "a filter")
    tab.select_option("#topic", index=17)
    tab.click("#by-topic button")
    wait_in(frame, "() => visAssets.selection.get().length === 360", "a topic")
    tab.fill("#ids", "nobody")
    tab.click("text=Highlight ids")
    opened.wait_for(
        "() => document.querySelector('#log .error')?.textContent.includes('unknown ids: nobody')", "an error"
    )
    tab.click("#dark")
    wait_in(frame, "() => visAssets.theme.isDark()", "the dark")
    tab.click("#clear")
    wait_in(frame, "() => visAssets.filters.count() === 720 && visAssets.selection.get().length === 0", "all points")
    frame.evaluate("() => visAssets.selection.set(Int32Array.of(1, 2), 'lasso')")
    with tab.expect_download() as waiting:
        frame.click("#selection >> text=CSV")
    assert waiting.value.suggested_filename == "A-town-selection.csv"
    assert Path(waiting.value.path()).read_bytes().count(b"\r\n") == 3
    opened.assert_quiet()
