"""The search itself, in parts that can run on different machines: first within cells, then among neighbours.

What a part returns does not depend on how many parts there are, so that any number of workers finds the same graph.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors.cells import Cells
from vis_assets.mapping.neighbors.space import Coarse, Space
from vis_assets.mapping.threads import in_threads, over_rows

NOBODY = np.iinfo(np.int32).max
"""Fills empty places of lists; sorts behind every id."""
_QUERIES_AT_ONCE = 1_024
_MOST_REVERSE = 16

Ids = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]


class Lists(NamedTuple):
    """Lists of near points, sorted: ids (n, k) int32, values (n, k) float32, and whether the last pass found each."""

    ids: Ids
    values: Values
    is_new: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, count: int, length: int) -> "Lists":
        """Lists that hold nobody."""
        shape = (count, length)
        return cls(np.full(shape, NOBODY, np.int32), np.full(shape, np.inf, np.float32), np.ones(shape, np.bool_))


def search_cells(
    queries: Space, query_cells: Cells, base: Space, base_cells: Cells, length: int, first: int, last: int
) -> Iterator[tuple[int, tuple[npt.NDArray[np.int32], Ids, Values]]]:
    """Compare the queries of some cells with all members of the same cells.

    Args:
        queries: whose neighbours are sought; the same object as `base` where points seek each other.
        query_cells: cells of the queries.
        base: among whom they are sought.
        base_cells: cells of the base, by the same centres.
        length: of the lists.
        first: first cell.
        last: the one after the last.

    Yields:
        After every rank: how many of the ranks are done, and (rows of the queries in these cells, their ids, values).
    """
    from vis_assets.mapping.neighbors.kernels import keep_nearest

    inside = query_cells.members[query_cells.starts[first] : query_cells.starts[last]]
    rows = np.unique(inside)
    lists = Lists.empty(len(rows), length)

    def offer(task: tuple[int, Ids]) -> None:
        cell, seekers = task
        candidates = base_cells.of(cell)[0]
        own = seekers if queries is base else np.full(len(seekers), -1, np.int32)
        products = queries.rows(seekers) @ base.rows(candidates).T
        places = np.searchsorted(rows, seekers).astype(np.int32)
        keep_nearest(products, base.half_squares[candidates], own, places, candidates, lists.ids, lists.values)

    ranks = int(query_cells.ranks.max()) + 1
    for rank in range(ranks):  # within one rank no row comes twice, so no two threads write to one list
        for _ in in_threads(offer, _tasks(query_cells, rank, first, last)):
            pass
        yield rank + 1, (rows.astype(np.int32), lists.ids, lists.values)


def _tasks(cells: Cells, rank: int, first: int, last: int) -> Iterator[tuple[int, Ids]]:
    for cell in range(first, last):
        members, ranks = cells.of(cell)
        seekers = members[ranks == rank]
        for start in range(0, len(seekers), _QUERIES_AT_ONCE):
            yield cell, seekers[start : start + _QUERIES_AT_ONCE]


def search_part(
    vectors: Values, by_angle: bool, cells: tuple[Any, Any, Any], length: int, first: int, last: int
) -> tuple[Ids, Ids, Values]:
    """One part of the search of points for each other: rows, ids and values of the points of some cells."""
    space, of_cells = Space.of(vectors, by_angle=by_angle), Cells(*cells)
    *_, (_, found) = search_cells(space, of_cells, space, of_cells, length, first, last)
    return found


def explore_part(vectors: Values, by_angle: bool, chosen: Ids, old: tuple[Any, Any, Any], explored: int) -> Lists:
    """One part of a pass among the neighbours of neighbours: new lists of the chosen points."""
    lists = Lists(*old)
    new = Lists.empty(len(chosen), lists.ids.shape[1])
    places = np.arange(len(chosen), dtype=np.int32)
    space = Space.of(vectors, by_angle=by_angle)
    explore_points(space.coarse(), chosen, places, lists, reverse_of(lists, explored), explored, new)
    return new


def explore_points(
    coarse: Coarse, chosen: Ids, targets: Ids, old: Lists, reverse: Any, explored: int, new: Lists
) -> None:
    """Write new lists of some points, with the nearest of what they had and of the neighbours of their neighbours.

    Args:
        coarse: the vectors, in the form in which they are fastest to compare.
        chosen: (m,) rows, near ones after each other.
        targets: (m,) places in `new`.
        old: the lists so far, of all points.
        reverse: what `reverse_of` says of them.
        explored: how many neighbours of a point are followed.
        new: is written to.
    """
    from vis_assets.mapping.neighbors.kernels import explore

    over_rows(explore, len(chosen), tuple(coarse), chosen, targets, explored, tuple(old), reverse, tuple(new))


def reverse_of(lists: Lists, explored: int) -> Any:
    """Who has each point among its nearest, as `kernels.explore` takes it."""
    from vis_assets.mapping.neighbors.kernels import reverse_lists

    return reverse_lists(*(np.ascontiguousarray(part[:, :explored].T) for part in lists), _MOST_REVERSE)
