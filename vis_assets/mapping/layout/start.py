"""Where the descent starts: the two principal directions of the vectors."""

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.neighbors.space import BLOCK_ROWS, Space
from vis_assets.mapping.principal import SAMPLE, principal_directions
from vis_assets.mapping.threads import in_threads

SPAN = 10.0
"""Largest coordinate at the start."""
_JITTER = 1e-4
_TINY = 1e-30


def principal_start(vectors: npt.NDArray[np.float32], seed: int, *, by_angle: bool) -> npt.NDArray[np.float32]:
    """Place points by the two directions in which they differ most, copies a little apart.

    Args:
        vectors: (n, d) float32, n >= 2.
        seed: of the sample and of the distances between copies.
        by_angle: whether the lengths of vectors mean nothing.

    Returns:
        (n, 2) float32, the largest coordinate about 10.
    """
    space = Space.of(vectors, by_angle=by_angle)
    generator = np.random.default_rng(seed)
    chosen = np.sort(generator.choice(len(space), min(SAMPLE, len(space)), replace=False)).astype(np.int32)
    sample = space.rows(chosen)
    directions = principal_directions(sample, 2, generator)

    def project(start: int) -> npt.NDArray[np.float32]:
        block = np.arange(start, min(start + BLOCK_ROWS, len(space)), dtype=np.int32)
        return space.rows(block) @ directions

    places = np.zeros((len(space), 2), np.float32)
    places[:, : directions.shape[1]] = np.concatenate(list(in_threads(project, range(0, len(space), BLOCK_ROWS))))
    places -= places.mean(axis=0)
    places *= SPAN / max(float(np.abs(places).max()), _TINY)
    return (places + generator.normal(scale=_JITTER, size=places.shape)).astype(np.float32)
