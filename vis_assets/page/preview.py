"""Small pictures of a map, for the places where the page itself cannot be shown."""

import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vis_assets.page import texts
from vis_assets.page.content import MapContent
from vis_assets.page.gallery import THUMBNAIL_PX
from vis_assets.page.palette import (
    POINT_LIGHTNESS,
    TEXT_LIGHTNESS_ON_BLACK,
    TEXT_LIGHTNESS_ON_WHITE,
    Colors,
    color_clusters,
    color_points,
    palette_of,
    parse_hex_color,
)
from vis_assets.page.places import scale_to_map
from vis_assets.protocol.visualization_config import VisualizationConfig

if TYPE_CHECKING:
    from PIL import ImageDraw, ImageFont
    from PIL.Image import Image as PILImage

MAX_LABELS = 8
MAX_BYTES = 60_000
"""Of a preview, which travels inside Dagster's records."""
MAX_THUMBNAIL_BYTES = 200_000
_OVERSAMPLING = 2
_MARGIN = 0.06
_LABEL_CHARACTERS = 34
_WRAP_CHARACTERS = 18
_FONT_PIXELS = 13
_DESIGN_WIDTH_PX = 480
"""Width for which the sizes of letters and points are stated; larger pictures have larger ones."""
_SHRINK = 0.75
_HALO_PIXELS = 2
_MAX_COLORS = 128
_SHOW_ALL_BELOW = 1_000

Pixels = npt.NDArray[np.int64]
"""(n, 2) column and row."""


