"""The vectors of few points of each cluster, out of more vectors than fit into memory."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from heapq import heappush, heapreplace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering.layers import group_by_layers
from vis_assets.protocol.visualization_config import Metric

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int32]
Rows = npt.NDArray[np.int64]

CENTRAL, SPREAD, SILENT = 0, 1, 2
"""Why a member is a candidate: it is in the inner half of its cluster; it is anywhere in it; it has no text."""

_CHUNK_NUMBERS = 4_000_000  # of the vectors read at once: 16 MB
_ALL_NUMBERS = 250_000_000  # of the vectors of all candidates: 1 GB
_SPREAD_SHARE = 0.2
_FEWEST = 20
_BY_ANGLE = ("cosine", "correlation", "dot")


@dataclass(frozen=True)
class Space:
    """Vectors as they are compared: of length 1 for metrics of angles, else as they are but for one factor.

    Attributes:
        vectors: (n, d) float32, maybe a read-only memory map.
        metric: the distance that they are for.
        factor: what all numbers are multiplied by for metrics that are not of angles.
    """

    vectors: Floats
    metric: Metric
    factor: float = 1.0

    @property
    def is_of_angles(self) -> bool:
        """Whether lengths say nothing."""
        return self.metric in _BY_ANGLE

    def chunks(self) -> Iterator[tuple[slice, Floats]]:
        """Read all in order: where, and copies that may be written to."""
        size = max(1, _CHUNK_NUMBERS // max(self.vectors.shape[1], 1))
        for start in range(0, len(self.vectors), size):
            where = slice(start, min(start + size, len(self.vectors)))
            yield where, self._comparable(np.array(self.vectors[where], dtype=np.float32))

    def _comparable(self, rows: Floats) -> Floats:
        if not self.is_of_angles:
            rows *= np.float32(self.factor)
            return rows
        if self.metric == "correlation":
            constant = rows.max(axis=1) == rows.min(axis=1)
            rows -= rows.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
            rows[constant] = 0
        return to_length_one(rows)


def to_length_one(rows: Floats) -> Floats:
    """Divide (n, d) float32 rows by their lengths, in place; rows of zeros stay. Very long and short ones are right."""
    lengths = squared_lengths(rows)
    extreme = ~((lengths > 1e-30) & (lengths < 1e30))  # noqa: PLR2004 - far from where float32 ends
    if extreme.any():
        largest = np.abs(rows[extreme]).max(axis=1, initial=0, keepdims=True)
        rows[extreme] = np.divide(rows[extreme], largest, out=np.zeros_like(rows[extreme]), where=largest > 0)
        lengths[extreme] = squared_lengths(rows[extreme])
    lengths = np.sqrt(lengths)[:, None]
    return np.divide(rows, lengths, out=rows, where=lengths > 0)


def squared_lengths(rows: Floats) -> Floats:
    """(n,) of (n, d) rows."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def find_centres(vectors: Floats, layers: Sequence[Labels], metric: Metric) -> tuple[Space, list[Floats]]:
    """Average the members of each cluster of each layer, in one reading.

    Args:
        vectors: (n, d) float32.
        layers: (n,) int32 labels each, -1 for noise.
        metric: the distance.

    Returns:
        The space in which centres are, and one (k, d) array a layer.
    """
    space = Space(vectors, metric)
    groups, first_rows = group_by_layers(layers)
    sums = np.zeros((len(first_rows), vectors.shape[1]), dtype=np.float64)
    largest = 0.0
    for where, rows in space.chunks():
        largest = max(largest, float(np.abs(rows).max(initial=0)))
        exact = rows if space.is_of_angles else rows.astype(np.float64)  # sums of large numbers end float32
        _add_sums(sums, groups[where], exact)
    if not space.is_of_angles and largest > 0:
        space = Space(vectors, metric, 1 / largest)
    counts = np.bincount(groups, minlength=len(first_rows)).astype(np.float64)
    means = [_means(sums, counts, labels[first_rows]) for labels in layers]
    return space, [(of_layer * space.factor).astype(np.float32) for of_layer in means]


def cluster_count(labels: Labels) -> int:
    """Clusters of a layer."""
    return int(labels.max(initial=-1)) + 1


def _add_sums(sums: npt.NDArray[np.float64], groups: npt.NDArray[np.intp], rows: npt.NDArray[np.floating]) -> None:
    from scipy.sparse import csr_array

    present, places = np.unique(groups, return_inverse=True)
    entries = (np.ones(len(rows), dtype=rows.dtype), (places, np.arange(len(rows))))
    sums[present] += csr_array(entries, shape=(len(present), len(rows))) @ rows


def _means(sums: npt.NDArray[np.float64], counts: npt.NDArray[np.float64], labels: Labels) -> npt.NDArray[np.float64]:
    """(k, d) means of the clusters that groups are in; zeros for a cluster without members."""
    count = cluster_count(labels)
    totals, members = np.zeros((count, sums.shape[1])), np.zeros(count)
    inside = labels >= 0
    np.add.at(totals, labels[inside], sums[inside])
    np.add.at(members, labels[inside], counts[inside])
    return np.asarray(totals / np.maximum(members, 1)[:, None])


@dataclass(frozen=True)
class Candidates:
    """Members of one cluster among which to choose, the most central first.

    Attributes:
        rows: (m,) their row numbers.
        vectors: (m, d) of the space.
        from_centre: (m,) squared distances to the cluster's centre.
        kinds: (m,) `CENTRAL`, `SPREAD` or `SILENT`.
    """

    rows: Rows
    vectors: Floats
    from_centre: Floats
    kinds: npt.NDArray[np.int8]


