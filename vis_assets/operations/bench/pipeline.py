"""One map by each engine, on the same data: seconds, memory, quality, and how far the clusterings agree."""

import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.quality import measure_quality
from vis_assets.operations.bench.child import Task
from vis_assets.operations.bench.data import BenchData
from vis_assets.operations.bench.engines import MIN_CLUSTER_SIZE, MIN_SAMPLES, N_NEIGHBORS
from vis_assets.operations.dask_cluster import Cluster
from vis_assets.operations.processes import ProcessFailed, start, take_signals, wait_until

WARM_UP_TO = 100_000
"""Larger maps are preceded by one of so many points; smaller ones by one of full size."""
RUNS_UP_TO = 20_000
RUNS = 3
"""Maps of up to 20,000 points are made three times, and the one of the median total counts; larger ones once."""
SHUFFLES = 3
"""Orders of the rows, besides their own, in which hdbscan clusters up to 100,000 points; larger maps: one."""
CLUSTER_SECONDS = 600.0


@dataclass(frozen=True)
class Quality:
    """Shares from 0 to 1, for the 15 nearest; `knn_recall` is 1 where all pairs were compared."""

    trustworthiness: float
    neighbor_preservation: float
    knn_recall: float


@dataclass(frozen=True)
class Measured:
    """What one engine did.

    Attributes:
        engine: "fast" or "spec".
        points: rows mapped.
        dim: length of a vector.
        stages: seconds by name; a name with a slash is a part of the stage before the slash, and `names`, which only
            "fast" has, is in no total.
        total_seconds: warm: layout, clusters and page. Cold: from the start of the process to the written page.
        peak_rss_bytes: most memory of the engine's process, its children's not counted.
        quality: of the map and its graph.
        clusters: how many, without noise.
    """

    engine: str
    points: int
    dim: int
    stages: dict[str, float]
    total_seconds: float
    peak_rss_bytes: int
    quality: Quality
    clusters: int


@dataclass(frozen=True)
class Agreement:
    """Adjusted Rand indices of clusterings of the fast engine's layout, noise as one label.

    Attributes:
        fast_with_hdbscan: the fast engine's clusters with hdbscan's, rows in the same order.
        hdbscan_with_itself: hdbscan's clusters in one order of the rows with those in another, mean over all pairs.
    """

    fast_with_hdbscan: float
    hdbscan_with_itself: float


@dataclass(frozen=True)
class PipelineReport:
    """All of one comparison.

    Attributes:
        measured: one an engine, in the order asked for.
        agreement: None unless the fast engine ran and it was asked for.
        cold: whether each engine began in a fresh process.
        on_cluster: whether that of the fast engine found a warm Dask worker.
        about: what was mapped.
    """

    measured: tuple[Measured, ...]
    agreement: Agreement | None
    cold: bool
    on_cluster: bool
    about: str


def run_pipeline(
    engines: Sequence[str],
    data: BenchData,
    *,
    cold: bool,
    on_cluster: bool,
    with_agreement: bool,
    say: Callable[[str], None],
) -> PipelineReport:
    """Make a map of the data by each engine, one after the other, each in a process of its own.

    Args:
        engines: names of `ENGINES`.
        data: what to map.
        cold: measure a fresh process from its start; else everything is imported and compiled before.
        on_cluster: the fast engine's fresh process finds a Dask worker that is warm; for cold starts only.
        with_agreement: compare the fast engine's clusters with hdbscan's too.
        say: told what is being done.

    Raises:
        ProcessFailed: an engine's process ended without a result.
    """
    take_signals()
    measured = []
    agreement = None
    with tempfile.TemporaryDirectory(prefix="vis-assets-bench-") as name:
        for engine in engines:
            folder = Path(name) / engine
            folder.mkdir()
            say(f"{engine}: a map of {data.points:,} x {data.dim}, {'cold' if cold else 'warm'}")
            with ExitStack() as running:
                environment = running.enter_context(_cluster(folder)) if on_cluster and engine == "fast" else {}
                found = _run_child(_task(engine, data, folder, cold, environment), environment)
            say(f"{engine}: {found['total_seconds']:.2f} s; measuring quality")
            measured.append(_measured(engine, data, folder, found))
            if engine == "fast" and with_agreement:
                say("fast: comparing clusterings")
                agreement = compare_clusterings(np.load(folder / "coordinates.npy"), np.load(folder / "labels.npy"))
    return PipelineReport(tuple(measured), agreement, cold, on_cluster, data.about)


