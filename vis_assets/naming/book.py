"""The book of names: what language models called clusters before, so that a cluster that is still there costs nothing.

A cluster is the same when it holds the same documents, or nearly: after new points came, HDBSCAN draws every border a
little differently, and names that change with each run would cost money and confuse who knows the map.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from vis_assets.naming.sketch import Sketch

NEARLY_ALL = 0.75
"""Share of documents in common (Jaccard index) from which on a cluster is one that was named before."""
MOST = 0.5
"""Share above which it is, if it is about the same too. No two clusters of a layer have so much in common with one."""
_BEST_KEYPHRASES = 5
_SAME_KEYPHRASES = 3
"""So many of the best keyphrases of two clusters are the same if they are about the same."""
_INDEXED = 32
"""Hashes of a sketch that are looked up. That two clusters which are the same share none of their 32 smallest has a
chance of less than 1 to a million."""
NO_NAME = ""
"""In the place of a name: a model was asked, and had none that could be used. It is not asked again for the same."""
MOST_ENTRIES = 2_000
"""Names that are kept of one map beyond those it shows now, the latest first."""


@dataclass(frozen=True)
class BookEntry:
    """A name that a language model gave.

    Attributes:
        layer: of the cluster.
        asked: fingerprint of how it was asked, see `fingerprint`.
        model: who answered, e.g. `openai/gpt-4o-mini`.
        name: as it was shown; or `NO_NAME`.
        keyphrases: of the cluster then, the best first.
        sketch: of its documents then.
    """

    layer: int
    asked: str
    model: str
    name: str
    keyphrases: tuple[str, ...]
    sketch: Sketch = field(repr=False)


class Book:
    """Names that were given, to be taken by the clusters of one run."""

    def __init__(self, entries: Iterable[BookEntry] = ()) -> None:
        """Index the entries; the first of several for the same documents counts."""
        self._entries: list[BookEntry] = list(entries)
        self._taken: set[int] = set()
        self._by_content: dict[tuple[int, str, str], list[int]] = {}
        self._by_hash: dict[tuple[int, str, int], list[int]] = {}
        for place, entry in enumerate(self._entries):
            self._by_content.setdefault((entry.layer, entry.asked, entry.sketch.content), []).append(place)
            for value in entry.sketch.hashes[:_INDEXED].tolist():
                self._by_hash.setdefault((entry.layer, entry.asked, value), []).append(place)

    @property
    def entries(self) -> Sequence[BookEntry]:
        """All entries, in order."""
        return self._entries

    def take(
        self, layer: int, sketch: Sketch, keyphrases: Sequence[str], asked: str, models: Sequence[str]
    ) -> BookEntry | None:
        """Return the name that one of these models gave to this cluster, or to one that is nearly the same; only once.

        Args:
            layer: of the cluster.
            sketch: of its documents.
            keyphrases: of the cluster, the best first.
            asked: how it would be asked now.
            models: that would be asked now, in order. A name by another is not taken; and that there is no name counts
                only from the first, since the others may know better.
        """
        exact = [(1.0, place) for place in self._by_content.get((layer, asked, sketch.content), ())]
        free = [one for one in exact if self._is_free(one[1], models)]
        free = free or [one for one in self._similar(layer, sketch, keyphrases, asked) if self._is_free(one[1], models)]
        if not free:
            return None
        _, best = max(free, key=lambda one: (one[0], _common(self._entries[one[1]].keyphrases, keyphrases), -one[1]))
        self._taken.add(best)
        return self._entries[best]

    def _similar(
        self, layer: int, sketch: Sketch, keyphrases: Sequence[str], asked: str
    ) -> Iterator[tuple[float, int]]:
        """Clusters that are nearly the same: their similarity and their place."""
        for place in self._sharing(layer, sketch, asked):
            entry = self._entries[place]
            similarity = entry.sketch.similarity(sketch)
            if similarity >= NEARLY_ALL or (similarity > MOST and _agree(entry.keyphrases, keyphrases)):
                yield similarity, place

    def _is_free(self, place: int, models: Sequence[str]) -> bool:
        entry = self._entries[place]
        return place not in self._taken and entry.model in (models if entry.name != NO_NAME else models[:1])

    def _sharing(self, layer: int, sketch: Sketch, asked: str) -> set[int]:
        """Entries that share a document with a cluster."""
        return {
            place
            for value in sketch.hashes[:_INDEXED].tolist()
            for place in self._by_hash.get((layer, asked, value), ())
        }


def _agree(some: Sequence[str], others: Sequence[str]) -> bool:
    fewest = min(_SAME_KEYPHRASES, len(some), len(others))
    return _common(some, others) >= fewest > 0


def _common(some: Sequence[str], others: Sequence[str]) -> int:
    """Best keyphrases that both have."""
    return len(set(some[:_BEST_KEYPHRASES]) & set(others[:_BEST_KEYPHRASES]))


def fingerprint(version: int, prompt: str | None, language: str | None) -> str:
    """Return what changes when the same cluster would be asked for in another way."""
    return hashlib.sha256(json.dumps([version, prompt, language]).encode()).hexdigest()[:16]


def turn_page(new: Sequence[BookEntry], old: Sequence[BookEntry]) -> list[BookEntry]:
    """Return what to keep: the names of this run, then older ones of clusters that it does not have."""
    known = {(entry.layer, entry.asked, entry.sketch.content, entry.model) for entry in new}
    kept = [entry for entry in old if (entry.layer, entry.asked, entry.sketch.content, entry.model) not in known]
    return [*new, *kept[:MOST_ENTRIES]]
