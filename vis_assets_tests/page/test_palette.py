"""Colours."""

from typing import Any

import numpy as np
import pytest

from vis_assets.page.palette import (
    CVD_SAFE,
    POINT_LIGHTNESS,
    TEXT_LIGHTNESS_ON_BLACK,
    TEXT_LIGHTNESS_ON_WHITE,
    Palette,
    color_clusters,
    color_points,
    parse_hex_color,
    parse_opacity,
)


@pytest.mark.parametrize(
    ("color", "expected"), [("#f0a", [255, 0, 170]), ("#123456", [18, 52, 86]), ("#12345678", [18, 52, 86])]
)
def test_hex_colors_are_read(color: str, expected: list[int]) -> None:
    """Short and long hex colours are read, without their opacity."""
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


@pytest.mark.parametrize(("color", "expected"), [("#fff", 255), ("#123456", 255), ("#12345600", 0), ("#1234567f", 127)])
def test_opacity_is_the_last_two_digits(color: str, expected: int) -> None:
    """Eight digits hold an opacity, fewer are opaque."""
    assert parse_opacity(color) == expected


def test_a_turn_by_the_whole_circle_changes_nothing() -> None:
    """`hue_shift` is an angle."""
    centers = np.random.default_rng(0).normal(size=(9, 2))
    plain, turned, half = (
        color_clusters(centers, POINT_LIGHTNESS, Palette(hue_shift=angle)) for angle in (0, 360, 180)
    )
    assert np.abs(plain.astype(int) - turned).max() <= 1
    assert np.abs(plain.astype(int) - half).max() > 50


def test_radius_dependence_makes_the_middle_paler() -> None:
    """With `radius_dependence` a cluster in the middle has less colour than one at the edge."""
    centers = np.array([[0.0, 0.0], [4, 0], [-4, 0], [0, 4], [0, -4]])
    colors = color_clusters(centers, POINT_LIGHTNESS, Palette(radius_dependence=3)).astype(int)
    spread = np.ptp(colors, axis=1)
    assert spread[0] < 0.6 * spread[1:].min()


def test_theta_range_makes_neighbours_share_a_hue() -> None:
    """With `theta_range` neighbours around the circle differ in shade only."""
    angles = np.arange(12) * np.pi / 6 - 3
    centers = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    hues = []
    for palette in (Palette(), Palette(theta_range=2.2)):
        colors = color_clusters(centers, POINT_LIGHTNESS, palette) / 255
        hues.append(len({round(hue, 1) for hue in _hues(colors)}))
    assert hues[1] <= hues[0] / 2


def _hues(colors: np.ndarray) -> list[float]:
    import colorsys

    return [colorsys.rgb_to_hsv(*color)[0] for color in colors]


@pytest.mark.parametrize("count", [0, 1, 7, 20])
def test_safe_colors_are_those_that_all_tell_apart(count: int) -> None:
    """The first seven safe colours are Okabe's and Ito's; the next are shades of them, all different."""
    centers = np.random.default_rng(1).normal(size=(count, 2))
    colors = color_clusters(centers, POINT_LIGHTNESS, Palette(cvd_safe=True))
    assert len(np.unique(colors, axis=0)) == count
    known = {tuple(color) for color in CVD_SAFE.tolist()}
    assert sum(tuple(color) in known for color in colors.tolist()) == min(count, 7)


def _luminance(colors: np.ndarray) -> Any:
    share = colors / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize("is_safe", [False, True])
def test_names_can_be_read_on_their_ground(is_safe: bool) -> None:
    """Names of 30 clusters contrast with white and with the dark ground as WCAG asks of large text (3 to 1)."""
    centers = np.random.default_rng(2).normal(size=(30, 2))
    palette = Palette(cvd_safe=is_safe)
    on_white = _luminance(color_clusters(centers, TEXT_LIGHTNESS_ON_WHITE, palette))
    on_black = _luminance(color_clusters(centers, TEXT_LIGHTNESS_ON_BLACK, palette))
    assert (1.05 / (on_white + 0.05)).min() >= 3
    assert ((on_black + 0.05) / (_luminance(np.array([[20, 22, 26]])) + 0.05)).min() >= 3
