"""From vectors to places on the plane, by the reference engine umap-learn.

Whatever umap-learn cannot lay out (too few points, or points that are all the same) is laid out here without it, so
that every collection with at least one point has a map. What was done differently from what was asked is said in
`Layout.notes`.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed, VectorUnusable
from vis_assets.protocol.visualization_config import Metric

OnEpoch = Callable[[int, int], None]
"""Called with (epochs done, epochs in all)."""

_FEWEST_FOR_UMAP = 4  # the spectral start needs 3 eigenvectors, of which ARPACK gives at most n - 1
_EXACT_UP_TO = 1024  # above, umap-learn's all-pairs path (n < 4096) is far slower than its NN-descent
_ANGULAR = frozenset({"cosine", "correlation"})
_ROUNDING = 1e-10  # cosine distance between copies of a float32 vector that differ in length only
_ROWS_AT_ONCE = 16_384
_ALIASES: dict[Metric, Metric] = {"dot": "cosine", "minkowski": "euclidean"}
_SPECTRAL_FAILED = "Spectral initialisation failed"


@dataclass(frozen=True)
class Layout:
    """Places of n points on the plane.

    Attributes:
        coordinates: (n, 2) float32, finite, no unit, rows in the order of the vectors.
        notes: sentences for the user: what was done differently from what was asked, and why.
    """

    coordinates: npt.NDArray[np.float32]
    notes: tuple[str, ...] = ()


def lay_out(
    vectors: npt.NDArray[np.float32],
    *,
    n_neighbors: int,
    min_dist: float,
    metric: Metric,
    on_epoch: OnEpoch,
    random_state: int | None = None,
) -> Layout:
    """Place points on the plane so that neighbours stay close (UMAP; McInnes, Healy & Melville 2018).

    umap-learn's defaults apply where there is no parameter. Three readings differ from it: `dot` is laid out as
    `cosine` (its NN-descent scales rows to unit length anyway, its all-pairs path for n < 4096 does not), `minkowski`
    is `euclidean` (p = 2), and points exactly opposite to all their neighbours are kept instead of getting NaN.

    Args:
        vectors: (n, d) float32, n >= 1, may be a read-only memory map; not written to.
        n_neighbors: neighbours of each point in the graph, itself included; at most n - 1 are used.
        min_dist: how close two points may lie on the map, in map units, 0 to 0.99.
        metric: distance between two vectors.
        on_epoch: called with (epochs done, epochs in all) after every epoch of the descent, `done` growing strictly;
            the last call has done = all, also where no descent was needed. What it raises passes through.
        random_state: seed; None is faster (several threads) and differs from run to run.

    Returns:
        The layout, rows in the order of `vectors`.

    Raises:
        VectorUnusable: a vector holds NaN or infinity.
        ComputeFailed: umap-learn failed, ran out of memory or gave coordinates that are not finite.
    """
    _require_finite(vectors)
    count = len(vectors)
    notes = _notes_on_metric(vectors, metric)
    distance = _ALIASES.get(metric, metric)
    if count == 1 or _all_coincide(vectors, distance):
        on_epoch(1, 1)
        if count > 1:
            notes.append(f"All {count} vectors are the same by {metric} distance, so all points lie in one place.")
        return Layout(np.zeros((count, 2), dtype=np.float32), tuple(notes))
    if count < _FEWEST_FOR_UMAP:
        on_epoch(1, 1)
        notes.append(f"{count} points are too few for UMAP; they are placed by their distances (classical scaling).")
        return Layout(_scale_distances(_distances(vectors, vectors, distance)), tuple(notes))
    if n_neighbors >= count:
        notes.append(f"n_neighbors was lowered from {n_neighbors} to {count - 1}: there are only {count} points.")
    model = _umap_model(count, min(n_neighbors, count - 1), min_dist, distance, random_state)
    coordinates = _fit(model, vectors, on_epoch, notes)
    return Layout(coordinates, tuple(notes))


class _EpochReports:
    """The file that umap-learn's progress bar writes to: each line becomes a call of `on_epoch`."""

    def __init__(self, on_epoch: OnEpoch) -> None:
        self._on_epoch = on_epoch
        self.done = 0
        self.raised: BaseException | None = None

    def tqdm_options(self) -> dict[str, Any]:
        """Options that make tqdm write every epoch, and nothing but "done/all"."""
        return {"file": self, "disable": False, "mininterval": 0, "miniters": 1, "bar_format": "{n}/{total}"}

    def write(self, text: str) -> None:
        done, slash, total = text.strip().partition("/")
        if not slash or int(done) <= self.done:  # tqdm also writes 0, repeats the last line, and blanks lines out
            return
        self.done = int(done)
        try:
            self._on_epoch(self.done, int(total))
        except BaseException as error:
            self.raised = error  # so that it is never taken for a failure of UMAP
            raise

    def flush(self) -> None:
        """Nothing is held back."""


