"""Points that the tests of the mathematics map, and the numbers of threads that they map them with."""

import contextlib
from collections.abc import Iterator

import numba
import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

Vectors = npt.NDArray[np.float32]
MOST_THREADS = numba.get_num_threads()


def gaussian(count: int, dimensions: int = 8, seed: int = 0) -> Vectors:
    """Points of one normal distribution."""
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def blobs(group_count: int, per_group: int, dimensions: int = 8, seed: int = 0, spread: float = 0.05) -> Vectors:
    """Groups of points, one after the other."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(group_count, dimensions)), per_group, axis=0)
    points: Vectors = (centres + spread * rng.normal(size=centres.shape)).astype(np.float32)
    return points


def texts_like(count: int, dimensions: int = 32, seed: int = 0) -> Vectors:
    """Points as embedded texts lie: about subjects of many sizes that run into each other, in random order."""
    rng = np.random.default_rng(seed)
    subjects = rng.normal(size=(count // 100, dimensions))
    chosen = (rng.random(count) ** 2 * len(subjects)).astype(int)
    points: Vectors = (subjects[chosen] + 0.5 * rng.normal(size=(count, dimensions))).astype(np.float32)
    return points


@contextlib.contextmanager
def threads(count: int) -> Iterator[None]:
    """Let compiled loops and BLAS use so many threads, as far as the machine has them."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(count, MOST_THREADS))
    try:
        with threadpool_limits(count, user_api="blas"):
            yield
    finally:
        numba.set_num_threads(before)
