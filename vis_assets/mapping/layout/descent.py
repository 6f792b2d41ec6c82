"""From a graph of neighbours to places: the fuzzy graph and the descent of UMAP (McInnes, Healy & Melville 2018).

Places move block by block: within a block every point sees the others where they were before, which makes the outcome
independent of threads, and the blocks are small enough that this does not slow the descent.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors import Neighbors
from vis_assets.mapping.threads import Rows, over_rows

Places = npt.NDArray[np.float32]
OnShare = Callable[[float], None]

MANY_POINTS = 10_000
EPOCHS_OF_FEW = 300
EPOCHS_OF_MANY = 125
EPOCHS_OF_PLACED = 60
"""Epochs for points that come to a finished layout."""
_MOST_BLOCKS = 16
_ROWS_PER_BLOCK = 8_192
_POOL = 65_536
_TABLE_BITS = 6
_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -30, 20


class Edges(NamedTuple):
    """The fuzzy graph, the edges of one point after those of another.

    Attributes:
        starts: (n + 1,) int64, where the edges of each point begin.
        ends: (m,) int32, their other ends.
        weights: (m,) float32, above 0 to 1.
    """

    starts: npt.NDArray[np.int64]
    ends: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]


def epochs_for(count: int) -> int:
    """Epochs of the descent: few points need more, as with umap-learn (500 and 200 there)."""
    return EPOCHS_OF_FEW if count <= MANY_POINTS else EPOCHS_OF_MANY


def fuzzy_graph(neighbors: Neighbors, epochs: int) -> Edges:
    """Weigh the edges by how firmly their ends hold each other, without those too weak to pull in `epochs` epochs."""
    from vis_assets.mapping.layout.kernels import count_united, turn_around, unite

    count, ids, weights = len(neighbors.ids), neighbors.ids.copy(), _membership(neighbors)
    both = (ids, weights, *turn_around(ids, weights, count), np.float32(1 / epochs))
    starts = np.zeros(count + 1, np.int64)
    over_rows(count_united, count, *both, starts[1:])
    np.cumsum(starts, out=starts)
    ends, united = np.empty(starts[-1], np.int32), np.empty(starts[-1], np.float32)
    over_rows(unite, count, *both, starts, ends, united)
    return Edges(starts, ends, united)


def edges_to(neighbors: Neighbors, fixed_count: int) -> Edges:
    """The edges of points that come to `fixed_count` placed ones: their own to those; the placed ones have none."""
    count, length = neighbors.ids.shape
    starts = np.concatenate([np.zeros(fixed_count, np.int64), np.arange(count + 1, dtype=np.int64) * length])
    return Edges(starts, neighbors.ids.ravel(), _membership(neighbors).ravel())


def _membership(neighbors: Neighbors) -> npt.NDArray[np.float32]:
    from vis_assets.mapping.layout.kernels import membership

    weights = np.empty(neighbors.distances.shape, np.float32)
    over_rows(membership, len(weights), neighbors.distances, float(neighbors.distances.mean()), weights)
    return weights


def descend(
    places: Places, edges: Edges, *, min_dist: float, epochs: int, seed: int, first: int = 0, on_share: OnShare
) -> Places:
    """Move points until neighbours are close and others are not.

    Args:
        places: (n, 2) float32, where to start; not written to.
        edges: of all points.
        min_dist: how close two points may lie.
        epochs: how often every point is moved.
        seed: of the random numbers.
        first: the first point that may move.
        on_share: told after every epoch how far the descent is, 0 to 1.

    Returns:
        (n, 2) float32 places.
    """
    from vis_assets.mapping.layout.kernels import descend as descend_once
    from vis_assets.mapping.layout.kernels import force_tables

    curve = fit_curve(min_dist)
    tables = force_tables(*curve, _LOWEST_EXPONENT, _HIGHEST_EXPONENT, _TABLE_BITS)
    places, moved = places.copy(), places.copy()
    generator = np.random.default_rng(seed)
    blocks = min(max((len(places) - first) // _ROWS_PER_BLOCK, 1), _MOST_BLOCKS)
    marks = [first + (len(places) - first) * block // blocks for block in range(blocks + 1)]
    with Rows() as rows:
        for epoch in range(1, epochs + 1):
            step = (_LOWEST_EXPONENT, _TABLE_BITS, epoch, seed, np.float32(1 - (epoch - 1) / epochs))
            pool = _pool(places, generator)
            for start, stop in pairwise(marks):
                rows.run(descend_once, start, stop, places, moved, tuple(edges), pool, tables, *step)
                places[start:stop] = moved[start:stop]
            on_share(epoch / epochs)
    return places


def _pool(places: Places, generator: np.random.Generator) -> Places:
    """Points that push: all, or so many that a cache holds them."""
    if len(places) <= _POOL:
        return places.reshape(-1)  # a view: sees every block move
    # A stretch from a random place, every so many points on: random enough, since rows come in no order of places.
    stride = len(places) // _POOL
    offset = int(generator.integers(len(places)))
    chosen = (offset + np.arange(_POOL) * stride) % len(places)
    return places[chosen].reshape(-1)


def fit_curve(min_dist: float) -> tuple[float, float]:
    """Fit a and b of 1 / (1 + a d^2b) to a curve that is 1 up to `min_dist` and falls exponentially from there."""
    from scipy.optimize import curve_fit

    distances = np.linspace(0, 3.0, 300)
    wanted = np.where(distances < min_dist, 1.0, np.exp(-(distances - min_dist)))
    (a, b), _ = curve_fit(lambda d, a, b: 1.0 / (1.0 + a * d ** (2 * b)), distances, wanted)
    return float(a), float(b)
