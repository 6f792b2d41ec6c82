"""Coarser layers over the clusters: the same spanning tree cut at larger sizes, made into one tree of topics."""

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering.numbering import NOISE, largest_first
from vis_assets.mapping.clustering.spanning_tree import SpanningTree

Labels = npt.NDArray[np.int32]

MOST_LAYERS = 3
"""Most layers above the finest."""
FEWEST_TO_GROUP = 8
"""With fewer clusters than this, there is nothing to group: a person sees them all at once."""
_COARSEST = 8  # clusters wanted in the coarsest layer of a map that has many
_FEWEST = 3  # clusters of a layer; fewer say nothing
_RATIO = 3.5  # clusters of a layer for one of the next, about
_LARGEST_SHARE = 0.6  # of the clusters of the layer before: a layer that is nearly that one is none
_TOLERANCE = 1.6  # how many times more or fewer clusters than wanted a layer may have
_STEP = 1.15  # between the sizes that are tried


@dataclass(frozen=True)
class Layers:
    """Coarser layers of n points, the next coarser first.

    Attributes:
        labels: (n,) each; 0 is the biggest cluster of the layer, -1 none.
        parents: as many arrays: for each cluster of the layer before (the first: of the finest), its cluster in this
            one. All points of a cluster are in its parent.
    """

    labels: tuple[Labels, ...] = ()
    parents: tuple[Labels, ...] = ()


