"""Which points of a cluster speak for it."""

from collections.abc import Sequence
from itertools import chain, pairwise, zip_longest

import numpy as np
import numpy.typing as npt


def select_exemplars(
    coordinates: npt.NDArray[np.float32],
    labels: npt.NDArray[np.int32],
    membership_strengths: npt.NDArray[np.float32],
    *,
    per_cluster: int,
) -> list[npt.NDArray[np.int64]]:
    """Choose the most typical points of each cluster.

    Typical are the points of the greatest membership strength, among equals those nearest to the cluster's middle:
    the member that is nearest to the centroid, so that the middle of a curved cluster lies inside it.

    Args:
        coordinates: (n, 2) finite places on the map.
        labels: (n,) int32, -1 for noise.
        membership_strengths: (n,) float32, 0 to 1.
        per_cluster: most points to choose of each cluster.

    Returns:
        Row numbers, the most typical first; index = label. Same input, same answer.
    """
    order = np.argsort(labels, kind="stable")
    borders = np.searchsorted(labels[order], np.arange(labels.max(initial=-1) + 2))
    clusters = [order[start:end] for start, end in pairwise(borders)]
    return [_most_typical(rows, coordinates, membership_strengths)[:per_cluster] for rows in clusters]


def select_of_children(
    exemplars: Sequence[npt.NDArray[np.int64]], parents: npt.NDArray[np.int32], *, per_cluster: int
) -> list[npt.NDArray[np.int64]]:
    """Choose points that speak for clusters of clusters: the best of each child, then the second of each, and so on.

    The middle of a large cluster shows one of its topics; its largest children show most of them.

    Args:
        exemplars: row numbers, the most typical first, of each child; the children by descending size.
        parents: (children,) int32, the cluster that each child is in; -1 for none.
        per_cluster: most points to choose of each cluster.

    Returns:
        Row numbers, the best of the largest child first; index = parent.
    """
    families: list[list[list[int]]] = [[] for _ in range(int(parents.max(initial=-1)) + 1)]
    for rows, parent in zip(exemplars, parents.tolist(), strict=True):
        if parent >= 0:
            families[parent].append(rows.tolist())
    return [np.array(_take_in_turn(family)[:per_cluster], dtype=np.int64) for family in families]


def _take_in_turn(queues: list[list[int]]) -> list[int]:
    return [row for row in chain.from_iterable(zip_longest(*queues)) if row is not None]


def _most_typical(
    rows: npt.NDArray[np.intp], coordinates: npt.NDArray[np.float32], strengths: npt.NDArray[np.float32]
) -> npt.NDArray[np.int64]:
    """Order the rows of one cluster, the most typical first; the last resort is the row number."""
    if len(rows) == 0:
        return rows.astype(np.int64)
    places = coordinates[rows].astype(np.float64)
    middle = places[_squared_distances(places, places.mean(axis=0)).argmin()]
    return rows[np.lexsort((rows, _squared_distances(places, middle), -strengths[rows]))].astype(np.int64)


def _squared_distances(places: npt.NDArray[np.float64], to: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.asarray(((places - to) ** 2).sum(axis=1), dtype=np.float64)
