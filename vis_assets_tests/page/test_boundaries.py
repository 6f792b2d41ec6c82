"""Outlines of clusters."""

import numpy as np
import pytest

from vis_assets.page.boundaries import outline_cluster


@pytest.mark.parametrize("n", [3, 30, 3_000, 20_000])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_outline_surrounds_most_points_at_any_density(n: int, scale: float) -> None:
    """The line is closed and holds most points, however many and however dense they are."""
    points = np.random.default_rng(n).normal(size=(n, 2)) * scale
    line = np.array(outline_cluster(points))
    assert (line[0] == line[-1]).all()
    from matplotlib.path import Path

    assert n == 3 or Path(line).contains_points(points).mean() > 0.85


def test_outline_follows_a_hollow() -> None:
    """A crescent's outline does not run through its hollow."""
    angles = np.random.default_rng(0).uniform(0, 1.2 * np.pi, 2_000)
    radii = np.random.default_rng(1).uniform(0.9, 1.1, 2_000)
    crescent = np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)
    from matplotlib.path import Path

    assert not Path(np.array(outline_cluster(crescent))).contains_point((0.1, 0.2))


@pytest.mark.parametrize("points", [[[0, 0]], [[0, 0], [1, 1]], [[0, 0]] * 9, [[0, 0], [1, 1], [2, 2], [3, 3]]])
def test_points_without_area_have_no_outline(points: list[list[float]]) -> None:
    """Too few points, points in one place and points on one line have no outline."""
    assert outline_cluster(np.array(points, dtype=np.float64)) is None
