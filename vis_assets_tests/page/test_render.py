"""The page as a file: every option has its effect, hostile text stays text."""

import re
from pathlib import Path

import pytest

from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.maps import (
    HOSTILE,
    Outline,
    blobs,
    degenerate_maps,
    inline_hover,
    inline_labels,
    inline_points,
    make,
)


def _page(**options: object) -> bytes:
    return render_page(blobs(), VisualizationConfig.model_validate(options)).html


def _texts(**options: object) -> dict[str, str]:
    return Outline(_page(**options)).texts


def test_title_names_the_page_and_stands_on_it() -> None:
    """`title` is the title of the document and the heading of the map."""
    texts = _texts(title="Größe & Maß 🎉")
    assert texts["title"] == "Größe & Maß 🎉"
    assert texts["main-title"].strip() == "Größe & Maß 🎉"


def test_page_without_title_is_still_named() -> None:
    """Without `title` the document has a plain name and the map no heading."""
    texts = _texts()
    assert texts["title"] == "Topic map"
    assert "main-title" not in texts


@pytest.mark.parametrize("title", [None, "Title"])
def test_sub_title_stands_on_the_page(title: str | None) -> None:
    """`sub_title` is shown, with or without a title."""
    assert "the line under it" in _texts(title=title, sub_title="the line under it")["title-container"]


def test_width_and_height_size_the_map() -> None:
    """`width` and `height` become the size of the map's box."""
    assert b"width:62.5%;height:432px" in _page(width="62.5%", height=432)


def test_darkmode_makes_the_page_dark() -> None:
    """`darkmode` turns the ground black and marks the body."""
    assert b'<body class="darkmode">' in _page(darkmode=True)
    assert b'class="darkmode"' not in _page(darkmode=False)


def test_noise_label_names_noise_in_legend_and_texts() -> None:
    """`noise_label` stands in the legend and before the text of each noise point, where search finds it."""
    html = _page(noise_label="Unsorted")
    assert Outline(html).texts["noise-legend"] == "Unsorted"
    assert inline_hover(html)[0] == "Unsorted\ntext 0"
    assert inline_hover(html)[1] == "Topic of kind 1\ntext 1"


def test_empty_noise_label_leaves_the_legend_out() -> None:
    """Without `noise_label` there is no legend, and noise points show their text only."""
    html = _page()
    assert "noise-legend" not in Outline(html).texts
    assert inline_hover(html)[0] == "text 0"


def test_a_cluster_named_like_noise_stays_a_cluster() -> None:
    """A cluster whose name equals `noise_label` keeps its label."""
    content = make([[0, 0], [1, 1], [2, 0]], [0, 1, -1], ["Other", "Rest"])
    html = render_page(content, VisualizationConfig(noise_label="Other")).html
    assert [label["label"] for label in inline_labels(html)] == ["Other", "Rest"]


def test_noise_color_paints_noise() -> None:
    """`noise_color` is the colour of noise points and of no other."""
    points = inline_points(_page(noise_color="#0f8"))
    is_noise = (points[["r", "g", "b"]] == [0, 255, 136]).all(axis=1)
    assert is_noise.tolist() == [i % 10 == 0 for i in range(300)]


def test_inline_data_puts_data_inside_or_beside() -> None:
    """`inline_data` false moves the data into files of the given prefix; true leaves one file."""
    inside = render_page(blobs(), VisualizationConfig())
    beside = render_page(blobs(), VisualizationConfig(inline_data=False), "map-7")
    assert inside.data_files == {}
    assert set(beside.data_files) == {"map-7_label_data.zip", "map-7_meta_data_0.zip", "map-7_point_data_0.zip"}
    assert all(name.encode() in beside.html for name in beside.data_files)
    assert b'pointDataEncoded = "' not in beside.html
    assert any("over http" in note for note in beside.notes)


def test_color_label_text_colors_labels() -> None:
    """`color_label_text` takes label colours from the clusters, or black where it is off."""
    assert b"labelTextColor: d => [d.r, d.g, d.b]" in _page(color_label_text=True)
    assert b"labelTextColor: [0, 0, 0, 255]" in _page(color_label_text=False)


@pytest.mark.parametrize(("width", "lines"), [(6, 3), (9, 2), (40, 1)])
def test_label_wrap_width_breaks_labels(width: int, lines: int) -> None:
    """`label_wrap_width` is the length at which labels break."""
    label = inline_labels(_page(label_wrap_width=width))[0]["label"]
    assert len(label.split("\n")) == lines


