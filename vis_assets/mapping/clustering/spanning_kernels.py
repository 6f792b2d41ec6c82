"""The minimum spanning tree of mutual reachability on the plane (dual search; March et al. 2010): the compiled part.

Import this module inside functions only: it brings numba. The compiled code is kept beside it, in `__pycache__`, or in
numba's folder in the user's cache where that is not writable.

fast_hdbscan has this search too, but there it depends on the timing of threads which of two edges of equal length is
found first, and ties are the rule: the length of most edges is a core distance. Here the lower row wins.

All distances are squared. Rows are in the order of the k-d tree, so that a leaf is a slice. The tree's nodes are
numbered as in a heap: node i has the children 2 i + 1 and 2 i + 2.
"""

import numba  # noqa: TID253 - see above
import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
_ROWS_A_TASK = 512
_DEEPEST = 128  # nodes that wait at one time: one for each level of the tree


@numba.njit(cache=True)
def _find(roots: Ints, row: int) -> int:
    while roots[row] != row:
        roots[row] = roots[roots[row]]
        row = roots[row]
    return row


@numba.njit(cache=True)
def _join(roots: Ints, one: int, other: int) -> bool:
    """Make two sets one, whose root is the lower; False where they were one."""
    one, other = _find(roots, one), _find(roots, other)
    if one == other:
        return False
    roots[max(one, other)] = min(one, other)
    return True


@numba.njit(cache=True)
def _label(roots: Ints, ends: Ints, starts: Ints, is_leaf: npt.NDArray[np.bool_], labels: Ints, nodes: Ints) -> None:
    """Write the set of each row, and that of each node whose rows are all of one, else -1."""
    for row in range(len(labels)):
        labels[row] = _find(roots, row)
    for node in range(len(nodes) - 1, -1, -1):
        if is_leaf[node]:
            first = labels[starts[node]]
            nodes[node] = first if (labels[starts[node] : ends[node]] == first).all() else -1
        else:
            left, right = nodes[2 * node + 1], nodes[2 * node + 2]
            nodes[node] = left if left == right else -1


@numba.njit(cache=True)
def _distance_to_box(x: float, y: float, node: int, boxes: npt.NDArray[np.float32]) -> float:
    across = max(boxes[0, node, 0] - x, x - boxes[1, node, 0], np.float32(0))
    along = max(boxes[0, node, 1] - y, y - boxes[1, node, 1], np.float32(0))
    squared: float = across * across + along * along
    return squared


@numba.njit(cache=True)
def _nearest_outside(
    row: int,
    points: npt.NDArray[np.float32],
    cores: Floats,
    labels: Ints,
    shortest: Floats,
    starts: Ints,
    ends: Ints,
    is_leaf: npt.NDArray[np.bool_],
    boxes: npt.NDArray[np.float32],
    nodes: Ints,
    waiting: Ints,
    nearest: Floats,
) -> tuple[np.float32, int]:
    """Find the row of another set that is nearest, the lowest of equals; none beyond the set's shortest edge so far.

    Other threads may write `shortest` meanwhile. It is always the length of some edge of the set, so it never hides one
    that is as short as the shortest.
    """
    own, core = labels[row], cores[row]
    x, y = points[row, 0], points[row, 1]
    best, found = np.float32(np.inf), -1
    waiting[0], nearest[0] = 0, 0.0
    depth = 1
    while depth > 0:
        depth -= 1
        node = waiting[depth]
        limit = min(best, shortest[own])
        if nearest[depth] > limit or nodes[node] == own:
            continue
        if is_leaf[node]:
            for other in range(starts[node], ends[node]):
                if labels[other] == own or cores[other] > limit:
                    continue
                across, along = points[other, 0] - x, points[other, 1] - y
                distance = max(across * across + along * along, core, cores[other])
                if distance < best or (distance == best and other < found):
                    best, found = distance, other
                    limit = min(best, limit)
            continue
        left = 2 * node + 1
        to_left, to_right = _distance_to_box(x, y, left, boxes), _distance_to_box(x, y, left + 1, boxes)
        near = 0 if to_left <= to_right else 1
        waiting[depth], nearest[depth] = left + 1 - near, max(to_left, to_right)
        waiting[depth + 1], nearest[depth + 1] = left + near, min(to_left, to_right)
        depth += 2
    return best, found


