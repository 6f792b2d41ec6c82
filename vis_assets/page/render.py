"""The finished HTML page of a map."""

import json
import re
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed
from vis_assets.page import texts
from vis_assets.page.blocks import pack_blocks
from vis_assets.page.clusters import describe_layers
from vis_assets.page.content import MapContent
from vis_assets.page.fields import clean_name
from vis_assets.page.fonts import Fonts, load_fonts
from vis_assets.page.frame import Frame, write_page
from vis_assets.page.palette import palette_of, parse_hex_color, parse_opacity
from vis_assets.page.places import FIRST_VIEW_SHARE, Box, first_view, point_radius, scale_to_map
from vis_assets.protocol.visualization_config import VisualizationConfig

HUNDREDTHS_A_MAP_UNIT = 142.2
"""Of datamapplot's units, 512 of which are 360 of ours."""
_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")
_FALLBACK_FONTS = (
    "system-ui, 'Segoe UI', 'Noto Sans', 'Noto Sans CJK SC', 'Noto Sans Arabic', 'Noto Color Emoji', sans-serif"
)
_PLAIN_OPTIONS = (
    "darkmode", "color_label_text", "enable_topic_tree", "cluster_boundary_polygons",
    "cluster_boundary_line_width", "min_fontsize", "max_fontsize", "text_min_pixel_size", "text_max_pixel_size",
    "font_weight", "line_spacing", "text_outline_width", "text_outline_color", "background_color",
    "point_radius_min_pixels", "point_radius_max_pixels", "point_line_width", "point_line_width_min_pixels",
    "point_line_width_max_pixels", "polygon_alpha", "text_collision_size_scale",
)  # fmt: skip
"""Options that the app reads as they are."""


@dataclass(frozen=True)
class RenderedPage:
    """A page, ready to be stored.

    Attributes:
        html: the page, UTF-8.
        data_files: name and content of the files that must lie in the same folder, gzip whatever their names say; empty
            where the data are inside the page. Such a page works over http, not from disk.
        notes: what a person should know about this page.
    """

    html: bytes
    data_files: dict[str, bytes] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def size_bytes(self) -> int:
        """Size of the page and of the files beside it."""
        return len(self.html) + sum(map(len, self.data_files.values()))


def render_page(
    content: MapContent, config: VisualizationConfig, data_prefix: str = "map", font_folder: Path | None = None
) -> RenderedPage:
    """Draw the interactive page of a map. Equal input makes equal bytes.

    Args:
        content: what to show. All texts may be hostile: they are only ever shown as text.
        config: how to show it; the options of the group "Page" are read.
        data_prefix: start of the names of the data files where `config.inline_data` is false; 1-64 of letters, digits,
            `_` and `-`. Pages that share a folder need different ones.
        font_folder: where `build_fonts` wrote to, if not to its default.

    Raises:
        ComputeFailed: out of memory.
        ValueError: the prefix is malformed.
    """
    if not _PREFIX.fullmatch(data_prefix):
        raise ValueError(f"data_prefix {data_prefix!r} is not 1-64 letters, digits, '_' or '-'")
    fonts = load_fonts(font_folder)
    notes = _notes(content, config, has_fonts=fonts is not None)
    try:
        places = scale_to_map(content.coordinates)
        described = json.dumps(_describe(content, config, places, fonts, notes), ensure_ascii=False, sort_keys=True)
        blocks = pack_blocks(content, places, described.encode())
        files = {} if config.inline_data else {name: f"{data_prefix}_{name}.gz" for name in blocks}
        page = write_page(_frame(config), blocks, fonts, files)
    except MemoryError as error:
        raise ComputeFailed("out of memory while writing the page; set inline_data to false") from error
    return RenderedPage(page, {file: blocks[name] for name, file in files.items()}, notes)


def _describe(
    content: MapContent,
    config: VisualizationConfig,
    places: npt.NDArray[np.float32],
    fonts: Fonts | None,
    notes: tuple[str, ...],
) -> dict[str, Any]:
    """The block `meta`: everything but the columns."""
    view = first_view(places, min(config.initial_zoom_fraction, FIRST_VIEW_SHARE))
    hover = config.point_hover_color
    return {
        "n": len(content.labels),
        "title": texts.clean(config.title or ""),
        "sub_title": texts.clean(config.sub_title or ""),
        "options": {
            **{name: getattr(config, name) for name in _PLAIN_OPTIONS},
            "color_by": clean_name(config.color_by or ""),
            "noise_label": texts.clean(config.noise_label),
        },
        "layers": describe_layers(content, config, places, palette_of(config)),
        "fields": [
            {"name": texts.clean(one.name), "kind": one.kind, "categories": [*map(texts.clean, one.categories)]}
            for one in content.fields
        ],
        "view": view,
        "radius": _radius(config, len(places), view),
        "noise_rgb": parse_hex_color(config.noise_color).tolist(),
        "hover_rgba": [*parse_hex_color(hover).tolist(), parse_opacity(hover)],
        "font_css": _font(config.font_family),
        "logo": _picture(config.logo),
        "background_image": _picture(config.background_image),
        "notes": notes,
        "about": {"version": version("vis_assets"), "licences": list(fonts.licences) if fonts else []},
    }


def _radius(config: VisualizationConfig, count: int, view: Box) -> float:
    asked = config.point_size_scale
    return point_radius(count, view) if asked is None else asked / HUNDREDTHS_A_MAP_UNIT


def _picture(address: str | None) -> str | None:
    """A picture that is inside its address; others would have to be fetched."""
    return address if address and address.startswith("data:image/") else None


def _font(family: str) -> str:
    """Font families for CSS and canvas; each name of the job's own in quotes."""
    own = [f"'{name.strip()}'" for name in family.split(",") if name.strip()]
    return ", ".join([*own, _FALLBACK_FONTS])


def _frame(config: VisualizationConfig) -> Frame:
    tooltip_font = _font(config.tooltip_font_family)
    variables = {
        "font": _font(config.font_family),
        "tooltip-font": f"{config.tooltip_font_weight} 14px/1.4 {tooltip_font}",
        "title-size": f"{config.title_font_size}px",
        "sub-title-size": f"{config.sub_title_font_size}px",
        "logo-width": f"{config.logo_width}px",
    }
    return Frame(texts.clean(config.title or "") or "Topic map", config.width, config.height, variables)


def _notes(content: MapContent, config: VisualizationConfig, *, has_fonts: bool) -> tuple[str, ...]:
    limit = texts.hover_limit(len(content.hover_texts))
    notes = []
    if not has_fonts:
        notes.append("the page's fonts were not built (run `make setup`): it uses those of its reader")
    if not config.inline_data:
        notes.append("inline_data is false: open the page over http, with its data files in the same folder")
    if limit < texts.MAX_HOVER_CHARACTERS:
        notes.append(f"the map is large: texts of points are cut at {limit} characters")
    if len(content.cluster_names) == 0 or int(content.labels.max()) < 0:
        notes.append("no cluster was found: the map has no labels; try a smaller min_cluster_size")
    return tuple(notes)
