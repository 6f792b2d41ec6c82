"""The colours of a map, shared by the page and its preview: clusters that lie apart look apart."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.protocol.visualization_config import VisualizationConfig

Colors = npt.NDArray[np.uint8]
"""(k, 3) red, green, blue of 0-255."""

POINT_LIGHTNESS = 0.70
TEXT_LIGHTNESS_ON_WHITE = 0.46
TEXT_LIGHTNESS_ON_BLACK = 0.82
CVD_SAFE = np.array(
    [[0, 114, 178], [230, 159, 0], [0, 158, 115], [204, 121, 167], [86, 180, 233], [213, 94, 0], [150, 140, 30]]
)
"""Colours that people with any colour vision tell apart (Okabe & Ito 2008; the yellow darker, to be seen on white)."""
EVERY_OTHER = 2
_CHROMA = 0.15
_LINEAR_BELOW = 0.0031308
"""sRGB is linear below this."""


@dataclass(frozen=True)
class Palette:
    """How clusters are coloured.

    Attributes:
        hue_shift: degrees by which all hues are turned.
        theta_range: radians within which clusters share a hue and differ in shade.
        radius_dependence: how much paler clusters near the middle of the map are, 0 = not at all.
        cvd_safe: use only colours that people with any colour vision tell apart.
    """

    hue_shift: float = 0.0
    theta_range: float = 0.0
    radius_dependence: float = 0.0
    cvd_safe: bool = False


def palette_of(config: VisualizationConfig) -> Palette:
    """What a job says of colours."""
    return Palette(
        hue_shift=config.palette_hue_shift,
        theta_range=config.palette_theta_range,
        radius_dependence=config.palette_hue_radius_dependence,
        cvd_safe=config.cvd_safer,
    )


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


def color_clusters(centers: npt.NDArray[np.float64], lightness: float, palette: Palette = Palette()) -> Colors:
    """Colour clusters by hue, every other one around the circle a shade darker.

    Args:
        centers: (k, 2) places of the clusters.
        lightness: OKLCH lightness, 0 (black) to 1 (white).
        palette: what a job says of colours.

    Returns:
        (k, 3) colours.
    """
    hues = choose_cluster_hues(centers)
    ranks = np.argsort(np.argsort(hues, kind="stable"), kind="stable")
    if palette.cvd_safe:
        return _cvd_safe(ranks, lightness)
    sharing = max(EVERY_OTHER, int(palette.theta_range * len(hues) / (2 * np.pi)))
    shade = np.linspace(0.05, -0.07, sharing)[ranks % sharing]
    shared = hues if sharing == EVERY_OTHER else hues - (ranks % sharing) * 2 * np.pi / max(len(hues), 1)
    chroma = _CHROMA * (1 - min(palette.radius_dependence, 4.0) * 0.2 * (1 - _radii(centers)))
    return _oklch_to_rgb(lightness + shade, chroma, shared + np.deg2rad(palette.hue_shift))


def _cvd_safe(ranks: npt.NDArray[np.intp], lightness: float) -> Colors:
    """The safe colours in turn around the map, lighter and darker each time around."""
    base = CVD_SAFE[ranks % len(CVD_SAFE)].astype(np.float64)
    mixed_with = 255.0 if lightness > POINT_LIGHTNESS else 0.0
    turn = (ranks // len(CVD_SAFE)) % 3
    share = np.array([0.0, 0.18, 0.3])[turn] + (0.0 if lightness == POINT_LIGHTNESS else 0.3)
    colors: Colors = np.round(base + (mixed_with - base) * share[:, None]).astype(np.uint8)
    return colors


def _radii(centers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """How far out each cluster lies, 0 to 1."""
    if len(centers) == 0:
        return np.zeros(0)
    apart = np.linalg.norm(centers - centers.mean(axis=0), axis=1)
    radii: npt.NDArray[np.float64] = apart / max(float(apart.max()), 1e-9)
    return radii


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
    """Read #rgb, #rrggbb or #rrggbbaa as one (3,) colour."""
    digits = color.removeprefix("#")
    if len(digits) == len("rgb"):
        digits = "".join(digit * 2 for digit in digits)
    return np.array([int(digits[i : i + 2], 16) for i in (0, 2, 4)], dtype=np.uint8)


def parse_opacity(color: str) -> int:
    """Read the last two digits of #rrggbbaa, 0 to 255; a colour without them is opaque."""
    digits = color.removeprefix("#")
    return int(digits[6:8], 16) if len(digits) == len("rrggbbaa") else 255


def color_points(labels: npt.NDArray[np.int32], clusters: Colors, noise: Colors) -> Colors:
    """Give every point the colour of its cluster, (n, 3); label -1 picks the noise colour."""
    return np.concatenate([clusters.reshape(-1, 3), noise.reshape(1, 3)])[labels]
