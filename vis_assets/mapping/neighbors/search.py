"""The search itself, in parts that can run on different machines: first within cells, then among neighbours.

What a part returns does not depend on how many parts there are, so that any number of workers finds the same graph.
"""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors.cells import Cells
from vis_assets.mapping.neighbors.space import Coarse, Space
from vis_assets.mapping.threads import in_threads, over_rows

NOBODY = np.iinfo(np.int32).max
"""Fills empty places of lists; sorts behind every id."""
_QUERIES_AT_ONCE = 1_024
_WHOLE_CELL = 3_000
"""Members of a cell up to which all are compared in one matrix product."""
_MOST_REVERSE = 16

Ids = npt.NDArray[np.int32]
Values = npt.NDArray[np.float32]
OnShare = Callable[[float], None]


class Lists(NamedTuple):
    """Lists of near points, sorted: ids (n, k) int32, values (n, k) float32, and whether the last pass found each."""

    ids: Ids
    values: Values
    is_new: npt.NDArray[np.bool_]

    @classmethod
    def empty(cls, count: int, length: int) -> "Lists":
        """Lists that hold nobody."""
        shape = (count, length)
        return cls.fresh(np.full(shape, NOBODY, np.int32), np.full(shape, np.inf, np.float32))

    @classmethod
    def fresh(cls, ids: Ids, values: Values) -> "Lists":
        """Lists of which all was just found."""
        return cls(ids, values, np.ones(ids.shape, np.bool_))

    def nearest(self, count: int) -> "Lists":
        """The first `count` places of each list."""
        kept = slice(0, count)
        return Lists(self.ids[:, kept].copy(), self.values[:, kept].copy(), self.is_new[:, kept].copy())


def search_cells(
    queries: Space,
    query_cells: Cells,
    base: Space,
    base_cells: Cells,
    length: int,
    span: tuple[int, int],
    on_share: OnShare = lambda share: None,
) -> tuple[Ids, Ids, Values]:
    """Compare the queries of some cells with all members of the same cells.

    Args:
        queries: whose neighbours are sought; the same object as `base` where points seek each other.
        query_cells: cells of the queries.
        base: among whom they are sought.
        base_cells: cells of the base, by the same centres.
        length: of the lists.
        span: first cell, and the one after the last.
        on_share: told how far the search is.

    Returns:
        Rows of the queries in these cells (m,), ascending, their lists of ids (m, length) and of values (m, length).
    """
    from vis_assets.mapping.neighbors.kernels import keep_nearest, merge_lists

    inside = slice(query_cells.starts[span[0]], query_cells.starts[span[1]])
    rows = np.unique(query_cells.members[inside])
    ranks = int(query_cells.ranks[inside].max(initial=0)) + 1
    # A list for each rank: within one rank no row comes twice, so no two threads write to one list.
    lists = Lists.empty(len(rows) * ranks, length)

    def offer(task: _Task) -> int:
        candidates = base_cells.of(task.cell)[0]
        near = base.rows(candidates)
        # Of one matrix with itself BLAS computes only one half.
        seen = near if queries is base and len(task.seekers) == len(candidates) else queries.rows(task.seekers)
        own = task.seekers if queries is base else np.full(len(task.seekers), -1, np.int32)
        places = np.searchsorted(rows, task.seekers) + len(rows) * task.ranks.astype(np.int64)
        keep_nearest(seen @ near.T, base.half_squares[candidates], own, places, candidates, lists.ids, lists.values)
        return len(task.seekers)

    done = 0
    for count in in_threads(offer, _tasks(query_cells, *span)):
        done += count
        on_share(done / max(int(inside.stop - inside.start), 1))
    whole = np.arange(len(rows), dtype=np.int32)
    first = lists.ids[: len(rows)], lists.values[: len(rows)]
    for rank in range(1, ranks):
        other = slice(rank * len(rows), (rank + 1) * len(rows))
        over_rows(merge_lists, len(rows), whole, lists.ids[other], lists.values[other], *first)
    return rows.astype(np.int32), first[0].copy(), first[1].copy()


class _Task(NamedTuple):
    """Members of a cell that are compared with all of it, and which of their nearest cells it is."""

    cell: int
    seekers: Ids
    ranks: npt.NDArray[np.int8]


def _tasks(cells: Cells, first: int, last: int) -> Iterator[_Task]:
    for cell in range(first, last):
        members, ranks = cells.of(cell)
        step = len(members) if len(members) <= _WHOLE_CELL else _QUERIES_AT_ONCE
        for start in range(0, len(members), max(step, 1)):
            yield _Task(cell, members[start : start + step], ranks[start : start + step])


def search_part(
    vectors: Values, by_angle: bool, cells: tuple[Any, Any, Any], length: int, first: int, last: int
) -> tuple[Ids, Ids, Values]:
    """One part of the search of points for each other: rows, ids and values of the points of some cells."""
    space, of_cells = Space.of(vectors, by_angle=by_angle), Cells(*cells)
    return search_cells(space, of_cells, space, of_cells, length, (first, last))


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