def draw_preview(
    content: MapContent,
    config: VisualizationConfig | None = None,
    size_px: tuple[int, int] = (_DESIGN_WIDTH_PX, 360),
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """Draw the points in the page's colours, with the names of the biggest clusters.

    Args:
        content: what to show.
        config: its colours are read.
        size_px: width and height of the picture.
        max_bytes: what it may take; fewer colours, and at last fewer pixels, make it fit.

    Returns:
        A PNG; equal maps make equal bytes.
    """
    from PIL import Image, ImageDraw

    config = config or VisualizationConfig()
    width, height = size_px
    places = _place_on_picture(content.coordinates, size_px)
    picture = Image.fromarray(_scatter(content, config, places * _OVERSAMPLING, size_px))
    picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    _write_labels(ImageDraw.Draw(picture), content, config, places, size_px)
    return _encode(picture, max_bytes)


def draw_thumbnail(content: MapContent, config: VisualizationConfig | None = None) -> bytes:
    """Draw the picture that lies beside a page: a PNG of `THUMBNAIL_PX`, at most 200 kB.

    Args:
        content: what to show.
        config: see `draw_preview`.
    """
    return draw_preview(content, config, THUMBNAIL_PX, MAX_THUMBNAIL_BYTES)


def draw_pictures(content: MapContent, config: VisualizationConfig | None = None) -> tuple[bytes, bytes]:
    """Draw both pictures of a map: its preview and its thumbnail."""
    return draw_preview(content, config), draw_thumbnail(content, config)


def _encode(picture: "PILImage", max_bytes: int) -> bytes:
    """Save with fewer and fewer colours, then with fewer and fewer pixels, until the picture is small."""
    from PIL import Image

    while True:
        for colors in (_MAX_COLORS, 48, 16):
            out = io.BytesIO()
            picture.quantize(colors, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
            if out.tell() <= max_bytes or picture.width <= 1:
                return out.getvalue()
        smaller = (max(1, int(picture.width * _SHRINK)), max(1, int(picture.height * _SHRINK)))
        picture = picture.resize(smaller, Image.Resampling.LANCZOS)


def _place_on_picture(coordinates: npt.NDArray[np.float32], size_px: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Fit the map into the picture, (n, 2) pixels from the upper left corner; outliers go to the edge."""
    places = scale_to_map(coordinates).astype(np.float64)
    low, high = (
        np.percentile(places, [0.1, 99.9], axis=0) if len(places) > _SHOW_ALL_BELOW else (places.min(0), places.max(0))
    )
    room = np.array(size_px) * (1 - 2 * _MARGIN)
    scale = float(np.min(room / np.maximum(high - low, 1e-6)))
    centered = (places - (low + high) / 2) * min(scale, float(room.min())) * np.array([1, -1])
    placed: npt.NDArray[np.float64] = np.clip(centered + np.array(size_px) / 2, 0, np.array(size_px) - 1)
    return placed


def _scatter(
    content: MapContent, config: VisualizationConfig, places: npt.NDArray[np.float64], size_px: tuple[int, int]
) -> Colors:
    """Paint every point as a small disc, noise below the clusters, clusters in mixed order."""
    width, height = (side * _OVERSAMPLING for side in size_px)
    canvas = np.empty((height, width, 3), dtype=np.uint8)
    canvas[:] = _ground(config)
    clusters = color_clusters(content.cluster_centers, POINT_LIGHTNESS, palette_of(config))
    colors = color_points(content.labels, clusters, parse_hex_color(config.noise_color))
    order = np.random.default_rng(0).permutation(len(places))
    order = order[np.argsort(content.labels[order] >= 0, kind="stable")]
    pixels: Pixels = places[order].astype(np.int64)
    for dx, dy in _disc(_radius(len(places)) * _enlarged(size_px)):
        columns = np.clip(pixels[:, 0] + dx, 0, width - 1)
        rows = np.clip(pixels[:, 1] + dy, 0, height - 1)
        canvas[rows, columns] = colors[order]
    return canvas


def _ground(config: VisualizationConfig) -> Colors:
    return parse_hex_color(config.background_color or ("#000" if config.darkmode else "#fff"))


def _enlarged(size_px: tuple[int, int]) -> float:
    return size_px[0] / _DESIGN_WIDTH_PX


def _radius(point_count: int) -> float:
    """Radius of a point, in oversampled pixels: few points are large."""
    return float(np.clip(9 - 1.9 * np.log10(max(point_count, 1)), 0.5, 7))


def _disc(radius: float) -> list[tuple[int, int]]:
    reach = range(-int(radius), int(radius) + 1)
    return [(dx, dy) for dx in reach for dy in reach if dx * dx + dy * dy <= radius * radius]


def _write_labels(
    draw: "ImageDraw.ImageDraw",
    content: MapContent,
    config: VisualizationConfig,
    places: npt.NDArray[np.float64],
    size_px: tuple[int, int],
) -> None:
    """Name clusters from the biggest down, leaving out those that would cover a name already there."""
    font = _font(_enlarged(size_px))
    stroke = max(1, round(_HALO_PIXELS * _enlarged(size_px)))
    names = texts.display_names(content.cluster_names)
    lightness = TEXT_LIGHTNESS_ON_BLACK if config.darkmode else TEXT_LIGHTNESS_ON_WHITE
    inks = color_clusters(content.cluster_centers, lightness, palette_of(config))
    plain = (255, 255, 255) if config.darkmode else (0, 0, 0)
    red, green, blue = (int(part) for part in _ground(config))
    halo = (red, green, blue)
    sizes = content.cluster_sizes
    taken: list[tuple[float, float, float, float]] = []
    for cluster in np.argsort(-sizes, kind="stable")[: 3 * MAX_LABELS].tolist():
        if sizes[cluster] == 0 or len(taken) == MAX_LABELS:
            break
        text = texts.wrap_label(texts.shorten(names[cluster], _LABEL_CHARACTERS), _WRAP_CHARACTERS)
        middle = np.median(places[content.labels == cluster], axis=0)
        box = _fit(
            draw.multiline_textbbox((0, 0), text, font=font, align="center", stroke_width=stroke), middle, size_px
        )
        if any(_overlap(box, other) for other in taken):
            continue
        taken.append(box)
        red, green, blue = (int(part) for part in inks[cluster]) if config.color_label_text else plain
        draw.multiline_text(
            box[:2],
            text,
            (red, green, blue),
            font=font,
            align="center",
            stroke_width=stroke,
            stroke_fill=halo,
        )


def _fit(
    box: tuple[float, float, float, float], middle: npt.NDArray[np.float64], size_px: tuple[int, int]
) -> tuple[float, float, float, float]:
    """Centre a text box and push it back into the picture."""
    width, height = box[2], box[3]
    left = float(np.clip(middle[0] - width / 2, 4, max(4, size_px[0] - width - 4)))
    top = float(np.clip(middle[1] - height / 2, 4, max(4, size_px[1] - height - 4)))
    return left, top, left + width, top + height


def _overlap(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] + 3 and other[0] < one[2] + 3 and one[1] < other[3] + 2 and other[1] < one[3] + 2


def _font(enlarged: float) -> "ImageFont.FreeTypeFont":
    """DejaVu Sans, which matplotlib brings: Latin, Greek, Cyrillic and more."""
    import matplotlib
    from PIL import ImageFont

    return ImageFont.truetype(
        f"{matplotlib.get_data_path()}/fonts/ttf/DejaVuSans-Bold.ttf", max(8, _FONT_PIXELS * enlarged)
    )
