"""The page as a file: every option has its effect, hostile text stays text, equal maps make equal pages."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.maps import (
    HOSTILE,
    Outline,
    blobs,
    cluster_names,
    degenerate_maps,
    make,
    read_block,
    read_labels,
    read_lines,
    read_meta,
    read_positions,
    read_texts,
    town,
)

ROOT = Path(__file__).parent.parent.parent


def _page(**options: object) -> bytes:
    return render_page(blobs(), VisualizationConfig.model_validate(options)).html


def _meta(**options: object) -> dict:
    return read_meta(_page(**options))


def _policy(html: bytes) -> dict[str, str]:
    for tag, attributes in Outline(html).elements:
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy":
            return dict(rule.split(" ", 1) for rule in (attributes["content"] or "").split("; "))
    raise AssertionError("the page has no policy")


def test_title_names_the_page_and_stands_on_it() -> None:
    """`title` is the title of the document and the heading of the map."""
    html = _page(title="Größe & Maß 🎉")
    assert Outline(html).texts["title"] == "Größe & Maß 🎉"
    assert read_meta(html)["title"] == "Größe & Maß 🎉"


def test_page_without_title_is_still_named() -> None:
    """Without `title` the document has a plain name and the map no heading."""
    html = _page()
    assert Outline(html).texts["title"] == "Topic map"
    assert read_meta(html)["title"] == ""


@pytest.mark.parametrize("title", [None, "Title"])
def test_sub_title_stands_on_the_page(title: str | None) -> None:
    """`sub_title` is there, with or without a title."""
    assert _meta(title=title, sub_title="the line under it")["sub_title"] == "the line under it"


def test_sizes_and_fonts_become_styles() -> None:
    """Width, height, sizes and fonts of the page become its style, each font of the job's own in quotes."""
    html = _page(
        width="62.5%", height=432, title_font_size=40, sub_title_font_size=9, logo_width=77,
        font_family="Some Font, Other", tooltip_font_weight=300, tooltip_font_family="Third",
    )  # fmt: skip
    style = Outline(html).texts["style"]
    assert "#map { width: 62.5%; height: 432px; " in style
    for variable in (
        "--title-size: 40px;",
        "--sub-title-size: 9px;",
        "--logo-width: 77px;",
        "--tooltip-font: 300 14px/1.4 'Third', system-ui",
    ):
        assert variable in style
    assert "--font: 'Some Font', 'Other', system-ui" in style


def test_every_plain_option_reaches_the_page() -> None:
    """What the app reads as it is arrives as it was sent."""
    sent = {
        "darkmode": True, "color_label_text": False, "color_by": "strength", "enable_topic_tree": True,
        "cluster_boundary_polygons": True, "cluster_boundary_line_width": 2.5, "min_fontsize": 9.0,
        "max_fontsize": 31.0, "text_min_pixel_size": 8.0, "text_max_pixel_size": 40.0, "font_weight": 700,
        "line_spacing": 1.5, "text_outline_width": 3.0, "text_outline_color": "#123456", "background_color": "#abcdef",
        "point_radius_min_pixels": 2.0, "point_radius_max_pixels": 11.0, "point_line_width": 0.5,
        "point_line_width_min_pixels": 1.0, "point_line_width_max_pixels": 2.0, "polygon_alpha": 0.4,
        "text_collision_size_scale": 5.0, "noise_label": "Unsorted",
    }  # fmt: skip
    assert _meta(**sent)["options"] == sent


def test_noise_color_paints_noise() -> None:
    """`noise_color` is the colour of noise points, short or with opacity, and of no cluster."""
    meta = _meta(noise_color="#0f8")
    assert meta["noise_rgb"] == [0, 255, 136]
    assert [0, 255, 136] not in [cluster["color"] for cluster in meta["layers"][0]["clusters"]]


def test_hover_color_has_its_opacity() -> None:
    """`point_hover_color` keeps its last two digits as opacity; without them it is opaque."""
    assert _meta(point_hover_color="#01020304")["hover_rgba"] == [1, 2, 3, 4]
    assert _meta(point_hover_color="#010203")["hover_rgba"] == [1, 2, 3, 255]