def _umap_model(count: int, n_neighbors: int, min_dist: float, metric: str, random_state: int | None) -> Any:
    from umap import UMAP

    return UMAP(
        n_neighbors=n_neighbors,
        min_dist=min_dist,
        metric=metric,
        random_state=random_state,
        n_jobs=-1 if random_state is None else 1,
        force_approximation_algorithm=count > max(_EXACT_UP_TO, 8 * n_neighbors),
        disconnection_distance=np.inf,
    )


def _fit(model: Any, vectors: npt.NDArray[np.float32], on_epoch: OnEpoch, notes: list[str]) -> npt.NDArray[np.float32]:
    """Run UMAP from its spectral start, or, where that cannot be computed, once more from a random one."""
    from numba.core.errors import NumbaError
    from scipy.sparse.linalg import ArpackError

    reports = _EpochReports(on_epoch)
    failures = (ValueError, TypeError, ArithmeticError, MemoryError, NumbaError, ArpackError)
    for start in ("spectral", "random"):
        model.set_params(init=start, tqdm_kwds=reports.tqdm_options())
        try:
            coordinates = _fit_once(model, vectors, notes)
        except failures as error:
            if reports.raised is not None:
                raise
            if start == "random" or reports.done > 0 or isinstance(error, MemoryError):
                raise ComputeFailed(_failure(vectors, error)) from error
            notes.append("The spectral start of UMAP failed on these vectors; a random start was used.")
        else:
            break
    if not np.isfinite(coordinates).all():
        raise ComputeFailed(f"UMAP gave coordinates that are not finite for {_shape(vectors)}; try another metric.")
    return coordinates


def _fit_once(model: Any, vectors: npt.NDArray[np.float32], notes: list[str]) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        coordinates = np.asarray(model.fit_transform(vectors), dtype=np.float32)
    if any(_SPECTRAL_FAILED in str(warning.message) for warning in caught):
        notes.append("The spectral start of UMAP did not converge; a random start was used.")
    return coordinates


def _failure(vectors: npt.NDArray[np.float32], error: BaseException) -> str:
    if isinstance(error, MemoryError):
        return f"UMAP ran out of memory on {_shape(vectors)}; give the worker more memory or map fewer points."
    reason = (str(error).splitlines() or [""])[0]
    return f"UMAP failed on {_shape(vectors)}: {type(error).__name__}: {reason}"


def _shape(vectors: npt.NDArray[np.float32]) -> str:
    return f"{vectors.shape[0]} vectors of {vectors.shape[1]} dimensions"


def _require_finite(vectors: npt.NDArray[np.float32]) -> None:
    for start in range(0, len(vectors), _ROWS_AT_ONCE):
        bad = ~np.isfinite(vectors[start : start + _ROWS_AT_ONCE]).all(axis=1)
        if bad.any():
            row = start + int(bad.argmax())
            raise VectorUnusable(f"The vector in row {row} holds NaN or infinity; remove the point or embed it again.")


def _notes_on_metric(vectors: npt.NDArray[np.float32], metric: Metric) -> list[str]:
    """Say so where reading `dot` as cosine makes a difference, judged by the first rows."""
    if metric != "dot":
        return []
    lengths = np.linalg.norm(vectors[:_ROWS_AT_ONCE], axis=1)
    if np.allclose(lengths, 1.0, atol=1e-2):
        return []
    return ["The vectors are not of unit length; UMAP compares them by direction (dot is laid out as cosine)."]


def _all_coincide(vectors: npt.NDArray[np.float32], metric: Metric) -> bool:
    tolerance = _ROUNDING if metric in _ANGULAR else 0.0
    steps = range(1, len(vectors), _ROWS_AT_ONCE)
    blocks = (_distances(vectors[:1], vectors[start : start + _ROWS_AT_ONCE], metric) for start in steps)
    return all(bool((block <= tolerance).all()) for block in blocks)


def _distances(
    left: npt.NDArray[np.float32], right: npt.NDArray[np.float32], metric: Metric
) -> npt.NDArray[np.float64]:
    """Distances as umap-learn defines them where the formula divides by 0: two such rows coincide, one alone is 1 away.

    That concerns zero vectors by cosine or braycurtis distance, opposite ones by braycurtis distance, and constant ones
    by correlation.
    """
    from scipy.spatial.distance import cdist

    left_rows, right_rows = _comparable(left, metric), _comparable(right, metric)
    with np.errstate(invalid="ignore", divide="ignore"):
        distances = cdist(left_rows, right_rows, "cityblock" if metric == "manhattan" else metric)
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


def _scale_distances(distances: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """Classical multidimensional scaling (Torgerson 1952) of (n, n) distances to (n, 2), the largest coordinate 1."""
    largest = distances.max()
    centring = np.eye(len(distances)) - 1.0 / len(distances)
    values, directions = np.linalg.eigh(-0.5 * centring @ (distances / largest) ** 2 @ centring)
    coordinates = np.zeros((len(distances), 2))
    kept = min(2, len(distances))
    coordinates[:, :kept] = (directions * np.sqrt(np.maximum(values, 0.0)))[:, ::-1][:, :kept]
    return np.asarray(coordinates / np.abs(coordinates).max(), dtype=np.float32)