def find_layers(
    tree: SpanningTree, coordinates: npt.NDArray[np.float32], labels: Labels, min_cluster_size: int
) -> Layers:
    """Group clusters into fewer, larger ones, up to three times if there are many.

    The number of clusters falls by about one factor from layer to layer, to about 8. The clusters of a layer are the
    leaves of the tree cut at a larger size. A finer cluster belongs to the leaf that holds most of its points; if none
    of them is in a leaf, to that of the nearest clusters of the finest layer. Points that are noise in a layer have the
    label of the leaf that they are in, if any, in the next.

    Args:
        tree: the tree that the finest clusters were cut from.
        coordinates: (n, 2) finite floats.
        labels: (n,) finest clusters, 0 to k - 1, each with a point, -1 for noise.
        min_cluster_size: the size at which they were cut.

    Returns:
        At most `MOST_LAYERS` layers; none with fewer than `FEWEST_TO_GROUP` clusters, or where the tree has none.
    """
    wanted_counts = _wanted_counts(_count(labels))
    if not wanted_counts:
        return Layers()
    sizes = _sizes_to_try(min_cluster_size, tree.point_count // _FEWEST)
    middles = _Middles.of(coordinates, labels)
    found: list[tuple[Labels, Labels]] = []
    finer = labels
    for wanted in wanted_counts:
        size = _choose_size(sizes, tree.leaf_count, wanted)
        if size is None:
            break
        layer, parents = _nest(finer, tree.cut(size).leaf_labels, middles)
        if _FEWEST <= _count(layer) <= _LARGEST_SHARE * _count(finer):
            found.append((layer, parents))
            finer, middles = layer, middles.in_layer(parents)
    return Layers(tuple(layer for layer, _ in found), tuple(parents for _, parents in found))


def group_by_layers(layers: Sequence[Labels]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Group points that are together in every layer, nested or not.

    Args:
        layers: (n,) labels each, at least one.

    Returns:
        (n,) group of each point, and (g,) the first point of each group.
    """
    groups, first_rows = np.zeros(len(layers[0]), dtype=np.intp), np.zeros(0, dtype=np.intp)
    for labels in layers:  # numbered anew after each layer, so that codes stay small
        codes = groups * (_count(labels) + 1) + labels + 1
        _, first_rows, groups = np.unique(codes, return_index=True, return_inverse=True)
    return groups, first_rows


def parents_of(finer: Labels, coarser: Labels) -> Labels:
    """Read the parents of clusters from the labels of two layers that nest.

    Args:
        finer: (n,) labels 0 to k - 1, each with a point, -1 for noise.
        coarser: (n,) labels of the next coarser layer.

    Returns:
        (k,) int32: for each cluster of the finer layer, the cluster of the coarser one that its points are in.
    """
    parents = np.full(_count(finer), NOISE, dtype=np.int32)
    members = finer != NOISE
    parents[finer[members]] = coarser[members]
    return parents


def _count(labels: Labels) -> int:
    return int(labels.max(initial=NOISE)) + 1


def _wanted_counts(cluster_count: int) -> list[float]:
    """Numbers of clusters that the coarser layers should have, the next coarser first, falling by one factor."""
    if cluster_count < FEWEST_TO_GROUP:
        return []
    last = min(max(cluster_count / _RATIO, _FEWEST), _COARSEST)
    factor = cluster_count / last
    layers = min(max(round(math.log(factor, _RATIO)), 1), MOST_LAYERS)
    return [cluster_count / factor ** (layer / layers) for layer in range(1, layers + 1)]


def _sizes_to_try(smallest: int, largest: int) -> list[int]:
    """Sizes above `smallest`, each about `_STEP` times the one before."""
    sizes: list[int] = []
    size = smallest
    while (size := max(size + 1, round(size * _STEP))) <= largest:
        sizes.append(size)
    return sizes


def _choose_size(sizes: list[int], count_at: Callable[[int], int], wanted: float) -> int | None:
    """The first size of the number of clusters that most sizes agree on, of numbers not far from what is wanted.

    Among numbers of equally many sizes, the nearest. Numbers fall as sizes grow, nearly always.
    """
    start = bisect_left(sizes, -wanted * _TOLERANCE, key=lambda size: -count_at(size))
    near = takewhile(lambda size: count_at(size) >= max(wanted / _TOLERANCE, _FEWEST), sizes[start:])
    plateaus = [list(plateau) for _, plateau in groupby(near, key=count_at)]
    if not plateaus:
        return None
    return max(plateaus, key=lambda plateau: (len(plateau), -abs(math.log(count_at(plateau[0]) / wanted))))[0]


@dataclass(frozen=True)
class _Middles:
    """Where the k clusters of the finest layer are.

    Attributes:
        places: (k, 2) their means.
        sizes: (k,) their points.
        clusters: (k,) the cluster of a layer that each is in.
    """

    places: npt.NDArray[np.float64]
    sizes: npt.NDArray[np.int64]
    clusters: Labels

    @classmethod
    def of(cls, coordinates: npt.NDArray[np.float32], labels: Labels) -> "_Middles":
        members = labels != NOISE
        rows, count = labels[members], _count(labels)
        sizes = np.bincount(rows, minlength=count)
        sums = [np.bincount(rows, weights=coordinates[members, axis], minlength=count) for axis in range(2)]
        return cls(np.stack(sums, axis=1) / sizes[:, None], sizes, np.arange(count, dtype=np.int32))

    def in_layer(self, parents: Labels) -> "_Middles":
        return _Middles(self.places, self.sizes, parents[self.clusters])


def _nest(finer: Labels, cut: Labels, middles: _Middles) -> tuple[Labels, Labels]:
    """Give all points of each finer cluster one label of the cut; return the layer and the parents of the finer."""
    members = finer != NOISE
    inside = members & (cut != NOISE)
    parents = _most_votes(finer[inside], cut[inside], np.ones(int(inside.sum())), _count(finer))
    parents = _join_nearest(parents, middles)
    nested = cut.copy()
    nested[members] = parents[finer[members]]
    nested[~np.isin(nested, parents)] = NOISE  # leaves inside one finer cluster, of which it is in another
    layer = largest_first(nested)
    return layer, parents_of(finer, layer)


def _join_nearest(parents: Labels, middles: _Middles) -> Labels:
    """Give clusters without a parent that of the clusters of the finest layer that are nearest to theirs."""
    from scipy.spatial import cKDTree

    own = parents[middles.clusters]
    lost = own == NOISE
    if not lost.any() or lost.all():
        return parents
    _, nearest = cKDTree(middles.places[~lost]).query(middles.places[lost])
    joined = _most_votes(middles.clusters[lost], own[~lost][nearest], middles.sizes[lost], len(parents))
    return np.where(parents == NOISE, joined, parents)


def _most_votes(voters: Labels, candidates: Labels, weights: npt.NDArray[np.generic], voter_count: int) -> Labels:
    """(voter_count,) the candidate with the greatest weight of each voter, the first among equals; -1 without any."""
    width = _count(candidates)
    pairs, places = np.unique(voters.astype(np.int64) * width + candidates, return_inverse=True)
    votes = np.bincount(places, weights=weights, minlength=len(pairs))
    order = np.lexsort((-pairs, votes))  # of a voter's pairs the last one stays
    chosen = np.full(voter_count, NOISE, dtype=np.int32)
    chosen[pairs[order] // width] = pairs[order] % width
    return chosen