def collect_candidates(
    space: Space, labels: Labels, centres: Floats, texts: Sequence[str], *, per_cluster: int
) -> Iterator[Candidates]:
    """Read all vectors once and keep those of the most central members of each cluster, and of some others.

    Of members with the same text, the first one stands for all. Where vectors are many and long, fewer are kept of
    each cluster, so that all together are at most 1 GB, or 20 a cluster.

    Args:
        space: the vectors.
        labels: (n,) int32, -1 for noise.
        centres: (k, d) of the same space.
        texts: n texts.
        per_cluster: most candidates of a cluster.

    Yields:
        Candidates of cluster 0, of cluster 1, and so on.
    """
    silent = np.fromiter((not text or text.isspace() for text in texts), dtype=bool, count=len(texts))
    eligible = _first_of_each_text(labels, texts, silent)
    sizes = np.bincount(labels[eligible], minlength=len(centres))
    affordable = _ALL_NUMBERS // max(len(centres) * space.vectors.shape[1], 1)
    most = min(per_cluster, max(affordable, _FEWEST))
    spread_count = round(most * _SPREAD_SHARE)
    spread = _spread(labels, eligible & ~silent, spread_count)
    distances = np.full(len(labels), np.inf, dtype=np.float32)
    pool = _Pool(np.minimum(sizes, most), space.vectors.shape[1])
    for where, chunk in space.chunks():
        members = np.flatnonzero(eligible[where])
        numbers, of_members = members + where.start, chunk[members]
        distances[numbers] = squared_lengths(of_members - centres[labels[numbers]])
        keys = np.select([spread[numbers], silent[numbers]], [-1.0, np.inf], distances[numbers])
        pool.offer(numbers, labels[numbers], keys, of_members)
    for size, (rows, kept) in zip(sizes.tolist(), pool.by_cluster(), strict=True):
        order = np.lexsort((rows, distances[rows], silent[rows]))
        ordered = rows[order]
        is_central = np.arange(len(rows)) < min(most - spread_count, -(-size // 2))
        kinds = np.select([silent[ordered], is_central], [SILENT, CENTRAL], SPREAD).astype(np.int8)
        yield Candidates(ordered, kept[order], distances[ordered], kinds)


def _first_of_each_text(labels: Labels, texts: Sequence[str], silent: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """(n,) whether a row is in a cluster and the first of its text there; rows without text are all their own."""
    # Hashes take a tenth of the memory of a table of texts; of a million, two are equal by chance once in 10 million.
    hashes = np.fromiter(map(hash, texts), dtype=np.int64, count=len(texts))
    rows = np.flatnonzero((labels >= 0) & ~silent)
    order = rows[np.lexsort((hashes[rows], labels[rows]))]
    repeats = (labels[order[1:]] == labels[order[:-1]]) & (hashes[order[1:]] == hashes[order[:-1]])
    eligible = labels >= 0
    eligible[order[1:][repeats]] = False
    return eligible


def _spread(labels: Labels, eligible: npt.NDArray[np.bool_], per_cluster: int) -> npt.NDArray[np.bool_]:
    """(n,) rows at even steps through the eligible members of each cluster, so many of each."""
    rows = np.flatnonzero(eligible)
    order = rows[np.argsort(labels[rows], kind="stable")]
    sizes = np.bincount(labels[order])
    ranks = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    of_row = np.repeat(sizes, sizes)
    steps = np.minimum(per_cluster, of_row)
    found = np.zeros(len(labels), dtype=bool)
    found[order[(ranks * steps) // np.maximum(of_row, 1) != ((ranks - 1) * steps) // np.maximum(of_row, 1)]] = True
    return found


class _Pool:
    """The vectors with the least keys of each cluster, as many as there is room for."""

    def __init__(self, room: npt.NDArray[np.int64], dimension: int) -> None:
        self.rows: Rows = np.zeros(int(room.sum()), dtype=np.int64)
        self.vectors: Floats = np.empty((len(self.rows), dimension), dtype=np.float32)
        self._starts: list[int] = np.concatenate([[0], np.cumsum(room)]).tolist()
        self._heaps: list[list[tuple[float, int, int]]] = [[] for _ in room]  # (-key, -row, slot), the worst first
        self._limits = np.full(len(room), np.inf)  # of full clusters, the worst key

    def offer(self, rows: Rows, labels: Labels, keys: npt.NDArray[np.floating], vectors: Floats) -> None:
        """Keep those of m rows that are better than the worst ones kept; of equals, the first."""
        places = {}
        for place in np.flatnonzero((keys < self._limits[labels]) | ~np.isfinite(keys)).tolist():
            slot = self._find_slot(int(labels[place]), float(keys[place]), int(rows[place]))
            if slot is not None:
                places[slot] = place
        slots, taken = list(places), list(places.values())
        self.rows[slots] = rows[taken]
        self.vectors[slots] = vectors[taken]

    def _find_slot(self, label: int, key: float, row: int) -> int | None:
        heap, start, end = self._heaps[label], self._starts[label], self._starts[label + 1]
        if start + len(heap) < end:
            slot = start + len(heap)
            heappush(heap, (-key, -row, slot))
        elif heap and -heap[0][0] > key:
            slot = heap[0][2]
            heapreplace(heap, (-key, -row, slot))
        else:
            return None
        if start + len(heap) == end:
            self._limits[label] = -heap[0][0]
        return slot

    def by_cluster(self) -> Iterator[tuple[Rows, Floats]]:
        """Rows and their vectors of cluster 0, of cluster 1, and so on."""
        for start, end in pairwise(self._starts):
            yield self.rows[start:end], self.vectors[start:end]
