"""Vectors with what comparing them by matrix products needs: by angle, or by Euclidean distance."""

from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.threads import in_threads, over_rows

BLOCK_ROWS = 8_192
_ROWS_FOR_CENTRE = 1_000
_TINY = np.float32(1e-30)


class Coarse(NamedTuple):
    """Vectors in the form in which pairs of single rows are fastest to compare.

    Attributes:
        vectors: (n, d) int8 by angle: what a processor reads from memory is the bound. Else the (n, d) float32 as they
            are: the difference of two large squares would leave nothing of a byte's precision.
        scales: (n,) float32, 1 / length of each of these rows, 0 for zero rows; ones by Euclidean distance.
        by_angle: which of the two.
    """

    vectors: npt.NDArray[np.int8] | npt.NDArray[np.float32]
    scales: npt.NDArray[np.float32]
    by_angle: bool


@dataclass(frozen=True)
class Space:
    """Vectors that can be compared. Nothing is copied but the rows asked for.

    Attributes:
        vectors: (n, d) float32, C order, seen read-only; may be a memory map.
        by_angle: compare by cosine; else by Euclidean distance.
        scales: (n,) float32, 1 / length, 0 for zero rows; ones by Euclidean distance.
        half_squares: (n,) float32, half the squared length of the rows less the centre; zeros by angle.
        centre: (d,) float32, about the middle of the vectors, from which products are taken by Euclidean distance: far
            from the origin their rounding would exceed the distances. Zeros by angle.
        marks_zeros: whether `rows` has a column of its own for zero rows, which lie in one direction, unlike any other.
    """

    vectors: npt.NDArray[np.float32]
    by_angle: bool
    scales: npt.NDArray[np.float32]
    half_squares: npt.NDArray[np.float32]
    centre: npt.NDArray[np.float32]
    marks_zeros: bool

    @classmethod
    def of(
        cls, vectors: npt.NDArray[np.float32], *, by_angle: bool, centre: npt.NDArray[np.float32] | None = None
    ) -> Self:
        """Measure the lengths of the rows.

        Args:
            vectors: (n, d) finite float32.
            by_angle: compare by cosine; else by Euclidean distance.
            centre: that of the space that this one is to be compared with; None takes one of its own.
        """
        seen = np.ascontiguousarray(vectors, dtype=np.float32).view(np.ndarray)
        seen.flags.writeable = False
        starts = range(0, len(seen), BLOCK_ROWS)
        if centre is None:
            centre = np.zeros(seen.shape[1], np.float32) if by_angle else _middle(seen)
        blocks = in_threads(lambda start: _squares(seen[start : start + BLOCK_ROWS], centre), starts)
        squares = np.concatenate(list(blocks))
        if not by_angle:
            return cls(seen, False, np.ones_like(squares), (squares / 2).astype(np.float32), centre, False)
        lengths = np.sqrt(squares)
        scales = np.where(lengths > 0, 1 / np.maximum(lengths, _TINY), 0).astype(np.float32)
        return cls(seen, True, scales, np.zeros_like(squares), centre, bool((lengths == 0).any()))

    def __len__(self) -> int:
        """Number of vectors."""
        return len(self.vectors)

    def beside(self, other: "Space") -> "Space":
        """The same vectors in a form that can be compared with those of another space."""
        return replace(self, marks_zeros=self.marks_zeros or other.marks_zeros)

    def coarse(self) -> Coarse:
        """The form for comparing pairs of single rows; by angle a copy, a quarter of the size."""
        from vis_assets.mapping.neighbors.kernels import quantize

        if not self.by_angle:
            return Coarse(self.vectors, self.scales, False)
        rounded, scales = np.empty(self.vectors.shape, np.int8), np.empty(len(self), np.float32)
        over_rows(quantize, len(self), self.vectors, rounded, scales)
        return Coarse(rounded, scales, True)

    def rows(self, chosen: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        """Copy rows in a form whose dot products are cosines (by angle), or those of what they are from the centre."""
        from vis_assets.mapping.neighbors.kernels import copy_rows

        count, dimension = len(chosen), self.vectors.shape[1]
        found = np.empty((count, dimension + self.marks_zeros), np.float32)
        copy_rows(self.vectors, self.scales, chosen, found)
        if not self.by_angle:
            found -= self.centre
        if self.marks_zeros:
            found[:, dimension] = self.scales[chosen] == 0
        return found


def _middle(rows: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The mean of so many rows that it lies among them."""
    sample = rows[:: max(1, len(rows) // _ROWS_FOR_CENTRE)]
    return np.asarray(sample.mean(axis=0, dtype=np.float64), dtype=np.float32)


def _squares(rows: npt.NDArray[np.float32], centre: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    apart = rows - centre if centre.any() else rows
    found: npt.NDArray[np.float32] = np.einsum("ij,ij->i", apart, apart)
    return found
