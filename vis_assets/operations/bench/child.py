"""A process of its own for one engine, so that its memory and its compiled code are its own.

`python -m vis_assets.operations.bench.child TASK` where TASK is the JSON of a `Task`. Writes `measured.json`,
`coordinates.npy`, `labels.npy` and, where there is one, `graph.npy` into the task's folder.
"""

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vis_assets.operations.bench.data import read_texts
from vis_assets.operations.bench.engines import ENGINES, MadeMap, StageClock, make_map_fast, name_clusters
from vis_assets.operations.bench.machine import peak_rss_bytes
from vis_assets.page.texts import hover_limit

PAGE = "map.html"


@dataclass(frozen=True)
class Task:
    """What a child is to do.

    Attributes:
        engine: a name of `ENGINES`.
        vectors: `.npy` file.
        texts: `.jsonl` file, or None.
        points: how many rows to map.
        folder: where to write.
        warm_points: how many rows to map first, so that all is imported and compiled; 0 for a cold start.
        runs: how many times to map all; the one of the median total counts.
        started: monotonic time at which the process was started.
        dask_scheduler: address of a cluster that runs the stages; None runs them in the child.
    """

    engine: str
    vectors: str
    texts: str | None
    points: int
    folder: str
    warm_points: int
    runs: int
    started: float
    dask_scheduler: str | None = None

    def to_json(self) -> str:
        """Return what `from_json` reads."""
        return json.dumps(asdict(self))


@dataclass(frozen=True)
class _Run:
    """One map, and what it took."""

    made: MadeMap
    clock: StageClock
    total_seconds: float
    peak_rss_bytes: int


def run_task(task: Task) -> None:
    """Map the points and write what was measured."""
    folder = Path(task.folder)
    clock = StageClock({"start": time.monotonic() - task.started})
    with clock.stage("load"):
        vectors = np.load(task.vectors, mmap_mode="r")[: task.points]
        texts = _texts(task)
    if task.dask_scheduler is not None:
        run = _run_on_cluster(task, vectors, texts, clock)
    elif task.warm_points:
        run = _run_warm(task, vectors, texts)
    else:
        made = ENGINES[task.engine](vectors, texts, clock, folder / PAGE)
        run = _Run(made, clock, time.monotonic() - task.started, peak_rss_bytes())
    if task.engine == "fast":
        name_clusters(vectors, texts, run.made.labels, run.clock)
    _write(folder, run)


def _texts(task: Task) -> list[str]:
    """Read the texts, cut as our page cuts them, so that both engines write the same ones."""
    if task.texts is None:
        return [f"row {row}" for row in range(task.points)]
    return read_texts(Path(task.texts), task.points, hover_limit(task.points))


def _run_warm(task: Task, vectors: npt.NDArray[np.float32], texts: list[str]) -> _Run:
    make_map, page, warm = ENGINES[task.engine], Path(task.folder) / PAGE, slice(task.warm_points)
    warmed = make_map(vectors[warm], texts[warm], StageClock(), page)
    if task.engine == "fast":
        name_clusters(vectors[warm], texts[warm], warmed.labels, StageClock())
    runs = []
    for _ in range(task.runs):
        clock = StageClock()
        made = make_map(vectors, texts, clock, page)
        runs.append(_Run(made, clock, clock.compared_seconds, peak_rss_bytes()))
    return sorted(runs, key=lambda run: run.total_seconds)[len(runs) // 2]


def _run_on_cluster(task: Task, vectors: npt.NDArray[np.float32], texts: list[str], clock: StageClock) -> _Run:
    """Make the map as a run does that finds a warm worker; the peak is this process's and the worker's together."""
    folder = Path(task.folder)
    with clock.stage("connect"):
        from vis_assets.resources.compute.dask_compute import DaskCompute
        from vis_assets.resources.object_store import open_store
        from vis_assets.settings import Settings

        settings = Settings(VIS_ASSETS_HOME=folder, VIS_ASSETS_STORE_DIR=folder / "store")
        store = open_store(settings.model_copy(update={"s3_bucket_name": None}))
        compute = DaskCompute(str(task.dask_scheduler), "bench", folder, store)
        _ = compute.workers  # connects
    try:
        made = make_map_fast(vectors, texts, clock, folder / PAGE, compute.run)
        total = time.monotonic() - task.started
        return _Run(made, clock, total, peak_rss_bytes() + compute.run(peak_rss_bytes))
    finally:
        compute.close()


def _write(folder: Path, run: _Run) -> None:
    np.save(folder / "coordinates.npy", run.made.coordinates)
    np.save(folder / "labels.npy", run.made.labels)
    if run.made.graph is not None:
        np.save(folder / "graph.npy", run.made.graph)
    measured = {
        "stages": run.clock.seconds,
        "total_seconds": run.total_seconds,
        "peak_rss_bytes": run.peak_rss_bytes,
    }
    (folder / "measured.json").write_text(json.dumps(measured))


if __name__ == "__main__":
    run_task(Task(**json.loads(sys.argv[1])))
