"""Texts from outside, made fit for a page: no control characters, bounded length, inert markup."""

import html
import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import count

MAX_HOVER_CHARACTERS = 500
"""Longest text shown for one point."""
MIN_HOVER_CHARACTERS = 80
"""Shortest limit that very large maps fall back to."""
HOVER_BUDGET_CHARACTERS = 100_000_000
"""All hover texts together: browsers refuse strings of about 500 million characters."""

_WIDE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


def clean(text: str) -> str:
    """Drop control and direction-override characters and lone surrogates, and make every white space one blank."""
    plain = " ".join(text.split())
    if plain.isprintable():  # holds nothing to drop; most texts do not
        return plain
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    return " ".join(_CONTROL.sub(" ", encodable).split())


def clean_start(text: str, limit: int) -> str:
    """Clean a text and cut it to at most limit characters, without reading much more of it than is kept.

    Of a text whose first 4 x limit characters are mostly white space, less than limit characters may be kept.
    """
    for read in (limit + limit // 4, 4 * limit):
        start = clean(text[:read])
        if len(start) > limit or len(text) <= read:
            break
    return shorten(start, limit)


def escape(text: str) -> str:
    """Clean a text and escape it for HTML, in content and in attributes."""
    return html.escape(clean(text), quote=True)


def shorten(text: str, limit: int) -> str:
    """Cut a text to at most limit characters, the last of which is then an ellipsis."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


def hover_limit(point_count: int) -> int:
    """Longest hover text, in characters, that a map of so many points can afford."""
    return max(MIN_HOVER_CHARACTERS, min(MAX_HOVER_CHARACTERS, HOVER_BUDGET_CHARACTERS // point_count))


def wrap_label(name: str, width: int) -> str:
    """Break a cluster's name into lines of at most width characters, words kept whole but in Chinese or Japanese."""
    has_wide = bool(_WIDE.search(name))  # written without blanks, each letter as wide as two
    width = max(1, width // 2) if has_wide else width
    return textwrap.fill(name, width=width, break_long_words=has_wide, break_on_hyphens=False)


def display_names(names: Sequence[str]) -> list[str]:
    """Clean cluster names; an empty one becomes "Cluster i", and a repeated one gets a number."""
    taken: set[str] = set()
    shown = []
    for index, name in enumerate(names):
        base = shorten(clean(name), 200) or f"Cluster {index}"
        unique = next(one for one in _numbered(base) if one not in taken)
        taken.add(unique)
        shown.append(unique)
    return shown


def _numbered(name: str) -> Iterator[str]:
    yield name
    yield from (f"{name} ({number})" for number in count(2))
