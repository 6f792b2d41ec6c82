"""Distances by every metric that a job may name, for few points at a time."""

import numpy as np
import numpy.typing as npt

from vis_assets.protocol.visualization_config import Metric


def pairwise_distances(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], metric: Metric
) -> npt.NDArray[np.float64]:
    """Distances as umap-learn defines them where the formula divides by 0: two such rows coincide, one alone is 1 away.

    That concerns zero vectors by cosine or braycurtis distance, opposite ones by braycurtis distance, and constant ones
    by correlation. `dot` is taken as `cosine`, and `minkowski` as `euclidean` (p = 2).

    Args:
        left: (m, d) rows.
        right: (n, d) rows.
        metric: the distance.

    Returns:
        (m, n) distances.
    """
    from scipy.spatial.distance import cdist

    names: dict[str, str] = {"manhattan": "cityblock", "dot": "cosine", "minkowski": "euclidean"}
    left_rows, right_rows = _comparable(left, metric), _comparable(right, metric)
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = cdist(left_rows, right_rows, names.get(metric, metric))
    apart = np.not_equal.outer(left_rows.any(axis=1), right_rows.any(axis=1))
    return np.where(np.isfinite(distances), distances, apart.astype(np.float64))


def _comparable(rows: npt.NDArray[np.float32], metric: Metric) -> npt.NDArray[np.float64]:
    """Rows as float64; centred for correlation, so that constant rows are exactly zero."""
    exact = np.asarray(rows, dtype=np.float64)
    if metric != "correlation":
        return exact
    centred = exact - exact.mean(axis=1, keepdims=True)
    centred[exact.max(axis=1) == exact.min(axis=1)] = 0.0
    return np.asarray(centred, dtype=np.float64)
