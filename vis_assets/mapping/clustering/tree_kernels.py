"""From a minimum spanning tree to clusters: the compiled part of the fast engine, without recursion.

Import this module inside functions only: it brings numba. The compiled code is kept beside it, in `__pycache__`, or in
numba's folder in the user's cache where that is not writable.

n points have merges 0 to n - 2, the closest first. A child below n is a point, a child of n or more the merge
child - n. Lambda is 1 / distance, as in McInnes & Healy 2017.
"""

import numba  # noqa: TID253 - see above
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
ROOT = 0
"""The condensed cluster of all points."""


@numba.njit(cache=True)
def _find(parents: Ints, node: int) -> int:
    while parents[node] != node:
        parents[node] = parents[parents[node]]
        node = parents[node]
    return node


@numba.njit(cache=True)
def merge_along(sources: Ints, targets: Ints) -> tuple[Ints, Ints]:
    """Join points along the edges of a spanning tree (Kruskal).

    Args:
        sources: (n - 1,) one end of each edge, the shortest edge first.
        targets: (n - 1,) the other end.

    Returns:
        (n - 1, 2) children of each merge, and (n - 1,) its number of points.
    """
    count = len(sources) + 1
    parents = np.arange(count)
    nodes = np.arange(count)  # the merge, or point, that a set of points has become
    sizes = np.ones(count, dtype=np.int64)
    children = np.empty((count - 1, 2), dtype=np.int64)
    merge_sizes = np.empty(count - 1, dtype=np.int64)
    for merge in range(count - 1):
        one, other = _find(parents, sources[merge]), _find(parents, targets[merge])
        children[merge, 0], children[merge, 1] = nodes[one], nodes[other]
        if sizes[one] < sizes[other]:
            one, other = other, one
        parents[other] = one
        sizes[one] += sizes[other]
        merge_sizes[merge] = sizes[one]
        nodes[one] = count + merge
    return children, merge_sizes


