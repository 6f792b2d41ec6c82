"""The reference engine: umap-learn."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed
from vis_assets.protocol.visualization_config import Metric

OnProgress = Callable[[float, float], None]

_EXACT_UP_TO = 1024  # above, umap-learn's all-pairs path (n < 4096) is far slower than its NN-descent
_ALIASES: dict[Metric, Metric] = {"dot": "cosine", "minkowski": "euclidean"}
_SPECTRAL_FAILED = "Spectral initialisation failed"


def lay_out_by_umap_learn(
    vectors: npt.NDArray[np.float32],
    *,
    n_neighbors: int,
    min_dist: float,
    metric: Metric,
    random_state: int | None,
    on_progress: OnProgress,
    notes: list[str],
) -> npt.NDArray[np.float32]:
    """Fit UMAP from its spectral start, or, where that cannot be computed, once more from a random one.

    Args:
        vectors: (n, d) float32, n >= 4.
        n_neighbors: 2 to n - 1.
        min_dist: as UMAP has it.
        metric: the distance; points exactly opposite to all their neighbours are kept instead of getting NaN.
        random_state: seed, for one thread; None uses several, and repeats nothing.
        on_progress: called with (epochs done, epochs in all) after every epoch.
        notes: gets a sentence where the start was another one.

    Returns:
        (n, 2) float32 coordinates.

    Raises:
        ComputeFailed: umap-learn failed or ran out of memory.
    """
    from numba.core.errors import NumbaError
    from scipy.sparse.linalg import ArpackError

    model = _umap_model(len(vectors), n_neighbors, min_dist, _ALIASES.get(metric, metric), random_state)
    reports = _EpochReports(on_progress)
    failures = (ValueError, TypeError, ArithmeticError, MemoryError, NumbaError, ArpackError)
    for start in ("spectral", "random"):
        model.set_params(init=start, tqdm_kwds=reports.tqdm_options())
        try:
            return _fit_once(model, vectors, notes)
        except failures as error:
            if reports.raised is not None:
                raise
            if start == "random" or reports.done > 0 or isinstance(error, MemoryError):
                raise ComputeFailed(_failure(vectors, error)) from error
            notes.append("The spectral start of UMAP failed on these vectors; a random start was used.")
    raise AssertionError("the random start returns or raises")


class _EpochReports:
    """The file that umap-learn's progress bar writes to: each line becomes a call of `on_progress`."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
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
            self._on_progress(self.done, int(total))
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


def _fit_once(model: Any, vectors: npt.NDArray[np.float32], notes: list[str]) -> npt.NDArray[np.float32]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        coordinates = np.asarray(model.fit_transform(vectors), dtype=np.float32)
    if any(_SPECTRAL_FAILED in str(warning.message) for warning in caught):
        notes.append("The spectral start of UMAP did not converge; a random start was used.")
    return coordinates


def _failure(vectors: npt.NDArray[np.float32], error: BaseException) -> str:
    shape = f"{vectors.shape[0]} vectors of {vectors.shape[1]} dimensions"
    if isinstance(error, MemoryError):
        return f"UMAP ran out of memory on {shape}; give the worker more memory or map fewer points."
    reason = (str(error).splitlines() or [""])[0]
    return f"UMAP failed on {shape}: {type(error).__name__}: {reason}"
