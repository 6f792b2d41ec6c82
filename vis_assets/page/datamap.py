"""The one place that calls datamapplot: from the map's data to the page that the library writes."""

import base64
import contextlib
import math
import os
import re
import tempfile
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed
from vis_assets.page import texts
from vis_assets.page.boundaries import outline_cluster
from vis_assets.page.content import MapContent
from vis_assets.page.library import load_render_html
from vis_assets.page.packing import pack_points, pack_texts
from vis_assets.page.palette import (
    POINT_LIGHTNESS,
    TEXT_LIGHTNESS_ON_BLACK,
    TEXT_LIGHTNESS_ON_WHITE,
    color_clusters,
    color_points,
    parse_hex_color,
)
from vis_assets.protocol.visualization_config import VisualizationConfig

if TYPE_CHECKING:
    import pandas as pd

MAP_SPAN = 30.0
"""Longer side of the map in the page's own units, as datamapplot has it."""
FONT = "Roboto"
NOISE_KEY = "vis-assets-noise"
"""Stands for noise inside the page's script, where the real name would have to be trusted."""
_SHOW_ALL_BELOW = 2_000
_FIRST_VIEW_FRACTION = 0.99
"""Share of the points in the first view; the farthest would make the others small."""
_OUTLINE_OPACITY = 170
_OPACITY = 180
_TEXTS_A_BATCH = 8_192
_DATA_IN_PAGE = re.compile(r'(const (point|hover)DataEncoded = ")[^"]*(?=";)')
_POINT_FILE, _TEXT_FILE = "point_data_0.zip", "meta_data_0.zip"
_environment = threading.Lock()


@dataclass(frozen=True)
class RawPage:
    """What datamapplot wrote around the data.

    Attributes:
        html: the page, not yet fit for use, with nothing where `data` belongs.
        data: base64 of what belongs between the quotes after `const {name}DataEncoded = `, by that name.
        files: name and content of what lies beside it.
    """

    html: str
    data: dict[str, bytes]
    files: dict[str, bytes]


def draw_raw_page(content: MapContent, config: VisualizationConfig, names: list[str], prefix: str) -> RawPage:
    """Have datamapplot write the page, and pack the data for it.

    The library is shown the corners of the map only: packing is ours, since the library's own copies all texts five
    times and compresses them on one processor.

    Args:
        content: what to show.
        config: how to show it.
        names: display names of the clusters.
        prefix: start of the names of the files beside the page.

    Raises:
        ComputeFailed: datamapplot failed.
    """
    import jinja2

    failures = (ValueError, TypeError, LookupError, ArithmeticError, AssertionError, OSError, MemoryError, RuntimeError)
    try:
        return _draw(content, config, names, prefix)
    except (*failures, jinja2.TemplateError) as error:
        raise ComputeFailed(
            f"datamapplot could not draw a page of {len(content.labels)} points and {len(names)} clusters: "
            f"{type(error).__name__}: {error}"
        ) from error


def _draw(content: MapContent, config: VisualizationConfig, names: list[str], prefix: str) -> RawPage:
    places = scale_to_map(content.coordinates)
    html, files = _write_frame(content, config, places, names, prefix)
    points = pack_points(places, _color_points(content, config))
    hover = pack_texts(name_points(content, names, config.noise_label))
    if not config.inline_data:
        return RawPage(html, {}, files | {f"{prefix}_{_POINT_FILE}": points, f"{prefix}_{_TEXT_FILE}": hover})
    empty, found = _DATA_IN_PAGE.subn(lambda match: match[1], html)
    if found != len(data := {"point": base64.b64encode(points), "hover": base64.b64encode(hover)}):
        raise ComputeFailed("this datamapplot holds a page's data elsewhere; install the version in constraints.txt")
    return RawPage(empty, data, files)