def test_point_size_scale_changes_the_points() -> None:
    """Points are twice as big where `point_size_scale` is twice as big."""
    small, big = (_meta(point_size_scale=scale)["radius"] for scale in (4.0, 8.0))
    assert big == pytest.approx(2 * small)


def test_initial_zoom_fraction_leaves_points_out_of_the_first_view() -> None:
    """A small `initial_zoom_fraction` gives a first view around the middle of a big map."""
    content = blobs(2_400)
    whole, part = (
        read_meta(render_page(content, VisualizationConfig(initial_zoom_fraction=share)).html)["view"]
        for share in (1.0, 0.3)
    )
    assert part[2] - part[0] < whole[2] - whole[0]


def test_medoids_put_names_on_points() -> None:
    """With `use_medoids` the place of each cluster is one of its points."""
    away = {}
    for use_medoids in (True, False):
        html = _page(use_medoids=use_medoids)
        centers = np.array([[one["x"], one["y"]] for one in read_meta(html)["layers"][0]["clusters"]])
        gaps = np.linalg.norm(centers[:, None] - read_positions(html)[None], axis=2)
        away[use_medoids] = gaps.min(axis=1).max()
    assert away[True] < 1e-3 < away[False]


def test_palette_options_change_colors() -> None:
    """Hue shift, theta range, radius dependence and the safer palette each give other colours."""
    content = town()
    options: list[dict[str, object]] = [
        {}, {"palette_hue_shift": 90.0}, {"palette_theta_range": 3.0}, {"palette_hue_radius_dependence": 3.0},
        {"cvd_safer": True},
    ]  # fmt: skip
    seen = set()
    for chosen in options:
        meta = read_meta(render_page(content, VisualizationConfig.model_validate(chosen)).html)
        seen.add(str([cluster["color"] for cluster in meta["layers"][0]["clusters"]]))
    assert len(seen) == len(options)


def test_only_images_inside_the_job_reach_the_page() -> None:
    """A logo and a background at a web address are not in the page; those inside the job are."""
    image = "data:image/png;base64,iVBORw0KGgo="
    assert (_meta(logo=image)["logo"], _meta(background_image=image)["background_image"]) == (image, image)
    html = _page(logo="https://example.invalid/logo.png", background_image="http://example.invalid/b.png")
    assert (read_meta(html)["logo"], read_meta(html)["background_image"]) == (None, None)
    assert b"example.invalid" not in html


def test_a_cluster_named_like_noise_stays_a_cluster() -> None:
    """A cluster whose name equals `noise_label` keeps its name."""
    content = make([[0, 0], [1, 1], [2, 0]], [0, 1, -1], ["Other", "Rest"])
    html = render_page(content, VisualizationConfig(noise_label="Other")).html
    assert cluster_names(html) == ["Other", "Rest"]


def test_inline_data_puts_data_inside_or_beside() -> None:
    """`inline_data` false moves the data into files of the given prefix; true leaves one file."""
    inside = render_page(blobs(), VisualizationConfig())
    beside = render_page(blobs(), VisualizationConfig(inline_data=False), "map-7")
    assert inside.data_files == {}
    assert set(beside.data_files) == {f"map-7_{name}.gz" for name in ("meta", "positions", "labels", "texts")}
    for name, data in beside.data_files.items():
        address = f'data-file="{name}?{hashlib.sha256(data).hexdigest()[:12]}"'
        assert address.encode() in beside.html, "other data have another address"
    assert b"H4sI" not in beside.html
    assert any("over http" in note for note in beside.notes)
    assert "'self'" in _policy(beside.html)["connect-src"]
    assert "'self'" not in _policy(inside.html)["connect-src"]


@pytest.mark.parametrize(("width", "lines"), [(6, 3), (9, 2), (40, 1)])
def test_label_wrap_width_breaks_labels(width: int, lines: int) -> None:
    """`label_wrap_width` is the length at which labels break."""
    assert len(_meta(label_wrap_width=width)["layers"][0]["clusters"][0]["lines"]) == lines


