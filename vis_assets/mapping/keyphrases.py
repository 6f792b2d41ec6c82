"""Words and pairs of words that set one cluster's texts apart from the others', without any language model."""

import re
from array import array
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_CHARACTERS_PER_TEXT = 2_000
_CHARACTERS_IN_ALL = 100_000_000  # bounds time and memory: about 17 million words
_FEWEST_CHARACTERS_PER_TEXT = 100
_RARE_IN_MANY = 100  # in more texts than this, a phrase that occurs in one text only is dropped
_COMMON_SHARE = 0.2  # a word in more of the texts than this, in most clusters, says nothing of any of them
_COMMON_PENALTY = 1e-3  # so that common words come last, not never
_PAIR_SHARE = 0.4  # a pair stands for its words if it makes at least this share of the most frequent of them
_CANDIDATES_PER_PHRASE = 10

_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\u0e00-\u0e7f"  # kana, Han, Thai: no spaces between words
_TOKEN = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}](?:[^\W{_UNSPACED}]*[^\W_{_UNSPACED}])?|[^\w\s'\u2019-]+|\n\s*\n")
_IS_UNSPACED = re.compile(rf"[{_UNSPACED}]")

_FUNCTION_WORDS = """
a about above after again all also am an and any are aren as at be because been before being below between both
but by can cannot could couldn did didn do does doesn doing don down during each either else etc ever every few
for from further get given gets had hadn has hasn have haven having he her here hers herself him himself his how
however if in into is isn it its itself just let ll may me might more most must mustn my myself neither no nor not
of off on once one only or other otherwise our ours ourselves out over own per rather re same shall shan she should
shouldn so some such than that the their theirs them themselves then there therefore these they this those though
through thus to too under until up upon us use used uses using ve very via was wasn we were weren what when where
whether which while who whom whose why will with within without won would wouldn yet you your yours yourself
yourselves http https www com org html
"""
_STOP_WORDS = frozenset(_FUNCTION_WORDS.split())


@dataclass(frozen=True)
class _Words:
    """All words of all texts in reading order; -1 between texts, sentences and where a stop word was.

    Attributes:
        ids: (t,) int32 places in `vocabulary`, or -1.
        text_rows: (t,) int32, the text that each word is in.
        vocabulary: the distinct words, in order of first appearance.
    """

    ids: npt.NDArray[np.int32]
    text_rows: npt.NDArray[np.int32]
    vocabulary: list[str]


@dataclass(frozen=True)
class _Phrases:
    """Occurrences of phrases: words first, then pairs.

    Attributes:
        occurrences: (m, 2) int64, rows (text, phrase).
        members: (p, 2) int32 words of each phrase, the second -1 for a single word.
    """

    occurrences: npt.NDArray[np.int64]
    members: npt.NDArray[np.int32]


def extract_keyphrases(
    texts: Sequence[str], labels: npt.NDArray[np.int32], *, per_cluster: int = 10
) -> list[tuple[str, ...]]:
    """Find what each cluster's texts talk about more than the others' (class-based TF-IDF; Grootendorst 2022).

    The weight of a phrase in a cluster is its share of the cluster's phrases times log(1 + A / f), where f is how often
    the phrase occurs anywhere (noise included) and A the mean number of phrases of a cluster. Phrases are single words
    and pairs of neighbouring words, in lower case, without English function words and bare numbers; words that are
    common in most clusters come last, whatever the language. Of a pair and its words, only one is kept. Texts of
    scripts without spaces are cut into characters, and pairs of these are the phrases.

    Only the first 2,000 characters of a text are read, fewer above 50,000 texts.

    Args:
        texts: n texts, empty ones allowed.
        labels: (n,) int32, -1 for noise.
        per_cluster: most phrases of a cluster.

    Returns:
        Phrases, the best first; index = label; an empty tuple for a cluster without words. Same input, same answer.
    """
    (keyphrases,) = extract_layer_keyphrases(texts, (labels,), per_cluster=per_cluster)
    return keyphrases


def extract_layer_keyphrases(
    texts: Sequence[str], layers: Sequence[npt.NDArray[np.int32]], *, per_cluster: int = 10
) -> list[list[tuple[str, ...]]]:
    """Find what `extract_keyphrases` finds, for several layers of clusters; the texts are read once.

    Args:
        texts: n texts, empty ones allowed.
        layers: (n,) int32 labels each, -1 for noise. A cluster is compared with the others of its layer.
        per_cluster: most phrases of a cluster.

    Returns:
        What `extract_keyphrases` returns, layer by layer.
    """
    words = _read_words(texts)
    phrases = _find_phrases(words, len(texts))
    if len(phrases.occurrences) == 0:
        return [[()] * _class_count(labels) for labels in layers]
    tally = _count_by_group(phrases, layers)
    return [_choose_phrases(tally, labels, phrases.members, words.vocabulary, per_cluster) for labels in layers]


def _class_count(labels: npt.NDArray[np.int32]) -> int:
    return int(labels.max(initial=-1)) + 1


def _choose_phrases(
    tally: "_Tally", labels: npt.NDArray[np.int32], members: npt.NDArray[np.int32], vocabulary: list[str], most: int
) -> list[tuple[str, ...]]:
    """The phrases of the clusters of one layer."""
    cluster_count = _class_count(labels)
    if cluster_count == 0:
        return []
    counts = _sum_by_class(tally.occurrences, labels[tally.first_rows])
    weights = _weigh(counts)
    sizes = np.bincount(labels[labels >= 0], minlength=cluster_count)
    text_counts = _sum_by_class(tally.texts, labels[tally.first_rows])[:cluster_count]
    weights.data *= _worth(members, text_counts, sizes)[weights.indices]
    weights.eliminate_zeros()
    return [
        _best_phrases(weights[[label]], counts[[label]], members, vocabulary, most) for label in range(cluster_count)
    ]


def _read_words(texts: Sequence[str]) -> _Words:
    limit = max(_FEWEST_CHARACTERS_PER_TEXT, min(_CHARACTERS_PER_TEXT, _CHARACTERS_IN_ALL // max(len(texts), 1)))
    places: defaultdict[str, int] = defaultdict()
    places.default_factory = places.__len__  # the next place is that of a new word
    numbers = array("i")
    lengths = np.empty(len(texts), dtype=np.int64)
    for row, text in enumerate(texts):
        tokens = _TOKEN.findall(text[:limit].lower())
        numbers.extend(map(places.__getitem__, tokens))
        numbers.append(-1)
        lengths[row] = len(tokens) + 1
    ids = np.array(numbers, dtype=np.int32)
    vocabulary = list(places)
    silent = np.array([*(_is_silent(token) for token in vocabulary), True])  # the last place is that of id -1
    ids[silent[ids]] = -1
    return _Words(ids, np.repeat(np.arange(len(texts), dtype=np.int32), lengths), vocabulary)


def _is_silent(token: str) -> bool:
    """Whether a token says nothing of its text: punctuation, bare numbers, function words, single Latin letters."""
    if not token[0].isalnum() and not _IS_UNSPACED.match(token):
        return True
    return token in _STOP_WORDS or token.isdecimal() or (len(token) == 1 and not _IS_UNSPACED.match(token))


def _find_phrases(words: _Words, text_count: int) -> _Phrases:
    """Single words and neighbours, without those too rare to say anything of a cluster."""
    fewest_texts = 2 if text_count > _RARE_IN_MANY else 1
    size = len(words.vocabulary)
    spoken = words.ids >= 0
    singles = np.stack([words.text_rows[spoken], words.ids[spoken]], axis=1).astype(np.int64)
    frequent = _texts_with(singles, size) >= fewest_texts
    both = spoken[:-1] & spoken[1:]
    left, right, rows = words.ids[:-1][both], words.ids[1:][both], words.text_rows[:-1][both]
    kept = frequent[left] & frequent[right] & (left != right)
    codes, pair_ids = np.unique(left[kept].astype(np.int64) * size + right[kept], return_inverse=True)
    pairs = np.stack([rows[kept].astype(np.int64), pair_ids], axis=1)
    frequent_pairs = _texts_with(pairs, len(codes)) >= fewest_texts
    unspaced = np.array([bool(_IS_UNSPACED.match(word)) for word in words.vocabulary], dtype=bool)
    singles = singles[(frequent & ~unspaced)[singles[:, 1]]]
    pairs = pairs[frequent_pairs[pairs[:, 1]]] + np.array([0, size])
    first = np.concatenate([np.arange(size), codes // max(size, 1)])
    second = np.concatenate([np.full(size, -1), codes % max(size, 1)])
    return _Phrases(np.concatenate([singles, pairs]), np.stack([first, second], axis=1).astype(np.int32))


def _texts_with(occurrences: npt.NDArray[np.int64], size: int) -> npt.NDArray[np.int64]:
    """(size,) number of texts in which each word or phrase occurs, from its occurrences (text, phrase)."""
    once = _distinct(occurrences[:, 0] * max(size, 1) + occurrences[:, 1])
    return np.bincount(once % max(size, 1), minlength=size).astype(np.int64)


def _distinct(values: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Values in ascending order, each once; several times as fast as `np.unique`, which hashes."""
    ordered = np.sort(values)
    return ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])] if len(ordered) else ordered


@dataclass(frozen=True)
class _Tally:
    """Phrases by group of texts; texts of one group are together in every layer.

    Attributes:
        occurrences: (g, p) how often each phrase occurs in a group.
        texts: (g, p) in how many of its texts.
        first_rows: (g,) the first text of each group.
    """

    occurrences: "csr_array"
    texts: "csr_array"
    first_rows: npt.NDArray[np.intp]


def _count_by_group(phrases: _Phrases, layers: Sequence[npt.NDArray[np.int32]]) -> _Tally:
    codes = np.zeros(len(layers[0]), dtype=np.int64)
    groups, first_rows = codes, np.zeros(1, dtype=np.intp)
    for labels in layers:  # numbered anew after each layer, so that codes stay small
        codes = groups * (_class_count(labels) + 1) + labels + 1
        _, first_rows, groups = np.unique(codes, return_index=True, return_inverse=True)
    count = len(phrases.members)
    texts = _distinct(phrases.occurrences[:, 0] * count + phrases.occurrences[:, 1])
    once = np.stack([texts // count, texts % count], axis=1)
    shape = len(first_rows), count
    return _Tally(_count_pairs(phrases.occurrences, groups, shape), _count_pairs(once, groups, shape), first_rows)


def _count_pairs(
    occurrences: npt.NDArray[np.int64], groups: npt.NDArray[np.intp], shape: tuple[int, int]
) -> "csr_array":
    from scipy.sparse import coo_array

    entries = (np.ones(len(occurrences)), (groups[occurrences[:, 0]], occurrences[:, 1]))
    counts = coo_array(entries, shape=shape).tocsr()
    counts.sum_duplicates()
    return counts


def _sum_by_class(counts: "csr_array", labels: npt.NDArray[np.int32]) -> "csr_array":
    """(clusters + 1, p) sums over groups of these labels; the last row is noise."""
    from scipy.sparse import csr_array

    cluster_count = _class_count(labels)
    classes = np.where(labels < 0, cluster_count, labels)
    entries = (np.ones(len(labels)), (classes, np.arange(len(labels))))
    sums = csr_array(entries, shape=(cluster_count + 1, len(labels))) @ counts
    sums.sort_indices()
    return sums


def _weigh(counts: "csr_array") -> "csr_array":
    totals = np.asarray(counts.sum(axis=1)).ravel()
    frequency = np.asarray(counts.sum(axis=0)).ravel()
    mean_total = totals[totals > 0].mean()
    weights = counts.copy()
    rows = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
    weights.data *= np.log1p(mean_total / frequency[counts.indices]) / totals[rows]
    return weights


def _worth(
    members: npt.NDArray[np.int32], text_counts: "csr_array", sizes: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """(p,) factors: near 0 for words in a good part of the texts of most clusters, 0 for pairs with one, else 1.

    `text_counts` is (k, p), texts of each cluster with each phrase; `sizes` (k,), texts of each cluster.
    """
    count = len(members)
    worth = np.ones(count)
    if len(sizes) == 1:  # nothing to compare with
        return worth
    by_class = text_counts.tocoo()
    spread = by_class.data > _COMMON_SHARE * sizes[by_class.row]
    common = np.bincount(by_class.col[spread], minlength=count) > len(sizes) / 2
    is_pair = members[:, 1] >= 0
    worth[common & ~is_pair] = _COMMON_PENALTY
    worth[is_pair] = ~common[members[is_pair]].any(axis=1)
    return worth


def _best_phrases(
    weights: "csr_array",
    counts: "csr_array",
    members: npt.NDArray[np.int32],
    vocabulary: list[str],
    per_cluster: int,
) -> tuple[str, ...]:
    """The heaviest phrases of one cluster ((1, p) weights and counts), without those that repeat a better one."""
    order = _heaviest(weights, per_cluster * _CANDIDATES_PER_PHRASE)
    phrases = weights.indices[order]
    frequencies = counts.data[np.searchsorted(counts.indices, phrases)].tolist()
    chosen: list[_Candidate] = []
    known: set[str] = set()
    for pair, count in zip(members[phrases].tolist(), frequencies, strict=True):
        candidate = _Candidate(tuple(vocabulary[word] for word in pair if word >= 0), count)
        if known.isdisjoint(candidate.stems):
            chosen.append(candidate)
        else:
            _add_unless_redundant(chosen, candidate)
        known |= candidate.stems
    return tuple(candidate.phrase for candidate in chosen[:per_cluster])


def _heaviest(weights: "csr_array", most: int) -> npt.NDArray[np.intp]:
    """Places of the greatest of (1, p) weights, the greatest first, equals by phrase."""
    places = np.arange(len(weights.data))
    if len(places) > most:  # a large cluster has many phrases, and sorting them all takes long
        places = np.flatnonzero(weights.data >= np.partition(weights.data, -most)[-most])
    return places[np.lexsort((weights.indices[places], -weights.data[places]))][:most]


@dataclass(frozen=True)
class _Candidate:
    words: tuple[str, ...]
    count: float

    @property
    def phrase(self) -> str:
        return ("" if _IS_UNSPACED.match(self.words[0]) else " ").join(self.words)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words without a plural s, so that "layout" and "layouts" are one."""
        return frozenset(word.removesuffix("s") for word in self.words)


def _add_unless_redundant(chosen: list[_Candidate], candidate: _Candidate) -> None:
    """Append to `chosen`; a pair takes the place of its words if they occur in it often enough, else is left out."""
    overlapping = [place for place, other in enumerate(chosen) if other.stems <= candidate.stems]
    if any(candidate.stems <= other.stems for other in chosen):
        return
    if not overlapping:
        chosen.append(candidate)
    elif candidate.count - 1 >= _PAIR_SHARE * (max(chosen[place].count for place in overlapping) - 1):  # one is chance
        chosen[overlapping[0]] = candidate
        for place in reversed(overlapping[1:]):
            del chosen[place]
