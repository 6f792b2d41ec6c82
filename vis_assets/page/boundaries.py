"""Outlines of clusters: alpha shapes whose scale follows each cluster's own density.

datamapplot's own outlines use one fixed scale, which leaves the clusters of a small map without any.
"""

from collections import defaultdict

import numpy as np
import numpy.typing as npt

Points = npt.NDArray[np.float64]

MAX_POINTS = 5_000
"""Points of one cluster that are looked at; an outline needs no more."""
_GROWTH = 1.6
_STEPS = 12
_TRIANGLE = 3


def outline_cluster(points: npt.NDArray[np.floating]) -> list[list[float]] | None:
    """Draw a line around points that stays close to them (alpha shape; Edelsbrunner et al. 1983).

    Args:
        points: (m, 2) places of one cluster's points.

    Returns:
        Corners [x, y] of a closed line, or None where the points span no area.
    """
    from scipy.spatial import Delaunay, QhullError

    places = np.unique(np.asarray(points, dtype=np.float64), axis=0)
    if len(places) > MAX_POINTS:
        places = np.random.default_rng(0).choice(places, MAX_POINTS, replace=False)
    if len(places) < _TRIANGLE:
        return None
    places_centered = places - places.mean(axis=0)
    try:
        triangles = Delaunay(places_centered, qhull_options="Qbb Qc Qz Q12").simplices
    except QhullError:  # all on one line
        return None
    if len(triangles) == 0:
        return None
    loop = _tightest_loop(places_centered, triangles)
    corners = _round_corners(_widen(places[loop]))
    return [[float(x), float(y)] for x, y in np.vstack([corners, corners[:1]])]


def _tightest_loop(points: Points, triangles: npt.NDArray[np.int32]) -> list[int]:
    """Loosen the shape until one loop holds nearly all points; the convex hull at worst."""
    radii = _circumradii(points[triangles])
    alpha = 4.0 * float(np.median(radii))
    for _ in range(_STEPS):
        kept = triangles[radii <= alpha]
        loops = _trace_loops(kept)
        if loops and len(np.unique(kept)) >= 0.95 * len(points):
            areas = [abs(_area(points[loop])) for loop in loops]
            if max(areas) >= 0.9 * sum(areas):
                return loops[int(np.argmax(areas))]
        alpha *= _GROWTH
    return max(_trace_loops(triangles), key=lambda loop: abs(_area(points[loop])))


def _circumradii(corners: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Radius of the circle through each triangle's (t, 3, 2) corners; infinite where they lie on one line."""
    a, b, c = (np.linalg.norm(corners[:, i] - corners[:, j], axis=1) for i, j in ((0, 1), (1, 2), (2, 0)))
    ab, ac = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    doubled_area = np.abs(ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0])
    radii: npt.NDArray[np.float64] = np.full(len(a), np.inf)
    np.divide(a * b * c, 2 * doubled_area, out=radii, where=doubled_area > 0)
    return radii


def _trace_loops(triangles: npt.NDArray[np.int32]) -> list[list[int]]:
    """Follow the edges that belong to one triangle only."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    unique, counts = np.unique(edges, axis=0, return_counts=True)
    neighbors: dict[int, list[int]] = defaultdict(list)
    for start, end in unique[counts == 1].tolist():
        neighbors[start].append(end)
        neighbors[end].append(start)
    loops = []
    for first in list(neighbors):
        while neighbors[first]:
            loops.append(_walk(first, neighbors))
    return [loop for loop in loops if len(loop) >= _TRIANGLE]


def _walk(first: int, neighbors: dict[int, list[int]]) -> list[int]:
    """Use up edges from a corner until there is no way on; corners of degree two lead back to the first."""
    loop, here = [first], first
    while neighbors[here]:
        there = neighbors[here].pop()
        neighbors[there].remove(here)
        if there == first:
            break
        loop.append(there)
        here = there
    return loop


def _area(loop: Points) -> float:
    """Signed area of a polygon (shoelace formula)."""
    x, y = loop[:, 0], loop[:, 1]
    return float(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def _widen(loop: Points) -> Points:
    """Move corners outward by a third of a typical edge, so that points on the line end up inside it."""
    along = np.roll(loop, -1, axis=0) - np.roll(loop, 1, axis=0)
    outward = np.stack([along[:, 1], -along[:, 0]], axis=1) * np.sign(_area(loop))
    lengths = np.linalg.norm(outward, axis=1, keepdims=True)
    edge = float(np.median(np.linalg.norm(np.roll(loop, -1, axis=0) - loop, axis=1)))
    widened: Points = loop + np.divide(outward, lengths, out=np.zeros_like(loop), where=lengths > 0) * (edge / 3)
    return widened


def _round_corners(loop: Points) -> Points:
    """Cut every corner twice (Chaikin 1974)."""
    for _ in range(2):
        following = np.roll(loop, -1, axis=0)
        loop = np.stack([0.75 * loop + 0.25 * following, 0.25 * loop + 0.75 * following], axis=1).reshape(-1, 2)
    return loop
