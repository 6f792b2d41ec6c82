"""Every hot path once, on made-up points: compiled code is then on disk, and loaded in this process.

Compiled code is kept beside its source, in `__pycache__`; where that is not writable, in numba's folder in the user's
cache; with NUMBA_CACHE_DIR set, there. Processes may share it: numba replaces its files whole. Code for another
processor, or of another version of its source, is compiled anew.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering import cluster
from vis_assets.mapping.exemplars import gather_evidence
from vis_assets.mapping.keyphrases import extract_keyphrases
from vis_assets.mapping.layout import lay_out
from vis_assets.page.content import MapContent
from vis_assets.page.preview import draw_preview
from vis_assets.page.render import render_page
from vis_assets.protocol.visualization_config import Metric, VisualizationConfig

FEW, MANY = 400, 13_000
"""Points of a small map, and of one whose neighbours are searched approximately."""
DIMENSION = 32
_GROUPS = 20


@dataclass(frozen=True)
class Warmed:
    """One path that was gone.

    Attributes:
        name: what it does, for a person.
        seconds: how long it took, imports and compilation included.
    """

    name: str
    seconds: float


@dataclass(frozen=True)
class CodeCache:
    """Compiled code in this process.

    Attributes:
        folders: where it is kept on disk.
        loaded: functions (one for each combination of types) that were loaded from there.
        compiled: functions that were compiled and written there.
    """

    folders: tuple[Path, ...]
    loaded: int
    compiled: int


def warm_up(*, on_path: Callable[[Warmed], None] | None = None) -> None:
    """Go every hot path of the fast engines once.

    The reference engines have no part in it: `hdbscan` is compiled when it is installed, and of what umap-learn
    compiles much cannot be kept on disk.

    Args:
        on_path: called after each path.

    Raises:
        ComputeFailed: a path failed.
        OSError: the temporary folder is not writable.
    """
    for name, path in _paths():
        started = time.perf_counter()
        path()
        if on_path is not None:
            on_path(Warmed(name, time.perf_counter() - started))


def find_code_cache() -> CodeCache:
    """Look where the compiled code of the modules that this process has imported is kept."""
    if "numba" not in sys.modules:
        return CodeCache((), 0, 0)
    from numba.core.dispatcher import Dispatcher

    functions = {
        id(value): value.stats
        for module in list(sys.modules.values())
        for value in list(vars(module).values())
        if isinstance(value, Dispatcher)
    }
    used = [stats for stats in functions.values() if stats.cache_hits or stats.cache_misses]
    return CodeCache(
        tuple(sorted({Path(stats.cache_path) for stats in used if stats.cache_path is not None})),
        sum(sum(stats.cache_hits.values()) for stats in used),
        sum(sum(stats.cache_misses.values()) for stats in used),
    )


def _paths() -> Iterator[tuple[str, Callable[[], object]]]:
    generator = np.random.default_rng(0)
    few, many = _vectors(FEW, generator), _vectors(MANY, generator)
    places = few[:, :2].copy()
    yield "layout of a small map", partial(_lay_out, few)
    yield "layout of a small map from a file", partial(_lay_out_file, few)
    yield "layout of a small map by euclidean distance", partial(_lay_out, few, metric="euclidean")
    yield "layout of a large map", partial(_lay_out_file, many)
    yield "layout of a part, the rest placed", partial(_lay_out_file, many, max_points=MANY // 2)
    yield "clusters", partial(cluster, places, min_cluster_size=15, min_samples=5)
    content = _content(places)
    yield "names", partial(_describe, content)
    yield "page", partial(_render, content)
    yield "preview", partial(draw_preview, content)


def _vectors(count: int, generator: np.random.Generator) -> npt.NDArray[np.float32]:
    centres = generator.normal(size=(_GROUPS, DIMENSION))
    groups = generator.integers(0, _GROUPS, count)
    return (centres[groups] + 0.1 * generator.normal(size=(count, DIMENSION))).astype(np.float32)


def _lay_out(vectors: npt.NDArray[np.float32], metric: Metric = "cosine", max_points: int | None = None) -> None:
    lay_out(vectors, n_neighbors=15, min_dist=0.1, metric=metric, on_progress=_say_nothing, max_points=max_points)


def _say_nothing(_done: float, _total: float) -> None:
    """Nobody watches."""


def _lay_out_file(vectors: npt.NDArray[np.float32], max_points: int | None = None) -> None:
    """Lay out a read-only memory map, as jobs do: for compiled code that is another type of array."""
    with tempfile.TemporaryDirectory(prefix="vis-assets-warm-") as folder:
        file = Path(folder) / "vectors.npy"
        np.save(file, vectors)
        _lay_out(np.load(file, mmap_mode="r"), max_points=max_points)


def _content(places: npt.NDArray[np.float32]) -> MapContent:
    labels = (np.arange(len(places)) % _GROUPS).astype(np.int32) - 1
    texts = [f"Text {row} of group {label}." for row, label in enumerate(labels.tolist())]
    return MapContent(places, labels, [f"Group {label}" for label in range(_GROUPS - 1)], texts)


def _describe(content: MapContent) -> None:
    extract_keyphrases(content.hover_texts, content.labels)
    gather_evidence(content.coordinates, (content.labels,), content.hover_texts, metric="cosine", per_cluster=5)


def _render(content: MapContent) -> None:
    render_page(content, VisualizationConfig(cluster_boundary_polygons=True, enable_topic_tree=True))
