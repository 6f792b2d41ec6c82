"""The colours of a map, shared by the page and its preview: clusters that lie apart look apart."""

import numpy as np
import numpy.typing as npt

Colors = npt.NDArray[np.uint8]
"""(k, 3) red, green, blue of 0-255."""

POINT_LIGHTNESS = 0.70
TEXT_LIGHTNESS_ON_WHITE = 0.46
TEXT_LIGHTNESS_ON_BLACK = 0.82
_LINEAR_BELOW = 0.0031308
"""sRGB is linear below this."""


def choose_cluster_hues(centers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Give each cluster a hue by its direction from the middle of the map, as datamapplot does.

    Directions are spread by rank, so that clusters crowded on one side still get the whole circle.

    Args:
        centers: (k, 2) places of the clusters.

    Returns:
        (k,) hues in radians, in the same order.
    """
    if len(centers) == 0:
        return np.zeros(0)
    offsets = centers - centers.mean(axis=0)
    order = np.argsort(np.arctan2(offsets[:, 1], offsets[:, 0]), kind="stable")
    hues = np.empty(len(centers))
    hues[order] = np.arange(len(centers)) * (2 * np.pi / len(centers)) + 0.45
    return hues


def color_clusters(centers: npt.NDArray[np.float64], lightness: float) -> Colors:
    """Colour clusters by hue, every other one around the circle a shade darker.

    Args:
        centers: (k, 2) places of the clusters.
        lightness: OKLCH lightness, 0 (black) to 1 (white).

    Returns:
        (k, 3) colours.
    """
    hues = choose_cluster_hues(centers)
    ranks = np.argsort(np.argsort(hues))
    shade = np.where(ranks % 2 == 0, 0.04, -0.06)
    return _oklch_to_rgb(lightness + shade, np.full(len(hues), 0.15), hues)


def _oklch_to_rgb(
    lightness: npt.NDArray[np.float64], chroma: npt.NDArray[np.float64], hue: npt.NDArray[np.float64]
) -> Colors:
    """Convert OKLCH to sRGB, clipping what lies outside (Ottosson 2020, "A perceptual color space")."""
    a, b = chroma * np.cos(hue), chroma * np.sin(hue)
    to_lms = np.array(
        [[1, 0.3963377774, 0.2158037573], [1, -0.1055613458, -0.0638541728], [1, -0.0894841775, -1.2914855480]]
    )
    to_rgb = np.array(
        [
            [4.0767416621, -3.3077115913, 0.2309699292],
            [-1.2684380046, 2.6097574011, -0.3413193965],
            [-0.0041960863, -0.7034186147, 1.7076147010],
        ]
    )
    linear = np.clip((np.stack([lightness, a, b], axis=1) @ to_lms.T) ** 3 @ to_rgb.T, 0, 1)
    encoded = np.where(linear <= _LINEAR_BELOW, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    colors: Colors = np.round(encoded * 255).astype(np.uint8)
    return colors


def parse_hex_color(color: str) -> Colors:
    """Read #rgb or #rrggbb as one (3,) colour."""
    digits = color.removeprefix("#")
    if len(digits) == len("rgb"):
        digits = "".join(digit * 2 for digit in digits)
    return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.uint8)


def color_points(labels: npt.NDArray[np.int32], clusters: Colors, noise: Colors) -> Colors:
    """Give every point the colour of its cluster, (n, 3); label -1 picks the noise colour."""
    return np.concatenate([clusters.reshape(-1, 3), noise.reshape(1, 3)])[labels]
