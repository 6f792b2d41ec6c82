"""The data of a page as blocks, each by name, gzip: what the app in `app/core.js` reads."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from vis_assets.page import texts
from vis_assets.page.content import MapContent
from vis_assets.page.fields import PayloadField
from vis_assets.page.packing import gzip_array, gzip_parts

_TEXTS_A_BATCH = 8_192
_MOST_STRENGTH = 255
ID_CHARACTERS = 200
FIELD_CHARACTERS = 200


def pack_blocks(content: MapContent, places: npt.NDArray[np.float32], description: bytes) -> dict[str, bytes]:
    """Pack everything that a page shows, in the order in which it reads it.

    Args:
        content: what to show.
        places: (n, 2) places on the map.
        description: JSON, the block `meta`.

    Returns:
        Blocks by name: `meta`, `positions` (float32, x and y in turn), `labels` (int32, layer after layer),
        `strengths` (uint8, 255 = 1), `field-0` and so on, `ids`, `texts` (UTF-8, one a line).
    """
    blocks = {
        "meta": gzip_parts([description]),
        "positions": gzip_array(places),
        "labels": gzip_array(np.stack([layer.labels for layer in content.layers])),
    }
    if content.strengths is not None:
        blocks["strengths"] = gzip_array(np.round(content.strengths * _MOST_STRENGTH).astype(np.uint8))
    for index, field in enumerate(content.fields):
        blocks[f"field-{index}"] = _pack_field(field)
    if len(content.ids):
        blocks["ids"] = _pack_lines(content.ids, lambda text: texts.clean_start(text, ID_CHARACTERS))
    if any(content.hover_texts):
        limit = texts.hover_limit(len(content.hover_texts))
        blocks["texts"] = _pack_lines(content.hover_texts, lambda text: texts.clean_start(text, limit))
    return blocks


def _pack_field(field: PayloadField) -> bytes:
    if field.kind == "text":
        return _pack_lines(field.values, lambda text: texts.clean_start(text, FIELD_CHARACTERS))
    return gzip_array(field.values.astype(np.int32 if field.kind == "category" else np.float64))


def _pack_lines(values: Sequence[str] | npt.NDArray[np.object_], clean: Callable[[str], str]) -> bytes:
    return gzip_parts(_write_lines(values, clean))


def _write_lines(values: Sequence[str] | npt.NDArray[np.object_], clean: Callable[[str], str]) -> Iterator[bytes]:
    """Lines of one batch after the other; a cleaned text holds no line break."""
    separator = ""
    for first in range(0, len(values), _TEXTS_A_BATCH):
        batch: Iterable[str] = values[first : first + _TEXTS_A_BATCH]
        yield (separator + "\n".join(map(clean, batch))).encode()
        separator = "\n"
