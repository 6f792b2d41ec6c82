"""Each row of the option tables of document 000: its default, and a test that shows its effect."""

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.assets.graph import Graph, metadata
from vis_assets_tests.page.maps import read_meta

TESTS = Path(__file__).parent.parent

SPECIFIED = {
    "n_neighbors": 15,
    "min_dist": 0.1,
    "metric": "cosine",
    "min_cluster_size": 15,
    "min_samples": 5,
    "title": None,
    "sub_title": None,
    "width": "100%",
    "height": 800,
    "darkmode": False,
    "noise_label": "",
    "noise_color": "#999999",
    "inline_data": True,
    "color_label_text": True,
    "label_wrap_width": 16,
    "cluster_boundary_polygons": False,
    "enable_topic_tree": False,
    "llm_batch_size": 10,
    "samples_per_cluster": 5,
}
"""The tables of document 000: parameter and default."""

BESIDE = {
    "max_points": None,
    "payload_fields": None,
    "color_by": None,
    "write_back": False,
    "llm_sample_tokens": 64,
    "topic_names": None,
    "topic_language": None,
    "topic_naming_prompt": None,
    "reuse_names": True,
    "llm_budget_usd": None,
    "llm_budget_tokens": None,
}
"""Options of ours that the document does not have."""

LOOK = {
    "palette_hue_shift": 0.0,
    "palette_hue_radius_dependence": 1.0,
    "palette_theta_range": 0.19635,
    "cvd_safer": False,
    "use_medoids": False,
    "polygon_alpha": 0.1,
    "cluster_boundary_line_width": 1.0,
    "background_color": None,
    "background_image": None,
    "initial_zoom_fraction": 0.99,
    "title_font_size": 22,
    "sub_title_font_size": 13,
    "font_family": "Roboto",
    "font_weight": 600,
    "tooltip_font_family": "Roboto",
    "tooltip_font_weight": 400,
    "min_fontsize": 13.0,
    "max_fontsize": 20.0,
    "text_min_pixel_size": 12.0,
    "text_max_pixel_size": 28.0,
    "text_collision_size_scale": 3.0,
    "text_outline_width": 8.0,
    "text_outline_color": None,
    "line_spacing": 1.1,
    "logo": None,
    "logo_width": 160,
    "point_size_scale": None,
    "point_radius_min_pixels": 0.01,
    "point_radius_max_pixels": 24.0,
    "point_hover_color": "#aa0000bb",
    "point_line_width": 0.001,
    "point_line_width_min_pixels": 0.001,
    "point_line_width_max_pixels": 3.0,
}
"""Options of the Semantic Explorer platform for the look of a page, with defaults of ours."""

PLAIN = "page/test_render.py::test_every_plain_option_reaches_the_page"
SIZES = "page/test_render.py::test_sizes_and_fonts_become_styles"
PALETTE = "page/test_render.py::test_palette_options_change_colors"
IMAGES = "page/test_render.py::test_only_images_inside_the_job_reach_the_page"

NAMES = "assets/test_cluster_names.py"
SHOWN_BY = {
    **dict.fromkeys(LOOK, PLAIN),
    **dict.fromkeys(("title_font_size", "sub_title_font_size", "font_family", "logo_width"), SIZES),
    **dict.fromkeys(("tooltip_font_family", "tooltip_font_weight"), SIZES),
    **dict.fromkeys(
        ("palette_hue_shift", "palette_hue_radius_dependence", "palette_theta_range", "cvd_safer"), PALETTE
    ),
    **dict.fromkeys(("logo", "background_image"), IMAGES),
    "write_back": "assets/test_html_map.py::test_write_back_puts_topics_into_the_payload",
    "use_medoids": "page/test_render.py::test_medoids_put_names_on_points",
    "initial_zoom_fraction": "page/test_render.py::test_initial_zoom_fraction_leaves_points_out_of_the_first_view",
    "point_size_scale": "page/test_render.py::test_point_size_scale_changes_the_points",
    "point_hover_color": "page/test_render.py::test_hover_color_has_its_opacity",
    "payload_fields": "page/test_fields.py::test_payload_fields_are_shown_in_the_order_asked_for",
    "color_by": "page/test_fields.py::test_color_by_is_a_field_beside_those_asked_for",
    "max_points": "mapping/layout/test_layout.py::test_others_lie_by_their_neighbours",
    "n_neighbors": "mapping/layout/test_layout.py::test_n_neighbors_trades_detail_for_the_broad_picture",
    "min_dist": "mapping/layout/test_layout.py::test_min_dist_spreads_the_points",
    "metric": "mapping/layout/test_layout.py::test_cosine_brings_scaled_copies_together",
    "min_cluster_size": "mapping/clustering/test_clustering.py::test_min_cluster_size_drops_small_clusters",
    "min_samples": "mapping/clustering/test_clustering.py::test_min_samples_leaves_more_noise",
    "title": "page/test_render.py::test_title_names_the_page_and_stands_on_it",
    "sub_title": "page/test_render.py::test_sub_title_stands_on_the_page",
    "width": SIZES,
    "height": SIZES,
    "darkmode": PLAIN,
    "noise_label": PLAIN,
    "noise_color": "page/test_render.py::test_noise_color_paints_noise",
    "inline_data": "page/test_render.py::test_inline_data_puts_data_inside_or_beside",
    "color_label_text": PLAIN,
    "label_wrap_width": "page/test_render.py::test_label_wrap_width_breaks_labels",
    "cluster_boundary_polygons": "page/test_render.py::test_cluster_boundary_polygons_adds_outlines",
    "enable_topic_tree": PLAIN,
    "llm_batch_size": f"{NAMES}::test_llm_batch_size_is_how_many_a_request_names",
    "llm_sample_tokens": f"{NAMES}::test_llm_sample_tokens_cut_documents",
    "topic_names": f"{NAMES}::test_topic_names_says_what_makes_them",
    "topic_language": f"{NAMES}::test_topic_language_and_prompt_are_asked_with",
    "topic_naming_prompt": f"{NAMES}::test_topic_language_and_prompt_are_asked_with",
    "reuse_names": f"{NAMES}::test_reuse_names_keeps_them_or_asks_anew",
    "llm_budget_usd": f"{NAMES}::test_a_budget_of_nothing_asks_nobody",
    "llm_budget_tokens": f"{NAMES}::test_a_budget_of_nothing_asks_nobody",
    "samples_per_cluster": "assets/test_options.py::test_samples_per_cluster_is_how_many_examples_are_kept",
}
"""Parameter -> the test that shows its effect."""


