"""Overlapping cells of near points: whoever shares a cell is compared with each other.

Centres are found by k-means on a sample, in few principal directions; every point belongs to the `overlap` cells
whose centres are nearest to it (an inverted file, as vector databases have it).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors.space import BLOCK_ROWS, Space
from vis_assets.mapping.principal import SAMPLE, principal_directions
from vis_assets.mapping.threads import in_threads, single_threaded_blas

OVERLAP = 3
DIRECTIONS = 256
LARGEST_CELL = 6_000
"""Cells above this size (copies of one text, say) are cut: the work grows with the square of the size."""
_SAMPLE_PER_CELL = 30
_MOST_SAMPLED = 100_000
_ROUNDS = 3


@dataclass(frozen=True)
class Centres:
    """Where cells are.

    Attributes:
        directions: (d, r) float32, principal directions.
        places: (c, r) float32, centres in those directions.
    """

    directions: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]

    def nearest(self, space: Space, overlap: int) -> npt.NDArray[np.int32]:
        """The `overlap` nearest cells of every point, nearest first: (n, overlap) int32."""
        from vis_assets.mapping.neighbors.kernels import keep_nearest

        halves = np.einsum("ij,ij->i", self.places, self.places) / 2
        cells = np.arange(len(self.places), dtype=np.int32)

        def of_block(start: int) -> npt.NDArray[np.int32]:
            rows = space.rows(np.arange(start, min(start + BLOCK_ROWS, len(space)), dtype=np.int32))
            found = np.full((len(rows), overlap), len(cells), np.int32)
            gaps = np.full(found.shape, np.inf, np.float32)
            places = np.arange(len(rows))
            keep_nearest(
                rows @ self.directions @ self.places.T,
                halves,
                np.full(len(rows), -1, np.int32),
                places,
                cells,
                found,
                gaps,
            )
            return found

        return np.concatenate(list(in_threads(of_block, range(0, len(space), BLOCK_ROWS))))


@dataclass(frozen=True)
class Cells:
    """Who belongs to which cell.

    Attributes:
        members: (m,) int32 rows, cell after cell.
        ranks: (m,) int8, 0 where the cell is the nearest of its member, 1 where it is the second nearest, and so on.
        starts: (c + 1,) int64 place of the first member of each cell, and the end.
    """

    members: npt.NDArray[np.int32]
    ranks: npt.NDArray[np.int8]
    starts: npt.NDArray[np.int64]

    def __len__(self) -> int:
        """Number of cells."""
        return len(self.starts) - 1

    def of(self, cell: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]:
        """Members of a cell, and their ranks."""
        inside = slice(self.starts[cell], self.starts[cell + 1])
        return self.members[inside], self.ranks[inside]


def find_centres(space: Space, cell_count: int, generator: np.random.Generator) -> Centres:
    """Find centres of cells by k-means on a sample."""
    wanted = min(len(space), max(SAMPLE, min(cell_count * _SAMPLE_PER_CELL, _MOST_SAMPLED)))
    sample = space.rows(np.sort(generator.choice(len(space), wanted, replace=False)).astype(np.int32))
    directions = principal_directions(sample[:: max(1, len(sample) // SAMPLE)], DIRECTIONS, generator)
    starts = range(0, len(sample), BLOCK_ROWS)
    seen = np.concatenate(list(in_threads(lambda start: sample[start : start + BLOCK_ROWS] @ directions, starts)))
    places = seen[generator.choice(len(seen), min(cell_count, len(seen)), replace=False)]
    for _ in range(_ROUNDS):
        places = _move_to_means(places, seen)
    return Centres(directions, places)


def gather(nearest: npt.NDArray[np.int32], cell_count: int) -> Cells:
    """List the members of every cell."""
    overlap = nearest.shape[1]
    flat = nearest.ravel()
    order = np.argsort(flat, kind="stable")
    starts = np.concatenate([[0], np.cumsum(np.bincount(flat, minlength=cell_count))])
    return Cells((order // overlap).astype(np.int32), (order % overlap).astype(np.int8), starts.astype(np.int64))


def thin_large(cells: Cells, generator: np.random.Generator) -> Cells:
    """Keep a random sample of the members of cells that are too large, for queries that need only near ones."""
    if np.diff(cells.starts).max() <= LARGEST_CELL:
        return cells
    kept = [cells.of(cell)[0] for cell in range(len(cells))]
    kept = [m if len(m) <= LARGEST_CELL else np.sort(generator.choice(m, LARGEST_CELL, replace=False)) for m in kept]
    starts = np.concatenate([[0], np.cumsum([len(members) for members in kept])]).astype(np.int64)
    members = np.concatenate(kept)
    return Cells(members, np.zeros(len(members), np.int8), starts)


def cut_large(cells: Cells, space: Space, generator: np.random.Generator) -> Cells:
    """Cut cells that are too large across the direction between two of their members."""
    sizes = np.diff(cells.starts)
    if sizes.max() <= LARGEST_CELL:
        return cells
    pieces: list[tuple[npt.NDArray[np.int32], npt.NDArray[np.int8]]] = []
    for cell in range(len(cells)):
        members, ranks = cells.of(cell)
        if len(members) > LARGEST_CELL:
            one, other = space.rows(generator.choice(members, 2, replace=False))
            order = np.argsort(_along(space, members, one - other), kind="stable")
            members, ranks = members[order], ranks[order]
        count = -(-len(members) // LARGEST_CELL)
        pieces += zip(np.array_split(members, max(count, 1)), np.array_split(ranks, max(count, 1)), strict=True)
    starts = np.concatenate([[0], np.cumsum([len(members) for members, _ in pieces])]).astype(np.int64)
    return Cells(np.concatenate([m for m, _ in pieces]), np.concatenate([r for _, r in pieces]), starts)


@single_threaded_blas()
def _along(space: Space, members: npt.NDArray[np.int32], direction: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    blocks = (members[start : start + BLOCK_ROWS] for start in range(0, len(members), BLOCK_ROWS))
    return np.concatenate([space.rows(block) @ direction for block in blocks])


def _move_to_means(places: npt.NDArray[np.float32], seen: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """One round of k-means; a centre that is nobody's nearest stays."""
    nearest = np.concatenate(list(_nearest_places(places, seen)))
    order = np.argsort(nearest, kind="stable")
    counts = np.bincount(nearest, minlength=len(places))
    owned = counts > 0
    sums = np.add.reduceat(seen[order], (np.cumsum(counts) - counts)[owned], axis=0)
    moved = places.copy()
    moved[owned] = sums / counts[owned, None]
    return moved


def _nearest_places(places: npt.NDArray[np.float32], seen: npt.NDArray[np.float32]) -> Iterator[npt.NDArray[np.intp]]:
    halves = np.einsum("ij,ij->i", places, places) / 2
    blocks = range(0, len(seen), BLOCK_ROWS)
    return in_threads(lambda start: np.argmin(halves - seen[start : start + BLOCK_ROWS] @ places.T, axis=1), blocks)