def test_labels_have_three_lines_at_most() -> None:
    """A long name is cut on the map, and whole everywhere else."""
    name = "one topic with a name that is much longer than three lines of a label"
    content = make([[0, 0]], [0], [name])
    cluster = read_meta(render_page(content, VisualizationConfig()).html)["layers"][0]["clusters"][0]
    assert cluster["lines"] == ["one topic with a", "name that is", "much longer than…"]
    assert cluster["name"] == name


def test_cluster_boundary_polygons_adds_outlines() -> None:
    """`cluster_boundary_polygons` gives each cluster of the finest layer a closed outline."""
    clusters = _meta(cluster_boundary_polygons=True)["layers"][0]["clusters"]
    assert all(len(cluster["outline"]) > 8 and cluster["outline"][0] == cluster["outline"][-1] for cluster in clusters)
    assert not any("outline" in cluster for cluster in _meta()["layers"][0]["clusters"])


def test_everything_of_a_map_is_in_its_page() -> None:
    """Places, labels of every layer, strengths, ids, texts, fields, keyphrases and parents can be read back."""
    content = town()
    html = render_page(content, VisualizationConfig()).html
    meta = read_meta(html)
    assert meta["n"] == 720
    assert np.array_equal(read_labels(html), np.stack([layer.labels for layer in content.layers]))
    assert read_texts(html) == list(content.hover_texts)
    assert read_lines(html, "ids") == list(content.ids)
    strengths = np.frombuffer(read_block(html, "strengths"), np.uint8)
    assert content.strengths is not None
    assert np.allclose(strengths / 255, content.strengths, atol=0.003)
    assert [(one["name"], one["kind"]) for one in meta["fields"]] == [(one.name, one.kind) for one in content.fields]
    assert np.array_equal(np.frombuffer(read_block(html, "field-0"), "<i4"), content.fields[0].values)
    assert np.array_equal(np.frombuffer(read_block(html, "field-1"), "<f8"), content.fields[1].values, equal_nan=True)
    assert read_lines(html, "field-3") == content.fields[3].values
    assert [cluster["parent"] for cluster in meta["layers"][0]["clusters"]] == [i // 3 for i in range(12)]
    assert [cluster["parent"] for cluster in meta["layers"][1]["clusters"]] == [0, 0, 1, 1]
    assert meta["layers"][0]["clusters"][3]["keyphrases"] == ["phrase 3", "common"]


def test_equal_names_stay_two() -> None:
    """Two clusters of one name are told apart by a number."""
    assert cluster_names(render_page(town(), VisualizationConfig()).html)[-2:] == ["Twin", "Twin (2)"]


@pytest.mark.usefixtures("fonts")
def test_page_refers_to_nothing_outside() -> None:
    """No element of the page has an address, a style or a handler."""
    outline = Outline(_page(title="T", enable_topic_tree=True))
    names = {name for _, attributes in outline.elements for name in attributes}
    assert not names & {"src", "href", "style", "srcset"}
    assert not any(name.startswith("on") for name in names)
    assert not any(tag in {"link", "iframe", "base", "object"} for tag, _ in outline.elements)


def test_page_without_built_fonts_says_so(tmp_path: Path) -> None:
    """Without built fonts the page uses its reader's own, asks nobody for them, and a note tells."""
    page = render_page(blobs(), VisualizationConfig(), font_folder=tmp_path)
    assert b"@font-face" not in page.html
    assert not any("src" in attributes for _, attributes in Outline(page.html).elements)
    assert any("fonts were not built" in note for note in page.notes)


@pytest.mark.parametrize("name", degenerate_maps())
@pytest.mark.parametrize("full", [False, True])
def test_every_map_has_a_page(name: str, full: bool) -> None:
    """Maps at the edge of what can be drawn have a page that holds all their points."""
    content = degenerate_maps()[name]
    config = VisualizationConfig(cluster_boundary_polygons=full, enable_topic_tree=full)
    html = render_page(content, config).html
    assert len(read_positions(html)) == len(content.labels) == read_meta(html)["n"]
    assert np.abs(read_positions(html)).max() <= 31
    if any(content.hover_texts):
        assert len(read_texts(html)) == len(content.labels)


def test_hostile_text_stays_text() -> None:
    """Text that tries to break out adds no element and no attribute to the page."""
    tame = VisualizationConfig(title="t", sub_title="s", noise_label="n", enable_topic_tree=True)
    wild = VisualizationConfig(title=HOSTILE, sub_title=HOSTILE, noise_label=HOSTILE, enable_topic_tree=True)
    content = degenerate_maps()["hostile"]
    calm, angry = (Outline(render_page(content, config).html) for config in (tame, wild))
    assert [tag for tag, _ in calm.elements] == [tag for tag, _ in angry.elements]
    assert angry.texts["title"] == HOSTILE
    meta = read_meta(render_page(content, wild).html)
    assert (meta["title"], meta["sub_title"], meta["options"]["noise_label"]) == (HOSTILE, HOSTILE, HOSTILE)


def test_policy_allows_only_the_pages_own_scripts_and_styles() -> None:
    """The content security policy names scripts and styles by hash, and allows no handler, evaluation or connection."""
    rules = _policy(_page())
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"] == "data: blob:"
    assert all(source.startswith("'sha256-") for name in ("script-src", "style-src") for source in rules[name].split())


def test_app_draws_no_markup_and_runs_no_text() -> None:
    """The app never parses text as HTML or as a script, and reads no address of others."""
    app = b"".join(file.read_bytes() for file in sorted((ROOT / "vis_assets/page/app").glob("*.js")))
    forbidden = rb"(inner|outer|insertAdjacent)HTML|document\.write|DOMParser|ContextualFragment|\beval\(|new Function"
    assert re.search(forbidden, app) is None
    assert re.search(rb"https?://(?!www\.w3\.org/)", app) is None


def test_long_hover_text_is_cut() -> None:
    """A text of more than 500 characters ends in an ellipsis there."""
    content = make([[0, 0]], [-1], [], ["x" * 10_000])
    assert read_texts(render_page(content, VisualizationConfig()).html) == ["x" * 499 + "…"]


@pytest.mark.parametrize("inline", [True, False])
def test_equal_maps_make_equal_pages(inline: bool) -> None:
    """Rendering twice gives the same bytes, at whatever time."""
    config = VisualizationConfig(title="Same", inline_data=inline, enable_topic_tree=True)
    first, second = (render_page(town(), config) for _ in range(2))
    assert (first.html, first.data_files) == (second.html, second.data_files)
    assert all(data[:10] == b"\x1f\x8b\x08" + bytes(6) + b"\xff" for data in first.data_files.values())


def test_two_processes_write_the_same_page() -> None:
    """Processes with different seeds of Python's hashes write pages of the same SHA-256, which is that of this one."""
    script = (
        "import hashlib;"
        "from vis_assets.page.render import render_page;"
        "from vis_assets.protocol.visualization_config import VisualizationConfig;"
        "from vis_assets_tests.page.maps import town;"
        "config = VisualizationConfig(title='Same', cluster_boundary_polygons=True);"
        "print(hashlib.sha256(render_page(town(), config).html).hexdigest())"
    )
    config = VisualizationConfig(title="Same", cluster_boundary_polygons=True)
    seen = {hashlib.sha256(render_page(town(), config).html).hexdigest()}
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "TZ": f"Etc/GMT+{seed}"}
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
        seen.add(done.stdout.strip())
    assert len(seen) == 1


@pytest.mark.parametrize("prefix", ["", "../x", "a b", "x" * 65, 'x";'])
def test_malformed_prefix_is_refused(prefix: str) -> None:
    """A prefix that could leave the folder or the script is refused."""
    with pytest.raises(ValueError, match="data_prefix"):
        render_page(blobs(), VisualizationConfig(), prefix)