def test_cluster_boundary_polygons_adds_outlines() -> None:
    """`cluster_boundary_polygons` gives each cluster an outline."""
    html = _page(cluster_boundary_polygons=True)
    assert all(len(label["polygon"][0]) > 8 for label in inline_labels(html))
    assert b"datamap.addBoundaries(labelData" in html
    assert b"datamap.addBoundaries(labelData" not in _page()


def test_enable_topic_tree_adds_the_tree() -> None:
    """`enable_topic_tree` adds the tree's place, and ids and bounds to the labels."""
    html = _page(enable_topic_tree=True)
    assert any(attributes.get("id") == "topic-tree" for _, attributes in Outline(html).elements)
    assert [label["id"] for label in inline_labels(html)] == ["base_0", "base_1", "base_2"]
    assert not any(attributes.get("id") == "topic-tree" for _, attributes in Outline(_page()).elements)


@pytest.mark.usefixtures("vendor_assets")
def test_page_refers_to_nothing_outside() -> None:
    """No element of the page has an address outside."""
    outline = Outline(_page(title="T", enable_topic_tree=True))
    assert not any(tag == "link" for tag, _ in outline.elements)
    sources = [
        attributes[name] or "" for _, attributes in outline.elements for name in ("src", "href") if name in attributes
    ]
    assert all(source.startswith("data:") for source in sources)


def test_page_without_built_libraries_says_so(tmp_path: Path) -> None:
    """Without built libraries the page loads exactly these from their hosts, and a note tells."""
    page = render_page(blobs(), VisualizationConfig(), vendor_folder=tmp_path)
    scripts = [a["src"] for tag, a in Outline(page.html).elements if tag == "script" and "src" in a]
    assert len(scripts) == 3
    assert any("CDN" in note for note in page.notes)
    assert not any(tag == "link" for tag, _ in Outline(page.html).elements)


@pytest.mark.parametrize("name", degenerate_maps())
@pytest.mark.parametrize("full", [False, True])
def test_every_map_has_a_page(name: str, full: bool) -> None:
    """Maps at the edge of what can be drawn have a page that holds all their points."""
    content = degenerate_maps()[name]
    config = VisualizationConfig(cluster_boundary_polygons=full, enable_topic_tree=full)
    html = render_page(content, config).html
    points = inline_points(html)
    assert len(points) == len(content.labels) == len(inline_hover(html))
    assert points[["x", "y"]].abs().max().max() <= 31


def test_hostile_text_stays_text() -> None:
    """Text that tries to break out adds no element and no attribute to the page."""
    tame = VisualizationConfig(title="t", sub_title="s", noise_label="n", enable_topic_tree=True)
    wild = VisualizationConfig(title=HOSTILE, sub_title=HOSTILE, noise_label=HOSTILE, enable_topic_tree=True)
    content = degenerate_maps()["hostile"]
    calm, angry = (Outline(render_page(content, config).html) for config in (tame, wild))
    assert [tag for tag, _ in calm.elements] == [tag for tag, _ in angry.elements]
    assert angry.texts["title"] == HOSTILE
    assert angry.texts["main-title"].strip() == HOSTILE
    assert angry.texts["noise-legend"] == HOSTILE


def test_policy_allows_only_the_pages_own_scripts() -> None:
    """The content security policy names scripts by hash, and allows no inline handler, evaluation or connection."""
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Outline(_page()).elements
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "data: blob:"
    assert all(source.startswith("'sha256-") for source in rules["script-src"].split())


def test_long_hover_text_is_cut() -> None:
    """A text of more than 500 characters ends in an ellipsis there."""
    content = make([[0, 0]], [-1], [], ["x" * 10_000])
    assert inline_hover(render_page(content, VisualizationConfig()).html) == ["x" * 499 + "…"]


@pytest.mark.parametrize("inline", [True, False])
def test_equal_maps_make_equal_pages(inline: bool) -> None:
    """Rendering twice gives the same bytes, at whatever time."""
    config = VisualizationConfig(title="Same", inline_data=inline, enable_topic_tree=True)
    first, second = (render_page(blobs(), config) for _ in range(2))
    assert (first.html, first.data_files) == (second.html, second.data_files)
    gzip_headers = [data[:8] for data in first.data_files.values()] or [b"\x1f\x8b\x08\x00" + bytes(4)]
    assert all(header[4:] == bytes(4) for header in gzip_headers)
    assert not re.search(rb'DataEncoded = "H4sI(?!A[A-Za-z0-9+/]AAAAA)', first.html)


@pytest.mark.parametrize("prefix", ["", "../x", "a b", "x" * 65, 'x";'])
def test_malformed_prefix_is_refused(prefix: str) -> None:
    """A prefix that could leave the folder or the script is refused."""
    with pytest.raises(ValueError, match="data_prefix"):
        render_page(blobs(), VisualizationConfig(), prefix)
