"""How good a map is, and how good the neighbour graph is that it was made from.

All measures ask one question, `rank_neighbors`: the how-manieth nearest in the vectors' space is a point that the map,
or the graph, has for a near one? On large maps a sample of rows is asked, each against all points.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from vis_assets.errors import PointsMismatch

NEIGHBORS = 15
FEWEST_SAMPLED = 2_000
PAIRS = 2_000_000_000
"""Distances calculated for one map, about; a quarter of a minute on two cores."""
SEED = 20240229
_BLOCK_BYTES = 128 * 2**20
_MISSING = -1

Distance = Literal["cosine", "euclidean"]
Floats = npt.NDArray[np.floating[Any]]
Ids = npt.NDArray[np.signedinteger[Any]]


@dataclass(frozen=True)
class Quality:
    """How well a map shows which vectors are near each other; shares from 0 to 1.

    Attributes:
        trustworthiness: 1 where all near points of the map are near vectors (Venna & Kaski 2001).
        neighbor_preservation: share of the nearest points on the map that are among the nearest vectors.
        knn_recall: share of the graph's neighbours that are among the nearest vectors; None without a graph.
        sampled_rows: how many points were asked; all of them on small maps.
    """

    trustworthiness: float
    neighbor_preservation: float
    knn_recall: float | None
    sampled_rows: int


def measure_quality(
    vectors: Floats,
    coordinates: npt.NDArray[np.float32],
    *,
    graph: Ids | None = None,
    metric: Distance = "cosine",
    n_neighbors: int = NEIGHBORS,
    most_rows: int | None = None,
    seed: int = SEED,
) -> Quality:
    """Measure a map, and the graph that it was made from.

    Args:
        vectors: (n, d), may be a read-only memory map; calculated in their own precision, so that distances that
            differ by less than its rounding are equal.
        coordinates: (n, 2) places on the map.
        graph: (n, k) ids of the neighbours that the layout was made from, without the point itself (`without_self`);
            -1 where one is missing.
        metric: distance between two vectors.
        n_neighbors: how many nearest points are looked at, the point itself not counted; below n / 2.
        most_rows: how many points are asked; if there are more points, a sample drawn with the seed. None asks so many
            that their distances to all points are 2 * 10^9, but at least 2,000: all of up to 44,000 points.
        seed: of the sample.

    Raises:
        PointsMismatch: rows differ in number, or there are too few of them.
    """
    count = len(vectors)
    if len(coordinates) != count or (graph is not None and len(graph) != count):
        raise PointsMismatch(f"{count} vectors, {len(coordinates)} places: quality needs rows of the same points")
    if count <= 2 * n_neighbors:
        raise PointsMismatch(f"{count} points are too few to measure {n_neighbors} neighbours; take more")
    rows = sample_rows(count, most_rows or max(FEWEST_SAMPLED, PAIRS // count), seed)
    on_map = map_neighbors(coordinates, rows, n_neighbors)
    in_graph = np.empty((len(rows), 0), dtype=np.int64) if graph is None else graph[rows].astype(np.int64)
    ranks = rank_neighbors(vectors, rows, np.hstack([on_map, in_graph]), metric)
    of_map, of_graph = ranks[:, :n_neighbors], ranks[:, n_neighbors:]
    return Quality(
        trustworthiness=trustworthiness(of_map, count),
        neighbor_preservation=share_among_nearest(of_map),
        knn_recall=None if graph is None else share_among_nearest(of_graph),
        sampled_rows=len(rows),
    )


def sample_rows(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    """Draw at most so many of `count` row numbers, ascending; all where there are not more."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False)).astype(np.int64)


def map_neighbors(
    coordinates: npt.NDArray[np.float32], rows: npt.NDArray[np.int64], n_neighbors: int
) -> npt.NDArray[np.int64]:
    """Find the nearest points on the map, (r, n_neighbors) ids, the nearest first and the point itself left out."""
    from scipy.spatial import cKDTree

    places = coordinates.astype(np.float64)
    found = cKDTree(places).query(places[rows], n_neighbors + 1)[1]
    return without_self(found, rows)