@numba.njit(cache=True)
def find_splits(
    children: Ints, sizes: Ints, distances: Floats, min_cluster_size: int
) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Tell where a cluster comes apart.

    Merges at distance 0 make one merge of many children: points in one place cannot come apart.

    Args:
        children: (n - 1, 2) from `merge_along`.
        sizes: (n - 1,) from `merge_along`.
        distances: (n - 1,) at which each merge happens, ascending.
        min_cluster_size: fewest points that make a cluster, at least 2.

    Returns:
        (n - 1,) the merge that each merge is a part of, mostly itself; and (n - 1,) whether two or more of its children
        are large enough to be clusters.
    """
    count = len(children) + 1
    wholes = np.arange(count - 1)
    large = np.zeros(count - 1, dtype=np.int64)
    for merge in range(count - 2, -1, -1):
        for side in range(2):
            child = children[merge, side] - count
            if child < 0:
                continue
            if distances[merge] == 0.0:
                wholes[child] = wholes[merge]
            elif sizes[child] >= min_cluster_size:
                large[merge] += 1
    return wholes, large > 1


@numba.njit(cache=True)
def condense(
    children: Ints, sizes: Ints, distances: Floats, wholes: Ints, splits: npt.NDArray[np.bool_], min_cluster_size: int
) -> tuple[Ints, Floats, Ints, Floats, Floats]:
    """Walk from the last merge to the first and keep the clusters that are large enough (Campello et al. 2013).

    Args:
        children: (n - 1, 2) from `merge_along`.
        sizes: (n - 1,) from `merge_along`.
        distances: (n - 1,) at which each merge happens, ascending.
        wholes: (n - 1,) from `find_splits`.
        splits: (n - 1,) from `find_splits`.
        min_cluster_size: fewest points that make a cluster, at least 2.

    Returns:
        (n,) the smallest cluster that each point is in; (n,) the lambda at which it leaves it; (m,) the parent of each
        cluster, which has a lower number, -1 for ROOT; (m,) the lambda at which each cluster comes off its parent; and
        (m,) the clusters' stabilities.
    """
    count = len(children) + 1
    clusters = np.zeros(count - 1, dtype=np.int64)
    fallen = np.full(count - 1, -1.0)  # lambda at which a merge had left its cluster, -1 where it had not
    point_clusters = np.zeros(count, dtype=np.int64)
    point_lambdas = np.zeros(count)
    parents = np.full(2 * (count // min_cluster_size) + 2, -1, dtype=np.int64)
    births = np.zeros(len(parents))
    stabilities = np.zeros(len(parents))
    known = 1
    for merge in range(count - 2, -1, -1):
        own, level = clusters[merge], fallen[merge]
        is_alive = level < 0.0
        if is_alive:
            level = 1.0 / distances[merge] if distances[merge] > 0.0 else np.inf
        for side in range(2):
            child = children[merge, side]
            is_part = child >= count and wholes[child - count] != child - count
            size = 1 if child < count else sizes[child - count]
            stays = is_alive and size >= min_cluster_size
            cluster = own
            if is_alive and not is_part and (splits[merge] or not stays):
                stabilities[own] += (level - births[own]) * size
            if stays and splits[merge]:
                cluster = known
                parents[cluster], births[cluster] = own, level
                known += 1
            if child < count:
                point_clusters[child], point_lambdas[child] = own, level
            else:
                clusters[child - count] = cluster
                fallen[child - count] = -1.0 if stays or (is_part and is_alive) else level
    return point_clusters, point_lambdas, parents[:known], births[:known], stabilities[:known]


@numba.njit(cache=True)
def select(parents: Ints, stabilities: Floats) -> Ints:
    """Choose the clusters of the greatest stability in all that do not hold each other, never ROOT (excess of mass).

    Args:
        parents: (m,) from `condense`.
        stabilities: (m,) from `condense`.

    Returns:
        (m,) the chosen cluster that each cluster is in, -1 where there is none.
    """
    count = len(parents)
    below = np.zeros(count)
    is_best = np.zeros(count, dtype=np.bool_)
    for cluster in range(count - 1, ROOT, -1):
        is_best[cluster] = stabilities[cluster] >= below[cluster]
        below[parents[cluster]] += max(stabilities[cluster], below[cluster])
    chosen = np.full(count, -1, dtype=np.int64)
    for cluster in range(1, count):
        if chosen[parents[cluster]] >= 0:
            chosen[cluster] = chosen[parents[cluster]]
        elif is_best[cluster]:
            chosen[cluster] = cluster
    return chosen


@numba.njit(cache=True)
def measure_strengths(
    chosen: Ints, parents: Ints, births: Floats, point_clusters: Ints, point_lambdas: Floats
) -> Floats:
    """Divide the lambda at which a point leaves its cluster by that at which the cluster ends or comes apart.

    Args:
        chosen: (m,) from `select`.
        parents: (m,) from `condense`.
        births: (m,) from `condense`.
        point_clusters: (n,) from `condense`.
        point_lambdas: (n,) from `condense`.

    Returns:
        (n,) from 0 to 1; 1 for points of one place that are a cluster on their own, 0 for noise.
    """
    deaths = np.zeros(len(chosen))
    for cluster in range(1, len(chosen)):
        deaths[parents[cluster]] = max(deaths[parents[cluster]], births[cluster])
    for point in range(len(point_clusters)):
        cluster = point_clusters[point]
        if np.isfinite(point_lambdas[point]):
            deaths[cluster] = max(deaths[cluster], point_lambdas[point])
    strengths = np.zeros(len(point_clusters))
    for point in range(len(point_clusters)):
        cluster, level = chosen[point_clusters[point]], point_lambdas[point]
        if cluster >= 0:
            is_scaled = np.isfinite(level) and deaths[cluster] > 0.0
            strengths[point] = min(level / deaths[cluster], 1.0) if is_scaled else 1.0
    return strengths
