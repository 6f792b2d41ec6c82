"""Layouts without neighbours: too few points for a graph, or points that all coincide."""

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.distances import pairwise_distances
from vis_assets.protocol.visualization_config import Metric

_ANGULAR = frozenset({"cosine", "dot", "correlation"})
_ROUNDING = 1e-10  # cosine distance between copies of a float32 vector that differ in length only
_ROWS_AT_ONCE = 16_384


def all_coincide(vectors: npt.NDArray[np.float32], metric: Metric) -> bool:
    """Whether all vectors are the same by a metric."""
    tolerance = _ROUNDING if metric in _ANGULAR else 0.0
    steps = [(1, 64), *((start, start + _ROWS_AT_ONCE) for start in range(64, len(vectors), _ROWS_AT_ONCE))]
    blocks = (pairwise_distances(vectors[:1], vectors[first:last], metric) for first, last in steps)
    return all(bool((block <= tolerance).all()) for block in blocks)


def scale_distances(vectors: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float32]:
    """Place n points by classical multidimensional scaling (Torgerson 1952): (n, 2), the largest coordinate 1."""
    distances = pairwise_distances(vectors, vectors, metric)
    largest = distances.max()
    centring = np.eye(len(distances)) - 1.0 / len(distances)
    values, directions = np.linalg.eigh(-0.5 * centring @ (distances / largest) ** 2 @ centring)
    coordinates = np.zeros((len(distances), 2))
    kept = min(2, len(distances))
    coordinates[:, :kept] = (directions * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, :kept]
    return np.asarray(coordinates / np.abs(coordinates).max(), dtype=np.float32)