def _write_frame(
    content: MapContent, config: VisualizationConfig, places: npt.NDArray[np.float32], names: list[str], prefix: str
) -> tuple[str, dict[str, bytes]]:
    """Have datamapplot write a page that shows the corners of the first view; the files beside it by name."""
    corners = _first_view(places)
    with _private_folders() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        page = load_render_html()(
            _frame_corners(corners),
            _frame_labels(content, config, places, names),
            inline_data=config.inline_data,
            offline_data_path=str(folder / prefix),
            title=texts.escape(config.title or "") or ("\u200b" if config.sub_title else None),
            sub_title=texts.escape(config.sub_title or ""),
            title_font_size=22,
            sub_title_font_size=13,
            font_family=FONT,
            color_label_text=config.color_label_text,
            darkmode=config.darkmode,
            noise_color=config.noise_color,
            noise_label=NOISE_KEY,
            cluster_boundary_line_width=3.0,
            initial_zoom_fraction=1.0,
            point_size_scale=_point_size_scale(places, corners),
            text_min_pixel_size=12,
            text_max_pixel_size=28,
            min_fontsize=13,
            max_fontsize=20,
            enable_search=True,
            enable_topic_tree=config.enable_topic_tree,
            topic_tree_kwds={"title": "Topics", "color_bullets": True},
            offline_mode=True,
            offline_mode_js_data_file=str(folder / "none.json"),
            offline_mode_font_data_file=str(folder / "none.json"),
        )
        files = {file.name: file.read_bytes() for file in sorted(folder.glob(f"{prefix}_*.zip"))}
    return str(page), files


@contextlib.contextmanager
def _private_folders() -> Iterator[Path]:
    """Give datamapplot an empty library cache and settings folder of its own.

    Otherwise it asks the network for what is not in the user's home, and takes settings from there. Its paths come from
    the environment only, so one page is drawn at a time.
    """
    with _environment, tempfile.TemporaryDirectory(prefix="vis-assets-page-") as name:
        folder = Path(name)
        (folder / "datamapplot").mkdir()
        for file in ("none.json", "datamapplot/datamapplot_css_encoded.json"):
            (folder / file).write_text("{}")
        before = {key: os.environ.get(key) for key in ("XDG_DATA_HOME", "XDG_CONFIG_HOME")}
        os.environ.update(dict.fromkeys(before, name))
        try:
            yield folder
        finally:
            for key, value in before.items():
                if value is None:
                    os.environ.pop(key, None)
                else:
                    os.environ[key] = value


