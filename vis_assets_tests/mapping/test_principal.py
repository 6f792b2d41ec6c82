"""Principal directions against those of a full decomposition."""

import numpy as np
import pytest

from vis_assets.mapping.principal import principal_directions
from vis_assets_tests.mapping.points import gaussian


def decaying(count, dimensions, seed=0):
    """Points whose variance falls by a half from one hidden direction to the next, far from the origin."""
    turn = np.linalg.qr(gaussian(dimensions, dimensions, seed=seed + 1))[0]
    return (gaussian(count, dimensions, seed) * 0.7 ** np.arange(dimensions) @ turn.T + 5).astype(np.float32)


def found(rows, count, seed=0):
    return principal_directions(rows, count, np.random.default_rng(seed))


def test_directions_are_those_of_the_decomposition():
    """The directions, one by one and in their order, are the right singular vectors of the centred rows."""
    rows = decaying(500, 40)
    expected = np.linalg.svd(rows - rows.mean(axis=0), full_matrices=False)[2][:4].T
    agreement = np.abs((expected * found(rows, 4)).sum(axis=0))
    assert agreement.min() > 0.999


def test_directions_are_orthonormal_and_not_mirrored():
    """Columns have unit length and right angles; the largest entry of each is positive, whatever the random start."""
    rows = decaying(300, 20)
    directions = found(rows, 5)
    assert directions.dtype == np.float32
    np.testing.assert_allclose(directions.T @ directions, np.eye(5), atol=1e-5)
    assert (directions[np.abs(directions).argmax(axis=0), np.arange(5)] > 0).all()
    np.testing.assert_allclose(found(rows, 5, seed=9), directions, atol=1e-2)


@pytest.mark.parametrize(("shape", "expected"), [((3, 10), 3), ((10, 3), 3), ((1, 4), 1), ((6, 1), 1)])
def test_no_more_directions_than_there_are(shape, expected):
    """Of few rows or columns there are few directions, all finite."""
    directions = found(gaussian(*shape), 8)
    assert directions.shape == (shape[1], expected)
    assert np.isfinite(directions).all()


def test_identical_rows_have_finite_directions():
    """Rows without any variance do no harm."""
    assert np.isfinite(found(np.ones((20, 6), np.float32), 2)).all()
