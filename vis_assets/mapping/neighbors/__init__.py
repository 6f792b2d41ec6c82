"""Nearest neighbours of every point: exact for few points, by cells and neighbours of neighbours for many.

By angle (`cosine`, `dot`) and by Euclidean distance (`euclidean`, `minkowski` with p = 2) the search is ours; every
other metric is searched by the reference, pynndescent.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors.cells import OVERLAP, Cells, Centres, cut_large, find_centres, gather, thin_large
from vis_assets.mapping.neighbors.reference import neighbors_among_by_reference, neighbors_by_reference
from vis_assets.mapping.neighbors.search import (
    Lists,
    explore_part,
    explore_points,
    reverse_of,
    search_cells,
    search_part,
)
from vis_assets.mapping.neighbors.space import Coarse, Space
from vis_assets.mapping.threads import over_rows
from vis_assets.protocol.visualization_config import Metric

Spread = Callable[[Callable[..., Any], Sequence[tuple[Any, ...]]], Iterable[Any]]
"""Runs a function with each tuple of arguments, anywhere, and gives the results in order."""
OnShare = Callable[[float], None]
"""Called with the share of the work that is done, 0 to 1, growing."""

BY_ANGLE: frozenset[Metric] = frozenset({"cosine", "dot"})
BY_LENGTH: frozenset[Metric] = frozenset({"euclidean", "minkowski"})
SEARCHED = BY_ANGLE | BY_LENGTH
"""Metrics that the search here knows; the reference knows all."""
EXACT_UP_TO = 12_000
"""Points up to which comparing all with all is the faster way."""
_MEMBERS_PER_CELL = 500
_SHORTEST_LIST = 18
_SPARE = 2
"""Places behind the last that are measured exactly too, since those before were rounded."""
_EXPLORED = 18
_MOST_PASSES = 6
_SETTLED = 0.004
"""Share of list entries that a pass must renew for another to pay."""
_SHARE_OF_CELLS = 0.6
_PARTS = 8
_SLICES = 8


@dataclass(frozen=True)
class Neighbors:
    """The nearest neighbours of n points.

    Attributes:
        ids: (n, k) int32 rows, nearest first, without the point itself.
        distances: (n, k) float32, by the metric.
    """

    ids: npt.NDArray[np.int32]
    distances: npt.NDArray[np.float32]

    def nearest(self, count: int) -> "Neighbors":
        """The first of each list, `count` at most."""
        return Neighbors(np.ascontiguousarray(self.ids[:, :count]), np.ascontiguousarray(self.distances[:, :count]))


def find_neighbors(
    vectors: npt.NDArray[np.float32],
    neighbor_count: int,
    metric: Metric,
    *,
    seed: int = 0,
    spread: Spread | None = None,
    on_share: OnShare = lambda share: None,
) -> Neighbors:
    """Find the nearest neighbours of every point among all others.

    Above `EXACT_UP_TO` points the search is approximate; the same for the same input and seed, however many threads
    or workers there are.

    Args:
        vectors: (n, d) finite float32, n >= 2; may be a memory map.
        neighbor_count: k >= 1 without the point itself; at most n - 1 are found.
        metric: the distance.
        seed: of the sample that places the cells.
        spread: runs parts of the search elsewhere; None runs all here.
        on_share: told how far the search is.

    Returns:
        The neighbours.
    """
    wanted = min(neighbor_count, len(vectors) - 1)
    if metric not in SEARCHED:
        return Neighbors(*neighbors_by_reference(vectors, wanted, metric, seed))
    space = Space.of(vectors, by_angle=metric in BY_ANGLE)
    if len(space) <= max(EXACT_UP_TO, 4 * wanted):
        return _measured(space, _search_all(space, space, wanted, on_share))
    length = max(wanted, _SHORTEST_LIST)
    lists, order = _search_in_cells(space, length, seed, spread, _within(on_share, 0.0, _SHARE_OF_CELLS))
    here_or_spread = spread or space.coarse()
    done = _SHARE_OF_CELLS
    for _ in range(_MOST_PASSES):
        following = (1 + done) / 2
        lists = _explore(space, here_or_spread, order, lists, _within(on_share, done, following))
        done = following
        if lists.is_new.mean() < _SETTLED:
            break
    on_share(1.0)
    lists = lists.nearest(wanted + _SPARE)
    _rescore(space, space, lists)
    return _measured(space, _completed(space, space, lists, wanted))


def _within(on_share: OnShare, low: float, high: float) -> OnShare:
    """Where a stage reports that is one of several."""
    return lambda share: on_share(low + share * (high - low))


def find_neighbors_among(
    queries: npt.NDArray[np.float32],
    vectors: npt.NDArray[np.float32],
    neighbor_count: int,
    metric: Metric,
    *,
    seed: int = 0,
    on_share: OnShare = lambda share: None,
) -> Neighbors:
    """Find the nearest of some points for other points: ids are rows of `vectors`.

    Args:
        queries: (m, d) finite float32.
        vectors: (n, d) finite float32, the points to choose from.
        neighbor_count: k >= 1; at most n are found.
        metric: the distance.
        seed: of the sample that places the cells.
        on_share: told how far the search is.
    """
    wanted = min(neighbor_count, len(vectors))
    if metric not in SEARCHED:
        return Neighbors(*neighbors_among_by_reference(queries, vectors, wanted, metric, seed))
    base = Space.of(vectors, by_angle=metric in BY_ANGLE)
    seekers = Space.of(queries, by_angle=base.by_angle, centre=base.centre)
    base, seekers = base.beside(seekers), seekers.beside(base)
    if len(base) <= max(EXACT_UP_TO, 4 * wanted):
        return _measured(base, _search_all(seekers, base, wanted, on_share))
    generator = np.random.default_rng(seed)
    centres = find_centres(base, _cell_count(len(base)), generator)
    cells, theirs = (gather(centres.nearest(space, OVERLAP), len(centres.places)) for space in (base, seekers))
    cells = thin_large(cells, generator)
    _, ids, values = search_cells(seekers, theirs, base, cells, wanted, (0, len(cells)), on_share)
    lists = Lists.fresh(ids, values)
    _rescore(seekers, base, lists)
    return _measured(base, _completed(seekers, base, lists, wanted))


def _cell_count(points: int) -> int:
    return max(OVERLAP, points * OVERLAP // _MEMBERS_PER_CELL)


def _search_all(queries: Space, base: Space, length: int, on_share: OnShare) -> Lists:
    """Compare all with all: one cell."""
    of_base, of_queries = (_one_cell(len(space)) for space in (base, queries))
    _, ids, values = search_cells(queries, of_queries, base, of_base, length, (0, 1), on_share)
    lists = Lists.fresh(ids, values)
    _rescore(queries, base, lists)
    return lists


def _one_cell(count: int) -> Cells:
    return Cells(np.arange(count, dtype=np.int32), np.zeros(count, np.int8), np.array([0, count], np.int64))


def _search_in_cells(
    space: Space, length: int, seed: int, spread: Spread | None, on_share: OnShare
) -> tuple[Lists, npt.NDArray[np.int32]]:
    """Lists from within the cells, and the rows ordered by cell."""
    generator = np.random.default_rng(seed)
    centres: Centres = find_centres(space, _cell_count(len(space)), generator)
    nearest = centres.nearest(space, OVERLAP)
    on_share(0.2)
    order = np.argsort(nearest[:, 0], kind="stable").astype(np.int32)
    cells = cut_large(gather(nearest, len(centres.places)), space, generator)
    searching = _within(on_share, 0.2, 1.0)
    if spread is None:
        _, ids, values = search_cells(space, cells, space, cells, length, (0, len(cells)), searching)
        return Lists.fresh(ids, values), order
    lists = Lists.empty(len(space), length)
    _merge_parts(spread, space, cells, lists, searching)
    return lists, order


def _merge_parts(spread: Spread, space: Space, cells: Cells, lists: Lists, on_share: OnShare) -> None:
    from vis_assets.mapping.neighbors.kernels import merge_lists

    packed = (cells.members, cells.ranks, cells.starts)
    edges = [len(cells) * part // _PARTS for part in range(_PARTS + 1)]
    calls = [
        (space.vectors, space.by_angle, packed, lists.ids.shape[1], first, last)
        for first, last in pairwise(edges)
        if first < last
    ]
    for done, (rows, ids, values) in enumerate(spread(search_part, calls), start=1):
        over_rows(merge_lists, len(rows), rows, ids, values, lists.ids, lists.values)
        on_share(done / len(calls))


def _explore(
    space: Space,
    here_or_spread: Coarse | Spread,
    order: npt.NDArray[np.int32],
    old: Lists,
    on_share: OnShare,
) -> Lists:
    """One pass among the neighbours of neighbours: here on the coarse form, or spread over workers that make it."""
    explored = min(_EXPLORED, old.ids.shape[1])
    new = Lists.empty(len(order), old.ids.shape[1])
    slices = np.array_split(order, _SLICES)
    if isinstance(here_or_spread, Coarse):
        reverse = reverse_of(old, explored)
        for done, rows in enumerate(slices, start=1):
            explore_points(here_or_spread, rows, rows, old, reverse, explored, new)
            on_share(done / _SLICES)
        return new
    calls = [(space.vectors, space.by_angle, rows, tuple(old), explored) for rows in slices]
    for done, (rows, part) in enumerate(zip(slices, here_or_spread(explore_part, calls), strict=True), start=1):
        for whole, piece in zip(new, part, strict=True):
            whole[rows] = piece
        on_share(done / _SLICES)
    return new


def _completed(queries: Space, base: Space, lists: Lists, wanted: int) -> Lists:
    """Search among all for those whose cells were too small to fill their lists."""
    lacking = np.flatnonzero(np.isinf(lists.values[:, wanted - 1])).astype(np.int32)
    if len(lacking) > 0:
        alone = Cells(lacking, np.zeros(len(lacking), np.int8), np.array([0, len(lacking)], np.int64))
        rows, ids, values = search_cells(queries, alone, base, _one_cell(len(base)), wanted, (0, 1))
        lists.ids[rows, :wanted], lists.values[rows, :wanted] = ids, values
        _rescore(queries, base, lists)
    return lists.nearest(wanted)


def _rescore(queries: Space, base: Space, lists: Lists) -> None:
    """Replace the values that matrix products rounded by exact ones."""
    from vis_assets.mapping.neighbors.kernels import rescore

    spaces = (base.vectors, base.scales, base.by_angle, queries.vectors, queries.scales)
    over_rows(rescore, len(lists.ids), *spaces, lists.ids, lists.values)


def _measured(base: Space, lists: Lists) -> Neighbors:
    """Turn values into distances."""
    values = lists.values
    return Neighbors(lists.ids, np.maximum(1 + values, 0) if base.by_angle else np.sqrt(values))


__all__ = ["BY_ANGLE", "SEARCHED", "Neighbors", "Spread", "find_neighbors", "find_neighbors_among"]
