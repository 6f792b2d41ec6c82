"""Directions in which vectors differ most (principal components; Halko, Martinsson & Tropp 2011)."""

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.threads import single_threaded_blas

SAMPLE = 5_000
"""Rows that are looked at: the directions of many points are those of a sample of them."""
_SPARE = 8
_ROUNDS = 2


@single_threaded_blas()
def principal_directions(
    rows: npt.NDArray[np.float32], count: int, generator: np.random.Generator
) -> npt.NDArray[np.float32]:
    """Find the directions of largest variance, by subspace iteration from a random start.

    Args:
        rows: (m, d) float32, a sample of at most some ten thousand rows.
        count: directions wanted; at most min(m, d) are found.
        generator: of the random start.

    Returns:
        (d, found) float32, orthonormal columns, the largest variance first. The sign of each is such that its largest
        entry is positive, so that a map is not mirrored from run to run.
    """
    centred = rows - rows.mean(axis=0)
    found = min(count, *rows.shape)
    width = min(found + _SPARE, *rows.shape)
    basis = np.linalg.qr(generator.normal(size=(rows.shape[1], width)).astype(np.float32))[0]
    for _ in range(_ROUNDS):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    values, turn = np.linalg.eigh((seen := centred @ basis).T @ seen)
    directions = basis @ turn[:, np.argsort(-values, kind="stable")[:found]]
    largest = np.abs(directions).argmax(axis=0)
    signs = np.where(directions[largest, np.arange(found)] < 0, -1.0, 1.0)
    return np.ascontiguousarray(directions * signs, dtype=np.float32)