def without_self(ids: Ids, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Drop from each row of (r, k) ids the row's own id; where it is not there, as copies crowded it out, the last one.

    Returns:
        (r, k - 1) ids.
    """
    is_self = ids == rows[:, None]
    is_self[:, -1] |= ~is_self.any(axis=1)
    kept: npt.NDArray[np.int64] = ids[~is_self].reshape(len(ids), -1).astype(np.int64)
    return kept


def rank_neighbors(
    vectors: Floats, rows: npt.NDArray[np.int64], candidates: npt.NDArray[np.int64], metric: Distance = "cosine"
) -> npt.NDArray[np.int64]:
    """Count how many vectors are nearer than each candidate, by comparison with all of them.

    Vectors as near as the candidate, but for rounding, do not count, nor does the point itself: ranks start at 1.

    Args:
        vectors: (n, d), may be a read-only memory map; some 128 MB at once are used.
        rows: (r,) points that are asked.
        candidates: (r, c) ids whose ranks are wanted; -1 for none, which ranks last.
        metric: distance between two vectors.

    Returns:
        (r, c) ranks from 1 to n.
    """
    asked = _prepared(vectors[rows], metric)
    sought = np.stack([_distances_to_own(asked, vectors, ids, metric) for ids in candidates.T], axis=1)
    ranks = np.ones(candidates.shape, dtype=np.int64)
    for start in range(0, len(vectors), _rows_at_once(vectors, len(rows))):
        block = _prepared(vectors[start : start + _rows_at_once(vectors, len(rows))], metric)
        distances = _distances(asked, block)
        own = np.flatnonzero((rows >= start) & (rows < start + len(block)))
        distances[own, rows[own] - start] = np.inf
        distances.sort(axis=1)
        for row, sorted_distances in enumerate(distances):
            ranks[row] += sorted_distances.searchsorted(sought[row])
    ranks[candidates == _MISSING] = len(vectors)
    return ranks


def trustworthiness(ranks: npt.NDArray[np.int64], count: int) -> float:
    """Return 1 less a penalty for each near point on the map whose vector is none of the k nearest.

    Args:
        ranks: (r, k) ranks, among the vectors, of the k nearest points on the map.
        count: number of all points, above 2 k.
    """
    asked, k = ranks.shape
    excess = np.maximum(ranks - k, 0).sum()
    return float(1.0 - excess * 2.0 / (asked * k * (2.0 * count - 3.0 * k - 1.0)))


def share_among_nearest(ranks: npt.NDArray[np.int64]) -> float:
    """Return the share of (r, k) ranks that are at most k."""
    return float((ranks <= ranks.shape[1]).mean())


def _prepared(vectors: Floats, metric: Distance) -> Floats:
    """Rows as an array in memory, of unit length for cosine distance; zero rows stay."""
    block = np.asarray(vectors)
    if metric == "euclidean":
        return block
    lengths = np.linalg.norm(block, axis=1, keepdims=True)
    unit: Floats = np.divide(block, lengths, out=np.zeros_like(block), where=lengths > 0)
    return unit


def _distances(left: Floats, right: Floats) -> Floats:
    """Squared euclidean distances; between unit vectors they are twice the cosine distances."""
    products: Floats = left @ right.T
    products *= -2.0
    products += (left**2).sum(axis=1)[:, None]
    products += (right**2).sum(axis=1)
    return products


def _distances_to_own(asked: Floats, vectors: Floats, ids: npt.NDArray[np.int64], metric: Distance) -> Floats:
    """(r,) squared distances of each asked point to its own candidate, less what rounding may add."""
    others = _prepared(vectors[np.maximum(ids, 0)], metric)
    squares = (asked**2).sum(axis=1) + (others**2).sum(axis=1)
    rounding = 8 * np.finfo(asked.dtype).eps * squares
    return np.asarray(squares - 2.0 * np.einsum("ij,ij->i", asked, others) - rounding, dtype=asked.dtype)


def _rows_at_once(vectors: Floats, asked: int) -> int:
    row_bytes: int = vectors.itemsize * (asked + vectors.shape[1])
    return max(1, _BLOCK_BYTES // row_bytes)
