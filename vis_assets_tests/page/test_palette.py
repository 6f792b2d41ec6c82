"""Colours."""

import numpy as np
import pytest

from vis_assets.page.palette import POINT_LIGHTNESS, color_clusters, color_points, parse_hex_color


@pytest.mark.parametrize(("color", "expected"), [("#f0a", [255, 0, 170]), ("#123456", [18, 52, 86])])
def test_hex_colors_are_read(color: str, expected: list[int]) -> None:
    """Short and long hex colours are read."""
    assert parse_hex_color(color).tolist() == expected


@pytest.mark.parametrize("count", [0, 1, 2, 12])
def test_every_cluster_has_its_own_color(count: int) -> None:
    """A dozen clusters have a dozen colours, even where all lie in one place."""
    spread = np.random.default_rng(0).normal(size=(count, 2))
    for centers in (spread, np.zeros((count, 2))):
        colors = color_clusters(centers, POINT_LIGHTNESS)
        assert colors.shape == (count, 3)
        assert len(np.unique(colors, axis=0)) == count


def test_noise_points_have_the_noise_color() -> None:
    """Label -1 picks the noise colour."""
    colors = color_points(
        np.array([1, -1, 0], dtype=np.int32), np.array([[1, 1, 1], [2, 2, 2]], dtype=np.uint8), parse_hex_color("#999")
    )
    assert colors.tolist() == [[2, 2, 2], [153, 153, 153], [1, 1, 1]]
