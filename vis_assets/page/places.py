"""Places on the map: where the points lie in the page's own units, what is seen first, how big a point is."""

import math

import numpy as np
import numpy.typing as npt

MAP_SPAN = 30.0
"""Longer side of the map in the page's own units."""
SHOW_ALL_BELOW = 2_000
"""Points below which nothing counts as an outlier."""
FIRST_VIEW_SHARE = 0.99
"""Share of the points in the first view, unless a job says otherwise; the farthest would make the others small."""
SMALLEST_VIEW = 0.5

Box = tuple[float, float, float, float]
"""Left, bottom, right, top."""


def scale_to_map(coordinates: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Centre coordinates and give their bulk the span of the map; points all in one place go to its middle."""
    exact = coordinates.astype(np.float64)
    low, high = (
        np.percentile(exact, [0.05, 99.95], axis=0) if len(exact) >= SHOW_ALL_BELOW else (exact.min(0), exact.max(0))
    )
    span = float(np.max(high - low))
    if span <= 1e-9 * max(1.0, float(np.abs(exact).max())):
        return np.zeros_like(coordinates)
    places: npt.NDArray[np.float32] = ((exact - (low + high) / 2) * (MAP_SPAN / span)).astype(np.float32)
    return places


def first_view(places: npt.NDArray[np.float32], share: float = FIRST_VIEW_SHARE) -> Box:
    """What the page shows first: the box around a share of the points, without those farthest out.

    Args:
        places: (n, 2) places on the map.
        share: of the points, above 0 to 1.
    """
    shown = places
    if len(places) >= SHOW_ALL_BELOW:
        offsets = places - places.mean(axis=0)
        kept = max(1, int(len(places) * share))
        shown = places[np.argpartition((offsets**4).sum(axis=1), kept - 1)[:kept]]
    low, high = shown.min(axis=0).astype(np.float64), shown.max(axis=0).astype(np.float64)
    room = np.maximum(SMALLEST_VIEW - (high - low), 0) / 2
    (left, bottom), (right, top) = (low - room).tolist(), (high + room).tolist()
    return left, bottom, right, top


def point_radius(point_count: int, view: Box) -> float:
    """Radius of a point in map units: small maps have large points, and points of large maps cover some of the ground.

    Args:
        point_count: n >= 1.
        view: what is seen first.
    """
    if point_count < SHOW_ALL_BELOW:
        return 0.085 + 0.042 * math.log10(SHOW_ALL_BELOW / point_count)
    side = math.sqrt(max(view[2] - view[0], 0.1 * MAP_SPAN) * max(view[3] - view[1], 0.1 * MAP_SPAN))
    share = 32 * 4 ** -math.log10(point_count)
    return side * min(max(share, 0.005), 0.1) / 35.5
