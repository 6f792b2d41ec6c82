"""The finished HTML page of a map."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from vis_assets.errors import ComputeFailed
from vis_assets.page import texts
from vis_assets.page.content import MapContent
from vis_assets.page.datamap import draw_raw_page
from vis_assets.page.hardening import harden, without_time
from vis_assets.page.vendor import load_vendor_assets
from vis_assets.protocol.visualization_config import VisualizationConfig

_PREFIX = re.compile(r"[A-Za-z0-9_-]{1,64}")


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
    content: MapContent, config: VisualizationConfig, data_prefix: str = "map", vendor_folder: Path | None = None
) -> RenderedPage:
    """Draw the interactive page of a map. Equal input makes equal bytes.

    Args:
        content: what to show. All texts may be hostile: they are only ever shown as text.
        config: how to show it; the options of the group "Page" are read.
        data_prefix: start of the names of the data files where `config.inline_data` is false; 1-64 of letters, digits,
            `_` and `-`. Pages that share a folder need different ones.
        vendor_folder: where `build_vendor_assets` wrote to, if not to its default.

    Raises:
        ComputeFailed: datamapplot failed.
        ValueError: the prefix is malformed.
    """
    if not _PREFIX.fullmatch(data_prefix):
        raise ValueError(f"data_prefix {data_prefix!r} is not 1-64 letters, digits, '_' or '-'")
    assets = load_vendor_assets(vendor_folder)
    names = texts.display_names(content.cluster_names)
    raw = draw_raw_page(content, config, names, data_prefix)
    try:
        html = harden(raw.html, config, assets, raw.data)
    except MemoryError as error:
        raise ComputeFailed("out of memory while writing the page; set inline_data to false") from error
    files = {name: without_time(data) for name, data in raw.files.items()}
    return RenderedPage(html, files, _notes(content, config, has_assets=assets is not None))


def _notes(content: MapContent, config: VisualizationConfig, *, has_assets: bool) -> tuple[str, ...]:
    limit = texts.hover_limit(len(content.hover_texts))
    notes = []
    if not has_assets:
        notes.append("the browser libraries were not built (run `make setup`): the page loads them from a CDN")
    if not config.inline_data:
        notes.append("inline_data is false: open the page over http, with its data files in the same folder")
    if limit < texts.MAX_HOVER_CHARACTERS:
        notes.append(f"the map is large: texts of points are cut at {limit} characters")
    if len(content.cluster_names) == 0 or int(content.labels.max()) < 0:
        notes.append("no cluster was found: the map has no labels; try a smaller min_cluster_size")
    return tuple(notes)