def compare_clusterings(coordinates: npt.NDArray[np.float32], labels: npt.NDArray[np.int32]) -> Agreement:
    """Cluster a layout by hdbscan, and compare with labels that another engine found.

    hdbscan's own result depends on the order of the rows; by how much is measured beside it, over several orders.

    Args:
        coordinates: (n, 2) the layout.
        labels: (n,) what the other engine found on it.
    """
    from sklearn.metrics import adjusted_rand_score

    count = len(labels)
    random = np.random.default_rng(0)
    shuffles = SHUFFLES if count <= WARM_UP_TO else 1
    orders = [np.arange(count), *(random.permutation(count) for _ in range(shuffles))]
    places = coordinates.astype(np.float64)
    found = [_hdbscan(places, order) for order in orders]
    return Agreement(
        fast_with_hdbscan=float(adjusted_rand_score(found[0], labels)),
        hdbscan_with_itself=mean(float(adjusted_rand_score(*pair)) for pair in combinations(found, 2)),
    )


def _hdbscan(places: npt.NDArray[np.float64], order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Labels, in the order of `places`, that hdbscan gives to its rows in another order."""
    from hdbscan import HDBSCAN

    labels = np.empty(len(places), dtype=np.int64)
    labels[order] = HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES).fit_predict(places[order])
    return labels


def _task(engine: str, data: BenchData, folder: Path, cold: bool, environment: Mapping[str, str]) -> Task:
    return Task(
        engine=engine,
        vectors=str(data.vectors.absolute()),
        texts=str(data.texts.absolute()) if data.texts else None,
        points=data.points,
        folder=str(folder),
        warm_points=0 if cold else min(data.points, WARM_UP_TO),
        runs=RUNS if data.points <= RUNS_UP_TO and not cold else 1,
        started=time.monotonic(),
        dask_scheduler=environment.get("VIS_ASSETS_DASK_SCHEDULER"),
    )


@contextmanager
def _cluster(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run the cluster that `worker` and `dev` start until its worker is warm; yield the variables that lead there."""
    home = folder / "cluster"
    home.mkdir()
    cluster = Cluster(home)
    child = start("dask cluster", cluster.command, os.environ, home / "log")
    try:
        wait_until(lambda: bool((state := cluster.state()) and state.workers), child, CLUSTER_SECONDS)
        yield cluster.environment
    finally:
        child.stop()


def _run_child(task: Task, environment: Mapping[str, str]) -> dict[str, Any]:
    folder, engine = Path(task.folder), task.engine
    command = [sys.executable, "-m", "vis_assets.operations.bench.child", task.to_json()]
    child = start(f"engine {engine}", command, {**os.environ, **environment}, folder / "log")
    result = folder / "measured.json"
    try:
        child.process.wait()
    finally:
        child.stop()
    if not result.exists():
        child.require_running()
        raise ProcessFailed(f"engine {engine} wrote no result")
    found: dict[str, Any] = json.loads(result.read_text())
    return found


def _measured(engine: str, data: BenchData, folder: Path, found: dict[str, Any]) -> Measured:
    vectors = np.load(data.vectors, mmap_mode="r")[: data.points]
    graph = np.load(folder / "graph.npy", mmap_mode="r") if (folder / "graph.npy").exists() else None
    quality = measure_quality(vectors, np.load(folder / "coordinates.npy"), graph=graph, n_neighbors=N_NEIGHBORS)
    return Measured(
        engine=engine,
        points=data.points,
        dim=data.dim,
        stages={name: round(seconds, 4) for name, seconds in found["stages"].items()},
        total_seconds=round(found["total_seconds"], 4),
        peak_rss_bytes=found["peak_rss_bytes"],
        quality=Quality(
            round(quality.trustworthiness, 5),
            round(quality.neighbor_preservation, 5),
            1.0 if quality.knn_recall is None else round(quality.knn_recall, 5),
        ),
        clusters=int(np.load(folder / "labels.npy").max(initial=-1)) + 1,
    )
