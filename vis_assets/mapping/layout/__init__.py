"""From vectors to places on the plane (UMAP; McInnes, Healy & Melville 2018), by one of two engines.

`fast` is ours: neighbours, graph, start and descent, each a file. `umap-learn` is the reference that it is measured
against. Whatever neither can lay out (too few points, or points that are all the same) is laid out without them, so
that every collection with at least one point has a map. What was done differently from what was asked is said in
`Layout.notes`.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed, VectorUnusable
from vis_assets.mapping.layout.descent import EPOCHS_OF_PLACED, descend, edges_to, epochs_for, fuzzy_graph
from vis_assets.mapping.layout.few_points import all_coincide, scale_distances
from vis_assets.mapping.layout.start import principal_start
from vis_assets.mapping.layout.umap_learn import lay_out_by_umap_learn
from vis_assets.mapping.neighbors import BY_ANGLE, Neighbors, find_neighbors, find_neighbors_among
from vis_assets.mapping.threads import in_threads
from vis_assets.protocol.visualization_config import Metric

OnProgress = Callable[[float, float], None]
"""Called with (units done, units in all)."""
LayoutEngine = Literal["fast", "umap-learn"]

SHARE_OF_NEIGHBORS = 0.45
"""Share of the time of a layout that the search for neighbours takes, about."""

_FEWEST_FOR_UMAP = 4  # the spectral start needs 3 eigenvectors, of which ARPACK gives at most n - 1
_ROWS_AT_ONCE = 16_384
_LARGEST = 1e15  # sums of products of larger numbers exceed float32
_SHARE_OF_SAMPLE = 0.8
_PLACED_AT_ONCE = 100_000


@dataclass(frozen=True)
class Layout:
    """Places of n points on the plane.

    Attributes:
        coordinates: (n, 2) float32, finite, no unit, rows in the order of the vectors.
        notes: sentences for the user: what was done differently from what was asked, and why.
        sampled_points: how many points were laid out together, where the others were placed by their neighbours among
            these; None where all were.
        stage_seconds: seconds of "neighbors", "graph", "start", "descent" and "transform", as far as they were run.
    """

    coordinates: npt.NDArray[np.float32]
    notes: tuple[str, ...] = ()
    sampled_points: int | None = None
    stage_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class _Options:
    """What a layout is asked for."""

    n_neighbors: int
    min_dist: float
    metric: Metric
    seed: int
    engine: LayoutEngine
    random_state: int | None


def lay_out(
    vectors: npt.NDArray[np.float32],
    *,
    n_neighbors: int,
    min_dist: float,
    metric: Metric,
    on_progress: OnProgress,
    random_state: int | None = None,
    engine: LayoutEngine = "fast",
    max_points: int | None = None,
    neighbors: Neighbors | None = None,
) -> Layout:
    """Place points on the plane so that neighbours stay close.

    umap-learn's defaults apply where there is no parameter. Two readings differ from it: `dot` is laid out as `cosine`
    (its NN-descent scales rows to unit length anyway, its all-pairs path for n < 4096 does not), and `minkowski` is
    `euclidean` (p = 2).

    Args:
        vectors: (n, d) float32, n >= 1, may be a read-only memory map; not written to.
        n_neighbors: neighbours of each point in the graph, itself included; at most n - 1 are used.
        min_dist: how close two points may lie on the map, in map units, 0 to 0.99.
        metric: distance between two vectors.
        on_progress: called with (units done, units in all), `done` growing; the last call has done = all, also where
            no descent was needed. What it raises passes through.
        random_state: seed. The fast engine gives the same map for the same input and seed, whatever the number of
            threads, and takes 0 for None; the reference repeats a map only with a seed, on one thread.
        engine: "fast", or "umap-learn", the reference.
        max_points: above so many points a random sample of so many is laid out, and every other point is placed by its
            neighbours among these; None lays out all together.
        neighbors: of all points, where they are known: (n, at least n_neighbors - 1), for the fast engine without
            `max_points`.

    Returns:
        The layout, rows in the order of `vectors`.

    Raises:
        VectorUnusable: a vector holds NaN, infinity, a number beyond 1e15, or by angle none of 1e-15 that is not 0.
        ComputeFailed: the engine failed, ran out of memory or gave coordinates that are not finite.
    """
    _require_usable(vectors, metric)
    count = len(vectors)
    notes = _notes_on_metric(vectors, metric)
    if count < _FEWEST_FOR_UMAP or all_coincide(vectors, metric):
        on_progress(1, 1)
        return _without_graph(vectors, metric, notes)
    is_sampled = max_points is not None and count > max(max_points, _FEWEST_FOR_UMAP)
    together = max(max_points or 0, _FEWEST_FOR_UMAP) if is_sampled else count
    if n_neighbors >= together:
        notes.append(f"n_neighbors was lowered from {n_neighbors} to {together - 1}: there are only {together} points.")
    options = _Options(min(n_neighbors, together - 1), min_dist, metric, random_state or 0, engine, random_state)
    seconds: dict[str, float] = {}
    listener = _Listener(on_progress)
    with _failures_explained(vectors, listener):
        if is_sampled:
            notes.append(f"{together} of {count} points were laid out together; the others lie by their neighbours.")
            coordinates = _lay_out_sample(vectors, together, options, listener, notes, seconds)
        else:
            coordinates = _lay_out_all(vectors, options, neighbors, listener, notes, seconds)
    if not np.isfinite(coordinates).all():
        raise ComputeFailed(f"UMAP gave coordinates that are not finite for {_shape(vectors)}; try another metric.")
    return Layout(coordinates, tuple(notes), together if is_sampled else None, seconds)


class _Listener:
    """Who is told of the progress, and what they raised, so that it is never taken for a failure of the layout."""

    def __init__(self, on_progress: OnProgress) -> None:
        self._on_progress = on_progress
        self.raised: BaseException | None = None

    def __call__(self, done: float, total: float) -> None:
        try:
            self._on_progress(done, total)
        except BaseException as error:
            self.raised = error
            raise


@contextmanager
def _failures_explained(vectors: npt.NDArray[np.float32], listener: _Listener) -> Iterator[None]:
    """Turn what libraries raise into our error; what the listener raised passes through."""
    try:
        yield
    except MemoryError as error:
        if listener.raised is not None:
            raise
        raise ComputeFailed(
            f"The layout ran out of memory on {_shape(vectors)}; give the worker more, or set max_points."
        ) from error
    except (ValueError, ArithmeticError, RuntimeError) as error:
        if listener.raised is not None:
            raise
        reason = (str(error).splitlines() or [""])[0]
        raise ComputeFailed(f"The layout failed on {_shape(vectors)}: {type(error).__name__}: {reason}") from error


def _without_graph(vectors: npt.NDArray[np.float32], metric: Metric, notes: list[str]) -> Layout:
    """A layout of one point, of points in one place, or of two or three."""
    count = len(vectors)
    if count == 1 or all_coincide(vectors, metric):
        if count > 1:
            notes.append(f"All {count} vectors are the same by {metric} distance, so all points lie in one place.")
        return Layout(np.zeros((count, 2), dtype=np.float32), tuple(notes))
    notes.append(f"{count} points are too few for UMAP; they are placed by their distances (classical scaling).")
    return Layout(scale_distances(vectors, metric), tuple(notes))


def _lay_out_all(
    vectors: npt.NDArray[np.float32],
    options: _Options,
    neighbors: Neighbors | None,
    on_progress: OnProgress,
    notes: list[str],
    seconds: dict[str, float],
) -> npt.NDArray[np.float32]:
    if options.engine == "umap-learn":
        with _timed(seconds, "descent"):
            return lay_out_by_umap_learn(
                vectors,
                n_neighbors=options.n_neighbors,
                min_dist=options.min_dist,
                metric=options.metric,
                random_state=options.random_state,
                on_progress=on_progress,
                notes=notes,
            )
    wanted, seed = options.n_neighbors - 1, options.seed
    with _timed(seconds, "neighbors"):
        if neighbors is None:
            report = _part(on_progress, 0.0, SHARE_OF_NEIGHBORS)
            neighbors = find_neighbors(vectors, wanted, options.metric, seed=seed, on_share=report)
        neighbors = neighbors.nearest(wanted)
    epochs = epochs_for(len(vectors))
    with _timed(seconds, "graph"):
        edges = fuzzy_graph(neighbors, epochs)
    with _timed(seconds, "start"):
        start = principal_start(vectors, options.seed, by_angle=options.metric in BY_ANGLE)
    with _timed(seconds, "descent"):
        report = _part(on_progress, SHARE_OF_NEIGHBORS, 1.0)
        return descend(start, edges, min_dist=options.min_dist, epochs=epochs, seed=options.seed, on_share=report)


def _lay_out_sample(
    vectors: npt.NDArray[np.float32],
    together: int,
    options: _Options,
    on_progress: OnProgress,
    notes: list[str],
    seconds: dict[str, float],
) -> npt.NDArray[np.float32]:
    """Lay out a sample; place the rest by their neighbours in it, and let it settle there while the sample stays."""
    order = np.random.default_rng(options.seed).permutation(len(vectors))
    sampled, rest = np.sort(order[:together]), np.sort(order[together:])
    sample = np.ascontiguousarray(vectors[sampled])

    def of_sample(done: float, total: float) -> None:
        on_progress(_SHARE_OF_SAMPLE * done, total)

    fixed = _lay_out_all(sample, options, None, of_sample, notes, seconds)
    with _timed(seconds, "transform"):
        report = _part(on_progress, _SHARE_OF_SAMPLE, 1.0)
        placed = _place(vectors, rest, sample, fixed, options, report)
    coordinates = np.empty((len(vectors), 2), np.float32)
    coordinates[sampled], coordinates[rest] = fixed, placed
    return coordinates


def _place(
    vectors: npt.NDArray[np.float32],
    rest: npt.NDArray[np.intp],
    sample: npt.NDArray[np.float32],
    fixed: npt.NDArray[np.float32],
    options: _Options,
    on_share: Callable[[float], None],
) -> npt.NDArray[np.float32]:
    """Places of further points beside those that lie already: (m, 2)."""
    found = []
    for start in range(0, len(rest), _PLACED_AT_ONCE):
        queries = vectors[rest[start : start + _PLACED_AT_ONCE]]
        found.append(find_neighbors_among(queries, sample, options.n_neighbors, options.metric, seed=options.seed))
        on_share(0.5 * min((start + _PLACED_AT_ONCE) / len(rest), 1.0))
    neighbors = Neighbors(np.concatenate([f.ids for f in found]), np.concatenate([f.distances for f in found]))
    edges = edges_to(neighbors, len(fixed))
    pull = edges.weights.reshape(neighbors.ids.shape)
    start = (fixed[neighbors.ids] * (pull / pull.sum(axis=1, keepdims=True))[:, :, None]).sum(axis=1)
    every = np.concatenate([fixed, start.astype(np.float32)])
    settled = descend(
        every,
        edges,
        min_dist=options.min_dist,
        epochs=EPOCHS_OF_PLACED,
        seed=options.seed,
        first=len(fixed),
        on_share=lambda share: on_share(0.5 + share / 2),
    )
    return settled[len(fixed) :]


def _part(on_progress: OnProgress, low: float, high: float) -> Callable[[float], None]:
    """Where a stage reports its share that takes progress from `low` to `high`."""
    return lambda share: on_progress(low + share * (high - low), 1.0)


@contextmanager
def _timed(seconds: dict[str, float], stage: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    seconds[stage] = seconds.get(stage, 0.0) + time.perf_counter() - started


def _shape(vectors: npt.NDArray[np.float32]) -> str:
    return f"{vectors.shape[0]} vectors of {vectors.shape[1]} dimensions"


def _require_usable(vectors: npt.NDArray[np.float32], metric: Metric) -> None:
    """Refuse vectors whose lengths float32 cannot hold: they would all look equal."""

    def unusable(start: int) -> npt.NDArray[np.intp]:
        block = vectors[start : start + _ROWS_AT_ONCE]
        high, low = block.max(axis=1), block.min(axis=1)
        bad = ~((high <= _LARGEST) & (low >= -_LARGEST))  # no comparison holds for NaN
        if metric in BY_ANGLE:
            largest = np.maximum(high, -low)
            bad |= (largest < 1 / _LARGEST) & (largest > 0)
        return start + np.flatnonzero(bad)

    for rows in in_threads(unusable, range(0, len(vectors), _ROWS_AT_ONCE)):
        if len(rows) > 0:
            raise VectorUnusable(f"The vector in row {rows[0]} holds {_trouble(vectors[rows[0]])}")


def _trouble(vector: npt.NDArray[np.float32]) -> str:
    if not np.isfinite(vector).all():
        return "NaN or infinity; remove the point or embed it again."
    largest = float(np.abs(vector).max())
    if largest > 1:
        return f"a number beyond {_LARGEST:g}; remove the point or embed it again."
    return f"no number above {largest:.1g}; scale the vectors to lengths of about 1."


def _notes_on_metric(vectors: npt.NDArray[np.float32], metric: Metric) -> list[str]:
    """Say so where reading `dot` as cosine makes a difference, judged by the first rows."""
    if metric != "dot":
        return []
    lengths = np.linalg.norm(vectors[:_ROWS_AT_ONCE], axis=1)
    if np.allclose(lengths, 1.0, atol=1e-2):
        return []
    return ["The vectors are not of unit length; UMAP compares them by direction (dot is laid out as cosine)."]