@numba.njit(cache=True, parallel=True)
def _search(
    points: npt.NDArray[np.float32],
    cores: Floats,
    labels: Ints,
    starts: Ints,
    ends: Ints,
    is_leaf: npt.NDArray[np.bool_],
    boxes: npt.NDArray[np.float32],
    nodes: Ints,
) -> tuple[Floats, Ints]:
    """For every row its shortest edge to another set, where that may be the shortest of its set: length and row."""
    count = len(points)
    shortest = np.full(count, np.inf, dtype=np.float32)
    lengths = np.full(count, np.inf, dtype=np.float32)
    targets = np.full(count, -1, dtype=np.int64)
    for task in numba.prange((count + _ROWS_A_TASK - 1) // _ROWS_A_TASK):
        waiting = np.empty(_DEEPEST, dtype=np.int64)
        nearest = np.empty(_DEEPEST, dtype=np.float32)
        for row in range(task * _ROWS_A_TASK, min((task + 1) * _ROWS_A_TASK, count)):
            if cores[row] > shortest[labels[row]]:
                continue
            best, found = _nearest_outside(
                row, points, cores, labels, shortest, starts, ends, is_leaf, boxes, nodes, waiting, nearest
            )
            lengths[row], targets[row] = best, found
            shortest[labels[row]] = min(shortest[labels[row]], best)
    return lengths, targets


@numba.njit(cache=True)
def _add_shortest(
    lengths: Floats, targets: Ints, labels: Ints, roots: Ints, edges: npt.NDArray[np.float64], known: int
) -> int:
    """Join every set along its shortest edge, and return the number of edges then."""
    best = np.full(len(labels), -1, dtype=np.int64)
    for row in range(len(labels)):
        if targets[row] >= 0 and (best[labels[row]] < 0 or lengths[row] < lengths[best[labels[row]]]):
            best[labels[row]] = row
    for first in best:
        if first >= 0 and _join(roots, int(first), targets[first]):
            edges[known, 0], edges[known, 1], edges[known, 2] = first, targets[first], lengths[first]
            known += 1
    return known


@numba.njit(cache=True)
def span(
    points: npt.NDArray[np.float32],
    neighbors: npt.NDArray[np.int32],
    cores: Floats,
    starts: Ints,
    ends: Ints,
    is_leaf: npt.NDArray[np.bool_],
    boxes: npt.NDArray[np.float32],
) -> npt.NDArray[np.float64]:
    """Find the minimum spanning tree by mutual reachability (Boruvka), the same one whatever the number of threads.

    Args:
        points: (n, 2) places, in the order of the tree.
        neighbors: (n, k) nearest rows, itself first.
        cores: (n,) squared distance to the last neighbour.
        starts: (m,) first row of each node of the tree.
        ends: (m,) row after the last of each node.
        is_leaf: (m,) whether a node has no children.
        boxes: (2, m, 2) lower and upper corner of each node.

    Returns:
        (n - 1, 3) row, row and squared mutual reachability of each edge, in no order.

    Raises:
        ValueError: the square of a distance is not a finite number.
    """
    count = len(points)
    roots, labels = np.arange(count), np.arange(count)
    nodes = np.full(len(starts), -1, dtype=np.int64)
    edges = np.empty((count - 1, 3))
    known = 0
    for row in range(count):  # no edge of a row is shorter than its core distance
        for place in range(1, neighbors.shape[1]):
            other = neighbors[row, place]
            if cores[other] <= cores[row] and other != row:
                if _join(roots, row, other):
                    edges[known, 0], edges[known, 1], edges[known, 2] = row, other, cores[row]
                    known += 1
                break
    while known < count - 1:
        _label(roots, ends, starts, is_leaf, labels, nodes)
        lengths, targets = _search(points, cores, labels, starts, ends, is_leaf, boxes, nodes)
        before, known = known, _add_shortest(lengths, targets, labels, roots, edges, known)
        if known == before:
            raise ValueError("distances between points are not finite")
    return edges
