"""The clusters of every layer as the page draws them: name, place, extent, colours, outline."""

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.page import texts
from vis_assets.page.boundaries import outline_cluster
from vis_assets.page.content import NOISE, ClusterLayer, MapContent
from vis_assets.page.palette import (
    POINT_LIGHTNESS,
    TEXT_LIGHTNESS_ON_BLACK,
    TEXT_LIGHTNESS_ON_WHITE,
    Palette,
    color_clusters,
)
from vis_assets.protocol.visualization_config import VisualizationConfig

_KEYPHRASES = 8
_KEYPHRASE_CHARACTERS = 60
_MOST_LINES = 3
"""Lines of a name on the map; the whole name is in the tree and where the pointer rests on it."""
_EXTENT = (2.0, 98.0)
"""Percentiles of a cluster's places that make its box; single points far out would blow it up."""

Places = npt.NDArray[np.float32]
Description = dict[str, Any]


def describe_layers(
    content: MapContent, config: VisualizationConfig, places: Places, palette: Palette
) -> list[dict[str, list[Description]]]:
    """Describe all clusters, the finest layer first; the position of a cluster in its list is its label.

    Args:
        content: what is shown.
        config: how it is shown.
        places: (n, 2) places on the map.
        palette: how clusters are coloured.
    """
    layers = content.layers
    described = []
    for depth, layer in enumerate(layers):
        above = layers[depth + 1].labels if depth + 1 < len(layers) else None
        has_outlines = config.cluster_boundary_polygons and depth == 0
        described.append({"clusters": _describe(layer, above, config, places, palette, has_outlines)})
    return described


def _describe(
    layer: ClusterLayer,
    above: npt.NDArray[np.int32] | None,
    config: VisualizationConfig,
    places: Places,
    palette: Palette,
    has_outlines: bool,
) -> list[Description]:
    members = group_by_label(layer.labels, len(layer.names))
    centers = np.array([_center(places[rows], config.use_medoids) for rows in members]).reshape(-1, 2)
    lightnesses = (POINT_LIGHTNESS, TEXT_LIGHTNESS_ON_WHITE, TEXT_LIGHTNESS_ON_BLACK)
    points, on_white, on_black = (color_clusters(centers, lightness, palette) for lightness in lightnesses)
    found = []
    for label, (rows, name) in enumerate(zip(members, texts.display_names(layer.names), strict=True)):
        cluster: Description = {
            "name": name,
            "lines": _lines(name, config.label_wrap_width),
            "keyphrases": _keyphrases(layer, label),
            "size": len(rows),
            "x": round(float(centers[label, 0]), 4),
            "y": round(float(centers[label, 1]), 4),
            "box": _box(places[rows]),
            "color": points[label].tolist(),
            "inks": [on_white[label].tolist(), on_black[label].tolist()],
            "parent": _parent(above, rows),
        }
        outline = outline_cluster(places[rows]) if has_outlines and len(rows) else None
        if outline is not None:
            cluster["outline"] = np.round(outline, 4).tolist()
        found.append(cluster)
    return found


def _lines(name: str, width: int) -> list[str]:
    lines = texts.wrap_label(name, width).split("\n")
    if len(lines) <= _MOST_LINES:
        return lines
    return [*lines[: _MOST_LINES - 1], lines[_MOST_LINES - 1].rstrip(" ,;:.") + "…"]


def group_by_label(labels: npt.NDArray[np.int32], count: int) -> list[npt.NDArray[np.intp]]:
    """Row numbers of each of `count` clusters, in one sort.

    Args:
        labels: (n,) labels, -1 for none.
        count: number of clusters.
    """
    order = np.argsort(labels, kind="stable")
    edges = np.searchsorted(labels[order], np.arange(count + 1))
    return [order[start:end] for start, end in pairwise(edges)]


def _center(places: Places, is_medoid: bool) -> npt.NDArray[np.float64]:
    if len(places) == 0:
        return np.zeros(2)
    mean: npt.NDArray[np.float64] = places.mean(axis=0, dtype=np.float64)
    if not is_medoid:
        return mean
    nearest = int(np.square(places - mean).sum(axis=1).argmin())
    medoid: npt.NDArray[np.float64] = places[nearest].astype(np.float64)
    return medoid


def _box(places: Places) -> list[float]:
    if len(places) == 0:
        return [0.0, 0.0, 0.0, 0.0]
    low, high = np.percentile(places.astype(np.float64), _EXTENT, axis=0)
    return [round(float(edge), 4) for edge in (*low, *high)]


def _parent(above: npt.NDArray[np.int32] | None, rows: npt.NDArray[np.intp]) -> int:
    """The cluster of the next coarser layer that holds most of the points, -1 where most are in none."""
    if above is None or len(rows) == 0:
        return NOISE
    return int(np.bincount(above[rows] + 1).argmax()) - 1


def _keyphrases(layer: ClusterLayer, label: int) -> list[str]:
    if len(layer.keyphrases) == 0:
        return []
    phrases = layer.keyphrases[label][:_KEYPHRASES]
    return [texts.shorten(texts.clean(phrase), _KEYPHRASE_CHARACTERS) for phrase in phrases]
