"""Neighbours by any metric: all pairs for few points, pynndescent for more."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.distances import pairwise_distances
from vis_assets.protocol.visualization_config import Metric

ALL_PAIRS_UP_TO = 2_048
_ROWS_AT_ONCE = 256

Found = tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]


def neighbors_by_reference(vectors: npt.NDArray[np.float32], neighbor_count: int, metric: Metric, seed: int) -> Found:
    """The nearest of each point among the others: ids (n, k) int32 and distances (n, k) float32, nearest first."""
    if len(vectors) <= max(ALL_PAIRS_UP_TO, 4 * neighbor_count):
        return _all_pairs(vectors, vectors, neighbor_count, metric, own=np.arange(len(vectors)))
    ids, distances = _index(vectors, neighbor_count + 1, metric, seed).neighbor_graph
    found = _without_self(ids.astype(np.int32), distances.astype(np.float32))
    return _completed(vectors, vectors, found, metric, are_same=True)


def neighbors_among_by_reference(
    queries: npt.NDArray[np.float32], vectors: npt.NDArray[np.float32], neighbor_count: int, metric: Metric, seed: int
) -> Found:
    """The nearest of each query among the vectors: ids (m, k) int32 and distances (m, k) float32, nearest first."""
    if len(vectors) <= max(ALL_PAIRS_UP_TO, 4 * neighbor_count):
        return _all_pairs(queries, vectors, neighbor_count, metric, own=None)
    ids, distances = _index(vectors, neighbor_count + 1, metric, seed).query(queries, k=neighbor_count)
    found = ids.astype(np.int32), distances.astype(np.float32)
    return _completed(queries, vectors, found, metric, are_same=False)


def _index(vectors: npt.NDArray[np.float32], neighbor_count: int, metric: Metric, seed: int) -> Any:
    from pynndescent import NNDescent

    return NNDescent(vectors, n_neighbors=neighbor_count, metric=metric, random_state=seed, low_memory=True)


def _without_self(ids: npt.NDArray[np.int32], distances: npt.NDArray[np.float32]) -> Found:
    """Drop each point from its own list, or the last of the list where it is not in it."""
    is_self = ids == np.arange(len(ids))[:, None]
    is_self[~is_self.any(axis=1), -1] = True
    kept = ~is_self
    shape = (len(ids), ids.shape[1] - 1)
    return ids[kept].reshape(shape), distances[kept].reshape(shape)


def _completed(
    queries: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    found: Found,
    metric: Metric,
    *,
    are_same: bool,
) -> Found:
    """Compare with all where pynndescent found too few (-1), or a distance that is no number."""
    ids, distances = found
    lacking = np.flatnonzero((ids < 0).any(axis=1) | ~np.isfinite(distances).all(axis=1))
    if len(lacking) > 0:
        rows = lacking if are_same else None
        ids[lacking], distances[lacking] = _all_pairs(queries[lacking], vectors, ids.shape[1], metric, own=rows)
    return ids, distances


def _all_pairs(
    queries: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    neighbor_count: int,
    metric: Metric,
    *,
    own: npt.NDArray[np.intp] | None,
) -> Found:
    """Compare all with all; `own` are the rows of the queries among the vectors, which they must not find."""
    ids = np.empty((len(queries), neighbor_count), np.int32)
    distances = np.empty(ids.shape, np.float32)
    for start in range(0, len(queries), _ROWS_AT_ONCE):
        block = pairwise_distances(queries[start : start + _ROWS_AT_ONCE], vectors, metric)
        rows = slice(start, start + len(block))
        if own is not None:
            block[np.arange(len(block)), own[rows]] = np.inf
        ids[rows] = np.argsort(block, axis=1, kind="stable")[:, :neighbor_count]
        distances[rows] = np.take_along_axis(block, ids[rows].astype(np.intp), 1)
    return ids, distances
