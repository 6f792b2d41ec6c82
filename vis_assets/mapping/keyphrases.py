"""Words and phrases that set one cluster's texts apart from the others', without any language model."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering.layers import group_by_layers
from vis_assets.mapping.phrases import Phrases, distinct, find_phrases
from vis_assets.mapping.words import is_character_of_unspaced, join_words, read_words

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_COMMON_SHARE = 0.2  # a word in more of the texts than this, in most clusters, says nothing of any of them
_COMMON_PENALTY = 1e-3  # so that common words come last, not never
_PART_SHARES = 0.4, 0.6  # a phrase stands for a word, for a pair if it makes at least this share of it
_CANDIDATES_PER_PHRASE = 10
_TWO = 2


def extract_keyphrases(
    texts: Sequence[str], labels: npt.NDArray[np.int32], *, per_cluster: int = 10
) -> list[tuple[str, ...]]:
    """Find what each cluster's texts talk about more than the others' (class-based TF-IDF; Grootendorst 2022).

    The weight of a phrase in a cluster is its share of the cluster's phrases, less its share of all others', times
    log(1 + A / f), where f is how often the phrase occurs anywhere (noise included) and A the mean number of phrases of
    a cluster. So what is as frequent everywhere comes last, whatever the language. Phrases are words and runs of two
    and three neighbouring words, in lower case, without bare numbers and the function words of English and of the
    languages that the texts are evidently in, if they are among ten common ones. Of a phrase and its parts, only one is
    kept. Of Chinese and Thai, phrases are runs of up to six characters or syllables that are not nearly always part of
    the same longer run; of Japanese, these of Han characters, and words of katakana; of Korean, words without
    particles.

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
    words = read_words(texts)
    phrases = find_phrases(words, len(texts))
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
    weights.data *= _worth(members, _are_characters(members, vocabulary), text_counts, sizes)[weights.indices]
    weights.eliminate_zeros()
    return [
        _best_phrases(weights[[label]], counts[[label]], members, vocabulary, most) for label in range(cluster_count)
    ]


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


def _count_by_group(phrases: Phrases, layers: Sequence[npt.NDArray[np.int32]]) -> _Tally:
    groups, first_rows = group_by_layers(layers)
    count = len(phrases.members)
    texts = distinct(phrases.occurrences[:, 0] * count + phrases.occurrences[:, 1])
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
    others = totals.sum() - totals[rows]
    share_of_others = (frequency[counts.indices] - counts.data) / np.maximum(others, 1)
    weights.data *= np.maximum(1 - share_of_others * totals[rows] / counts.data, _COMMON_PENALTY)
    return weights


def _are_characters(members: npt.NDArray[np.int32], vocabulary: list[str]) -> npt.NDArray[np.bool_]:
    """(p,) whether a phrase begins with a character of a script without spaces, so that its members are no words."""
    is_character = np.array([is_character_of_unspaced(word) for word in vocabulary], dtype=bool)
    return is_character[members[:, 0]]


def _worth(
    members: npt.NDArray[np.int32],
    are_characters: npt.NDArray[np.bool_],
    text_counts: "csr_array",
    sizes: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """(p,) factors: near 0 for words in a good part of the texts of most clusters, 0 for phrases with one, else 1.

    `text_counts` is (k, p), texts of each cluster with each phrase; `sizes` (k,), texts of each cluster.
    """
    count = len(members)
    worth = np.ones(count)
    if len(sizes) == 1:  # nothing to compare with
        return worth
    by_class = text_counts.tocoo()
    spread = by_class.data > _COMMON_SHARE * sizes[by_class.row]
    common = np.bincount(by_class.col[spread], minlength=count) > len(sizes) / 2
    is_single = (members[:, 1] < 0) | are_characters
    worth[common & is_single] = _COMMON_PENALTY
    common_words = np.append(np.zeros(int(members.max(initial=-1)) + 1, dtype=bool), False)
    common_words[members[common & is_single, 0]] = True
    common_words[members[are_characters, 0]] = False
    worth[~is_single] = ~common_words[members[~is_single]].any(axis=1)
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
    for numbers, count in zip(members[phrases].tolist(), frequencies, strict=True):
        candidate = _Candidate(tuple(vocabulary[word] for word in numbers if word >= 0), count)
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
        return join_words(self.words)

    @cached_property
    def stems(self) -> frozenset[str]:
        """The words without a plural s, so that "layout" and "layouts" are one."""
        return frozenset(word.removesuffix("s") for word in self.words)

    def mostly_is(self, longer: "_Candidate") -> bool:
        """Whether it occurs in a longer phrase often enough for that one to stand for it; once is chance."""
        share = _PART_SHARES[len(self.words) > 1]
        return longer.count - 1 >= share * (self.count - 1)

    def says_nearly(self, other: "_Candidate") -> bool:
        """Whether two phrases of three words share two."""
        return min(len(self.stems), len(other.stems)) > _TWO <= len(self.stems & other.stems)


def _add_unless_redundant(chosen: list[_Candidate], candidate: _Candidate) -> None:
    """Append to `chosen`; a phrase takes the place of its parts if it makes most of them, else is left out."""
    if any(candidate.stems <= other.stems or candidate.says_nearly(other) for other in chosen):
        return
    parts = [place for place, other in enumerate(chosen) if other.stems <= candidate.stems]
    if not parts:
        chosen.append(candidate)
    elif all(chosen[place].mostly_is(candidate) for place in parts):
        chosen[parts[0]] = candidate
        for place in reversed(parts[1:]):
            del chosen[place]
