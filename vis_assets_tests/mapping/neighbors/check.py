"""Brute force, which is what every search is compared with."""

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.distances import pairwise_distances
from vis_assets.mapping.neighbors import Neighbors
from vis_assets.protocol.visualization_config import Metric
from vis_assets_tests.mapping.points import Vectors

Distances = npt.NDArray[np.float64]


def all_distances(vectors: Vectors, metric: Metric, rows: npt.NDArray[np.intp] | slice = slice(None)) -> Distances:
    """Distances of some rows to all points, (m, n); a point is infinitely far from itself."""
    distances = pairwise_distances(vectors[rows], vectors, metric)
    distances[np.arange(len(distances)), np.arange(len(vectors))[rows]] = np.inf
    return distances


def require_lists(found: Neighbors, count: int, length: int, tolerance: float = 0.0) -> None:
    """Whatever the search, lists are full, of other points, each once, nearest first."""
    assert found.ids.shape == found.distances.shape == (count, length)
    assert found.ids.dtype == np.int32
    assert found.distances.dtype == np.float32
    assert (np.diff(np.sort(found.ids, axis=1), axis=1) > 0).all()
    assert (found.ids != np.arange(count)[:, None]).all()
    assert found.ids.min() >= 0
    assert found.ids.max() < count
    assert np.isfinite(found.distances).all()
    assert found.distances.min() >= 0
    assert (np.diff(found.distances, axis=1) >= -tolerance).all()


def recall(found: Neighbors, distances: Distances, rows: npt.NDArray[np.intp] | slice = slice(None)) -> float:
    """Share of the neighbours that are as near as the k nearest, for rows whose distances to all are given."""
    length = found.ids.shape[1]
    bar = np.partition(distances, length - 1, axis=1)[:, length - 1]
    theirs = np.take_along_axis(distances, found.ids[rows].astype(np.intp), axis=1)
    return float((theirs <= bar[:, None] * (1 + 1e-5) + 1e-6).mean())
