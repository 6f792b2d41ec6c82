"""Reading what a language model answered. It is not to be trusted: not its form, and not its content."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from vis_assets.errors import AnswerUnusable
from vis_assets.naming.distinct import comparable
from vis_assets.naming.evidence import ClusterEvidence
from vis_assets.naming.grounding import is_dictated
from vis_assets.naming.titles import clean_name

_THOUGHTS = re.compile(r"<think(?:ing)?>.*?</think(?:ing)?>", re.DOTALL)
_MOST_BRACES = 50
"""Places in an answer at which JSON is looked for."""


@dataclass(frozen=True)
class ReadNames:
    """The names of an answer, by position of their cluster in the question.

    Attributes:
        usable: fit to be shown.
        refused: what one document dictated, and what several clusters share, though the model was told to tell them
            apart.
    """

    usable: Mapping[int, str]
    refused: Mapping[int, str]


def read_names(text: str, clusters: Sequence[ClusterEvidence], characters: int = 1_000) -> ReadNames:
    """Read the names of an answer, made fit to be shown; what is no name at all is left out.

    Args:
        text: the answer; JSON, or prose with JSON in it.
        clusters: that were asked for, c0, c1, ...
        characters: beginning of each document that names are checked against; no less than the model was shown.

    Raises:
        AnswerUnusable: it holds no names.
    """
    found = _find_names(text, len(clusters))
    if not found:
        raise AnswerUnusable("the answer holds no names in the form that was asked for")
    cleaned = next((names for candidate in reversed(found) if (names := _clean(candidate))), {})
    shared = Counter(comparable(name) for name in cleaned.values())
    refused = {
        place: name
        for place, name in cleaned.items()
        if shared[comparable(name)] > 1 or _is_dictated(name, place, clusters, characters)
    }
    return ReadNames({place: name for place, name in cleaned.items() if place not in refused}, refused)


def _is_dictated(name: str, place: int, clusters: Sequence[ClusterEvidence], characters: int) -> bool:
    own = clusters[place]
    texts = [text[:characters] for text in (*own.documents, *own.members)]
    others = [text[:characters] for i, other in enumerate(clusters) if i != place for text in other.documents]
    return is_dictated(name, own.keyphrases, texts, others)


def _clean(names: Mapping[int, str]) -> dict[int, str]:
    return {place: name for place, raw in names.items() if (name := clean_name(raw))}


def _find_names(text: str, count: int) -> list[dict[int, str]]:
    """Names by position, from each JSON value in the text that holds some: the last is what the model came to."""
    text = _THOUGHTS.sub("", text)
    decoder = json.JSONDecoder()
    found = []
    place = 0
    for _ in range(_MOST_BRACES):
        start = min((at for brace in "{[" if (at := text.find(brace, place)) >= 0), default=-1)
        if start < 0:
            break
        try:
            value, place = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            place = start + 1
            continue
        names = _names_in(value, count)
        if names:
            found.append(names)
    return found


def _names_in(value: Any, count: int) -> dict[int, str]:
    """Names in a decoded value: as asked for, a bare list of entries, or an object of names by id."""
    entries = value.get("names", value) if isinstance(value, Mapping) else value
    if isinstance(entries, Mapping):
        entries = [{"id": key, "name": name} for key, name in entries.items()]
    if not isinstance(entries, list):
        return {}
    places = {f"c{place}": place for place in range(count)}
    found: dict[int, str] = {}
    for entry in entries:
        place = places.get(str(entry.get("id"))) if isinstance(entry, Mapping) else None
        if place is not None and isinstance(entry.get("name"), str):
            found.setdefault(place, entry["name"])
    return found
