"""Which points of a cluster speak for it, and which clusters are near it, by the vectors themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, pairwise, zip_longest

import numpy as np

from vis_assets.mapping.candidates import (
    Candidates,
    Floats,
    Labels,
    Rows,
    collect_candidates,
    find_centres,
    squared_lengths,
    to_length_one,
)
from vis_assets.mapping.clustering.layers import parents_of
from vis_assets.mapping.near_duplicates import Wording
from vis_assets.protocol.visualization_config import Metric

_CANDIDATES_PER_EXEMPLAR = 20
_FEWEST_CANDIDATES = 50
_CENTRALITY = 0.5  # its part in the choice, as against the distance to those chosen; more leaves nothing of the latter
_SAME_SHARE = 0.01  # of the usual squared distance of two candidates: nearer ones are the same
_SAME_FLOOR = 1e-6  # of the squared length, about what float32 cannot tell apart
_CENTRES_AT_ONCE = 512


@dataclass(frozen=True)
class LayerEvidence:
    """What is known of the k clusters of one layer.

    Attributes:
        exemplars: row numbers, the most typical first; index = label.
        neighbors: (k, m) int32 nearest other clusters by their centres, nearest first, -1 where there are fewer.
    """

    exemplars: Sequence[Rows]
    neighbors: Labels


def gather_evidence(
    vectors: Floats,
    layers: Sequence[Labels],
    texts: Sequence[str],
    *,
    metric: Metric,
    per_cluster: int,
    neighbors: int = 3,
) -> list[LayerEvidence]:
    """Choose points that speak for each cluster, and find the clusters nearest to it, in the vectors' own space.

    The centre of a cluster is the mean of its members. Of its most central members, exemplars are chosen one by one by
    maximal marginal relevance (Carbonell & Goldstein 1998): near the centre, far from those chosen before. A member
    is left out if its text repeats that of one chosen, or its vector is nearly the same. Members without text come
    last, those of the outer half only where the inner half does not suffice. By cosine, correlation and dot all this
    is of vectors of length 1; else of the vectors as they are, by euclidean distance. A cluster of clusters is shown
    by its children's exemplars, the best of each child first.

    The vectors are read in order, twice. Memory: one chunk, the centres, and the candidates, at most 1 GB or 20 a
    cluster.

    Args:
        vectors: (n, d) finite float32, maybe a read-only memory map.
        layers: (n,) int32 labels each, -1 for noise; the finest first, clusters of a layer inside those of the next.
        texts: n texts, empty ones allowed.
        metric: the distance that the map was made by.
        per_cluster: most exemplars of a cluster; fewer where no more distinct members are found.
        neighbors: how many near clusters to find for each.

    Returns:
        Evidence, layer by layer. Same input, same answer.
    """
    space, centres = find_centres(vectors, layers, metric)
    wanted = max(_CANDIDATES_PER_EXEMPLAR * per_cluster, _FEWEST_CANDIDATES)
    candidates = collect_candidates(space, layers[0], centres[0], texts, per_cluster=wanted)
    exemplars = [[_choose(of_cluster, texts, per_cluster) for of_cluster in candidates]]
    for finer, coarser in pairwise(layers):
        parents = parents_of(finer, coarser)
        exemplars.append(select_of_children(exemplars[-1], parents, per_cluster=per_cluster, texts=texts))
    if space.is_of_angles:
        centres = [to_length_one(of_layer) for of_layer in centres]
    return [
        LayerEvidence(of_layer, _nearest(middles, neighbors))
        for of_layer, middles in zip(exemplars, centres, strict=True)
    ]


def _choose(candidates: Candidates, texts: Sequence[str], most: int) -> Rows:
    """Choose by maximal marginal relevance; without the constants, that of angles and that of distances are one."""
    chosen: list[int] = []
    wordings: list[Wording] = []
    nearest_chosen = np.zeros(len(candidates.rows), dtype=np.float32)
    is_open = np.ones(len(candidates.rows), dtype=bool)
    same = _same_distance(candidates)
    while len(chosen) < most and is_open.any():
        kind = candidates.kinds[is_open].min()
        scores = (1 - _CENTRALITY) * nearest_chosen - _CENTRALITY * candidates.from_centre
        best = int(np.where(is_open & (candidates.kinds == kind), scores, -np.inf).argmax())
        is_open[best] = False
        wording = Wording(texts[candidates.rows[best]])
        if any(wording.repeats(other) for other in wordings):
            continue
        distances = squared_lengths(candidates.vectors - candidates.vectors[best])
        nearest_chosen = np.minimum(nearest_chosen, distances) if chosen else distances
        is_open &= nearest_chosen > same
        chosen.append(best)
        wordings.append(wording)
    return candidates.rows[chosen]


def _same_distance(candidates: Candidates) -> float:
    """Squared distance below which two candidates are nearly the same."""
    if len(candidates.rows) == 0:
        return 0.0
    usual = 2 * float(candidates.from_centre.mean())
    return max(_SAME_SHARE * usual, _SAME_FLOOR * float(squared_lengths(candidates.vectors).mean()))


def _nearest(centres: Floats, most: int) -> Labels:
    """(k, most) the nearest other rows of each of (k, d), -1 where there are fewer."""
    found = np.full((len(centres), most), -1, dtype=np.int32)
    count = min(most, len(centres) - 1)
    if count < 1:
        return found
    lengths = squared_lengths(centres)
    for start in range(0, len(centres), _CENTRES_AT_ONCE):
        rows = np.arange(start, min(start + _CENTRES_AT_ONCE, len(centres)))
        distances = lengths - 2 * (centres[rows] @ centres.T)
        distances[np.arange(len(rows)), rows] = np.inf
        near = np.sort(np.argpartition(distances, count - 1, axis=1)[:, :count], axis=1)
        order = np.argsort(np.take_along_axis(distances, near, axis=1), axis=1, kind="stable")
        found[rows, :count] = np.take_along_axis(near, order, axis=1)
    return found


def select_of_children(
    exemplars: Sequence[Rows], parents: Labels, *, per_cluster: int, texts: Sequence[str] = ()
) -> list[Rows]:
    """Choose points that speak for clusters of clusters: the best of each child, then the second of each, and so on.

    The middle of a large cluster shows one of its topics; its largest children show most of them.

    Args:
        exemplars: row numbers, the most typical first, of each child; the children by descending size.
        parents: (children,) int32, the cluster that each child is in; -1 for none.
        per_cluster: most points to choose of each cluster.
        texts: all texts, so that those which repeat another one are left out; nothing is left out without them.

    Returns:
        Row numbers, the best of the largest child first; index = parent.
    """
    families: list[list[list[int]]] = [[] for _ in range(int(parents.max(initial=-1)) + 1)]
    for rows, parent in zip(exemplars, parents.tolist(), strict=True):
        if parent >= 0:
            families[parent].append(rows.tolist())
    return [np.array(_take_in_turn(family, per_cluster, texts), dtype=np.int64) for family in families]


def _take_in_turn(queues: list[list[int]], most: int, texts: Sequence[str]) -> list[int]:
    chosen: list[int] = []
    wordings: list[Wording] = []
    for row in chain.from_iterable(zip_longest(*queues)):
        if row is None or len(chosen) == most:
            continue
        wording = Wording(texts[row] if texts else "")
        if not any(wording.repeats(other) for other in wordings):
            chosen.append(row)
            wordings.append(wording)
    return chosen