def scale_to_map(coordinates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Centre coordinates and give their bulk the span of the map; points all in one place go to its middle."""
    exact = coordinates.astype(np.float64)
    low, high = (
        np.percentile(exact, [0.05, 99.95], axis=0) if len(exact) >= _SHOW_ALL_BELOW else (exact.min(0), exact.max(0))
    )
    span = float(np.max(high - low))
    if span <= 1e-9 * max(1.0, float(np.abs(exact).max())):
        return np.zeros_like(coordinates)
    places: npt.NDArray[np.float32] = ((exact - (low + high) / 2) * (MAP_SPAN / span)).astype(np.float32)
    return places


def _first_view(places: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Lower left and upper right corner of what the page shows first, (2, 2)."""
    shown = places
    if len(places) >= _SHOW_ALL_BELOW:
        offsets = places - places.mean(axis=0)
        kept = int(len(places) * _FIRST_VIEW_FRACTION)
        shown = places[np.argpartition((offsets**4).sum(axis=1), kept - 1)[:kept]]  # datamapplot's measure
    return np.stack([shown.min(axis=0), shown.max(axis=0)])


def _point_size_scale(places: npt.NDArray[np.float32], corners: npt.NDArray[np.float32]) -> float:
    """Size of points in hundredths of a pixel at zoom 0: datamapplot's own, where that is not too small or zero."""
    if len(places) < _SHOW_ALL_BELOW:
        return 12.0 + 6.0 * math.log10(_SHOW_ALL_BELOW / len(places))
    if np.ptp(places, axis=0).min() < 0.02 * MAP_SPAN:
        return 6.0
    width, height = ((corners[1] - corners[0]) * 1.02).tolist()  # 1 % of padding on each side
    share = 32 * 4 ** -math.log10(len(places))
    return 100 * math.sqrt(width * height) / 25 * min(max(share, 0.005), 0.1)


def _color_points(content: MapContent, config: VisualizationConfig) -> npt.NDArray[np.uint8]:
    """Colour and opacity of each point, (n, 4)."""
    clusters = color_clusters(content.cluster_centers, POINT_LIGHTNESS)
    colors = color_points(content.labels, clusters, parse_hex_color(config.noise_color))
    return np.concatenate([colors, np.full((len(colors), 1), _OPACITY, dtype=np.uint8)], axis=1)


def _frame_corners(corners: npt.NDArray[np.float32]) -> "pd.DataFrame":
    """Points as datamapplot takes them, standing for all: place, colour, text."""
    import pandas as pd

    frame = pd.DataFrame({"x": corners[:, 0], "y": corners[:, 1], "hover_text": pd.Series(["", ""], dtype=object)})
    frame[["r", "g", "b", "a"]] = np.uint8(0)
    return frame


def _frame_labels(
    content: MapContent, config: VisualizationConfig, places: npt.NDArray[np.float32], names: list[str]
) -> "pd.DataFrame":
    """Labels as datamapplot takes them: text, place, size, colour; outline and bounds where asked for."""
    import pandas as pd

    on_map = MapContent(places, content.labels, content.cluster_names, content.hover_texts)
    shown = np.flatnonzero(content.cluster_sizes)
    centers = on_map.cluster_centers
    frame = pd.DataFrame(
        {
            "label": pd.Series([texts.wrap_label(names[i], config.label_wrap_width) for i in shown], dtype=object),
            "x": centers[shown, 0],
            "y": centers[shown, 1],
            "size": content.cluster_sizes[shown] ** 0.25,
        }
    )
    lightness = TEXT_LIGHTNESS_ON_BLACK if config.darkmode else TEXT_LIGHTNESS_ON_WHITE
    frame[["r", "g", "b"]] = color_clusters(content.cluster_centers, lightness)[shown].astype(np.int64)
    frame["a"] = _OUTLINE_OPACITY
    if config.cluster_boundary_polygons or config.enable_topic_tree:
        members = _group_by_label(content.labels, shown)
        if config.cluster_boundary_polygons:
            frame["polygon"] = pd.Series([_polygon(places[rows]) for rows in members], dtype=object)
        if config.enable_topic_tree:
            _add_tree(frame, content, places, members)
    return frame


def _add_tree(
    frame: "pd.DataFrame", content: MapContent, places: npt.NDArray[np.float32], members: list[npt.NDArray[np.intp]]
) -> None:
    """Add what datamapplot's topic tree reads: ids, parents and the box to zoom to."""
    frame["bounds"] = [
        [float(edge) for axis in (0, 1) for edge in (places[rows, axis].min(), places[rows, axis].max())]
        for rows in members
    ]
    frame["id"] = [f"base_{i}" for i in range(len(frame))]
    frame["parent"] = "base"
    frame["lowest_layer"] = True


def _polygon(points: npt.NDArray[np.float32]) -> list[list[list[float]]] | None:
    outline = outline_cluster(points)
    return None if outline is None else [outline]


def _group_by_label(labels: npt.NDArray[np.int32], shown: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each cluster in `shown`, in one sort."""
    order = np.argsort(labels, kind="stable")
    sorted_labels = labels[order]
    starts = np.searchsorted(sorted_labels, shown, side="left")
    ends = np.searchsorted(sorted_labels, shown, side="right")
    return [order[start:end] for start, end in zip(starts, ends, strict=True)]


def name_points(content: MapContent, names: list[str], noise_label: str) -> Iterator[list[str]]:
    """Text of each point: its topic, then its own text, so that both can be read and searched for; in batches."""
    limit = texts.hover_limit(len(content.hover_texts))
    topics = [*names, texts.clean(noise_label)]  # label -1 picks the last
    for first in range(0, len(content.hover_texts), _TEXTS_A_BATCH):
        batch = slice(first, first + _TEXTS_A_BATCH)
        labels, own = content.labels[batch].tolist(), content.hover_texts[batch]
        bodies = (texts.clean_start(text, limit) for text in own)
        yield [
            f"{topics[label]}\n{body}" if body and topics[label] else topics[label] or body
            for label, body in zip(labels, bodies, strict=True)
        ]
