"""Names for clusters out of their own evidence: what the stand-in has in place of a language model."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain, combinations
from typing import Any

from vis_assets.naming.titles import name_of_keyphrases

_QUESTION_START = '{"clusters"'
_PHRASES_IN_PLAY = 6
_FREQUENT_WORDS = 8
_LONG_WORD = re.compile(r"[^\W\d_]{5,}")
_DOCUMENTS_OF_TASK = re.compile(r"<documents>(.*?)</documents>", re.DOTALL)
_ANY_WORD = re.compile(r"\w{2,}")


def read_clusters(text: str) -> list[dict[str, Any]]:
    """Find the clusters that a text asks to name; none where it asks for something else."""
    start = text.find(_QUESTION_START)
    while start >= 0:
        try:
            question, _ = json.JSONDecoder().raw_decode(text, start)
        except ValueError:
            question = {}
        clusters = question.get("clusters")
        if isinstance(clusters, list):
            return [cluster for cluster in clusters if isinstance(cluster, dict)]
        start = text.find(_QUESTION_START, start + 1)
    return []


def name_clusters(clusters: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Name clusters by their evidence, no two alike, and none like what it is made of, where the evidence allows.

    Args:
        clusters: as `vis_assets.naming` asks for them: `id`, and any of `children`, `keyphrases`, `documents`, `task`
            and `avoid`.

    Returns:
        `id` and `name` of each, in the same order.
    """
    named: list[dict[str, str]] = []
    taken: set[frozenset[str]] = set()
    for cluster in clusters:
        avoided = taken | {_words(name) for key in ("avoid", "children") for name in _strings(cluster, key)}
        candidates = chain(_candidates(_evidence(cluster), _strings(cluster, "documents")), ["Unclear"])
        first = next(candidates)
        name = next((name for name in chain([first], candidates) if _words(name) not in avoided), first)
        taken.add(_words(name))
        named.append({"id": str(cluster.get("id", "")), "name": name})
    return named


def _evidence(cluster: Mapping[str, Any]) -> list[str]:
    """Return phrases, best first: what children share, what several documents hold, and then what there is."""
    children, documents = _strings(cluster, "children"), _strings(cluster, "documents")
    keyphrases = sorted(_strings(cluster, "keyphrases"), key=lambda phrase: not _is_shared(phrase, documents))
    words = _count_words(children)
    if keyphrases:
        return [*(word for word, count in words if count > 1), *keyphrases]
    if children:
        return [word for word, _ in words]
    tasks = [part for task in _strings(cluster, "task") for part in _DOCUMENTS_OF_TASK.findall(task) or [task]]
    return [word for word, _ in _count_words([*documents, *tasks])]


def _is_shared(phrase: str, documents: Sequence[str]) -> bool:
    return sum(phrase.casefold() in document.casefold() for document in documents) > 1


def _words(name: str) -> frozenset[str]:
    """Return what makes two names alike: the same words in another order are no other name."""
    return frozenset(_ANY_WORD.findall(name.casefold()))


def _strings(cluster: Mapping[str, Any], key: str) -> list[str]:
    value = cluster.get(key)
    listed = value if isinstance(value, list) else [value]
    return [item for item in listed if isinstance(item, str) and item.strip()]


def _count_words(texts: Sequence[str]) -> list[tuple[str, int]]:
    """Count words, the most frequent first; short ones only where there are no others."""
    joined = "\n".join(texts).lower()
    words = _LONG_WORD.findall(joined) or _ANY_WORD.findall(joined)
    return Counter(words).most_common(_FREQUENT_WORDS)


def _candidates(phrases: Sequence[str], documents: Sequence[str]) -> Iterator[str]:
    """Yield names in the style of our own: of the first phrases, then of two, one or three others."""
    in_play = phrases[:_PHRASES_IN_PLAY]
    for chosen in chain([in_play], *(combinations(in_play, count) for count in (2, 1, 3))):
        name = name_of_keyphrases(list(chosen), documents)
        if name:
            yield name