def test_defaults_are_those_of_the_specification() -> None:
    """The options are the rows of 000, with its defaults, and those of ours."""
    assert VisualizationConfig().model_dump() == SPECIFIED | BESIDE | LOOK


@pytest.mark.parametrize("name", [*SPECIFIED, *BESIDE, *LOOK])
def test_a_test_shows_the_effect_of_each_option(name: str) -> None:
    """For every option there is a test that sets the option and looks at what changes."""
    file, _, test = SHOWN_BY[name].partition("::")
    source = (TESTS / file).read_text()
    functions = {node.name: node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)}
    assert test in functions
    assert name in (ast.get_source_segment(source, functions[test]) or "")


def four_clusters(graph: Graph) -> None:
    """A layout of four clusters of different sizes, and the points below it."""
    sizes = (40, 30, 20, 16)
    texts = [f"{word} number {i} of its kind" for i, word in enumerate(np.repeat(["ant", "bee", "cat", "dog"], sizes))]
    graph.fill(np.random.default_rng(1).normal(size=(sum(sizes), 4)).astype(np.float32), texts)
    centres = np.repeat(np.arange(4) * 20.0, sizes)
    noise = np.random.default_rng(0).normal(size=(sum(sizes), 2))
    graph.ask()
    assert graph.run("visualization_job", "vectors").success
    graph.place(np.stack([centres, centres], axis=1) + noise)


@pytest.mark.parametrize("samples", [1, 5, 25])
def test_samples_per_cluster_is_how_many_examples_are_kept(graph: Graph, samples: int) -> None:
    """`samples_per_cluster` typical points of each cluster are kept, fewer where it has fewer."""
    four_clusters(graph)
    graph.ask("s", samples_per_cluster=samples)
    result = graph.run("cluster_labels", "cluster_names")
    names, labels = result.asset_value("cluster_names"), result.asset_value("cluster_labels")
    assert len(names) == 4
    assert [len(ids) for ids in names["exemplar_ids"]] == [min(samples, size) for size in names["size"]]
    assert [len(texts) for texts in names["exemplar_texts"]] == [len(ids) for ids in names["exemplar_ids"]]
    cluster_of = dict(zip(labels["id"], labels["cluster"], strict=True))
    for cluster, ids in zip(names["cluster"], names["exemplar_ids"], strict=True):
        assert {cluster_of[point] for point in ids} == {cluster}


def test_clustering_options_reach_the_clusters(graph: Graph) -> None:
    """`min_cluster_size` and `min_samples` of the job are those that the clusters are made with."""
    four_clusters(graph)
    found = {}
    for size in (10, 35):
        graph.ask(f"c{size}", min_cluster_size=size, min_samples=3)
        result = graph.run("cluster_labels")
        found[size] = metadata(result, "cluster_labels")["cluster_count"]
    assert found[10] == 4
    assert found[35] < 4
    graph.ask("m", min_cluster_size=10, min_samples=9_999)
    assert any("min_samples" in note for note in metadata(graph.run("cluster_labels"), "cluster_labels")["notes"])


@pytest.mark.parametrize(
    ("config", "mark"),
    [
        ({"title": "A title of its own"}, "A title of its own"),
        ({"sub_title": "Under the title"}, "Under the title"),
        ({"width": "77%"}, "77%"),
        ({"height": 777}, "777px"),
    ],
)
def test_page_options_reach_the_page(graph: Graph, config: dict[str, Any], mark: str) -> None:
    """What the job says about the page stands in the stored page, and not in one without it."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    pages = []
    for options in ({}, config):
        graph.ask(**options)
        assert graph.run().success
        page = (graph.folder / "store/visualizations/o/7/8.html").read_bytes()
        pages.append(f"{page.decode()} {read_meta(page)}")
    assert mark not in pages[0]
    assert mark in pages[1]


@pytest.mark.parametrize("metric", ["euclidean", "cosine"])
def test_layout_options_reach_the_layout(graph: Graph, metric: str) -> None:
    """The metric of the job is that of the layout: copies of other lengths coincide by cosine only."""
    direction = np.linspace(1.0, 2.0, 3, dtype=np.float32)[:, None] * np.ones((1, 4), dtype=np.float32)
    graph.fill(direction)
    graph.ask(metric=metric, n_neighbors=2, min_dist=0.5)
    result = graph.run("visualization_job", "vectors", "embedding_2d")
    places = result.asset_value("embedding_2d")[["x", "y"]].to_numpy()
    assert (len(np.unique(places.round(4), axis=0)) == 1) is (metric == "cosine")
    said = metadata(result, "embedding_2d")
    assert (said["metric"], said["n_neighbors"], said["min_dist"]) == (metric, 2, 0.5)
