"""The two pipelines that are compared: ours, and the spec pipeline of stock libraries. Both make a finished page."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.quality import without_self

N_NEIGHBORS = 15
"""The point itself included, as umap-learn counts."""
MIN_DIST = 0.1
MIN_CLUSTER_SIZE = 15
EXEMPLARS = 5
MIN_SAMPLES = 5
NOISE_NAME = "Unlabelled"
COMPARED = ("layout", "clusters", "page")
"""The stages that both engines have; their sum is what is compared."""


@dataclass
class StageClock:
    """Seconds of each stage; a name with a slash is a part of the stage before the slash."""

    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time a block."""
        started = time.perf_counter()
        self.seconds[name] = 0.0  # takes its place before its parts
        yield
        self.seconds[name] = time.perf_counter() - started

    @property
    def compared_seconds(self) -> float:
        """Sum of the stages that both engines have."""
        return sum(self.seconds[name] for name in COMPARED)


@dataclass(frozen=True)
class MadeMap:
    """What an engine made of n vectors.

    Attributes:
        coordinates: (n, 2) float32.
        labels: (n,) int32, -1 for noise.
        graph: (n, k) ids of the neighbours that the layout was made from, without the points themselves; None where all
            pairs were compared.
        page: the page.
    """

    coordinates: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    graph: npt.NDArray[np.signedinteger[Any]] | None
    page: Path


Call = Callable[..., Any]
"""Runs a function with arguments here or elsewhere: `Compute.run`, or `call_here`."""


def call_here(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Call a function in this process."""
    return function(*args, **kwargs)


def make_map_fast(
    vectors: npt.NDArray[np.float32], texts: Sequence[str], clock: StageClock, page: Path, call: Call = call_here
) -> MadeMap:
    """Make a map by the functions of `mapping` and `page`, as the assets call them.

    Args:
        vectors: (n, d) float32 memory map.
        texts: n texts for the page.
        clock: told the seconds of each stage.
        page: written.
        call: what runs the stages.
    """
    from vis_assets.mapping.clustering import cluster
    from vis_assets.mapping.layout import lay_out
    from vis_assets.mapping.neighbors import find_neighbors
    from vis_assets.page.content import MapContent
    from vis_assets.page.render import render_page
    from vis_assets.protocol.visualization_config import VisualizationConfig

    with clock.stage("layout"):
        with clock.stage("layout/neighbors"):
            neighbors = call(find_neighbors, vectors, N_NEIGHBORS - 1, "cosine")
        layout = call(
            lay_out, vectors, n_neighbors=N_NEIGHBORS, min_dist=MIN_DIST, metric="cosine", on_progress=_ignore,
            neighbors=neighbors,
        )  # fmt: skip
    parts = {f"layout/{part}": seconds for part, seconds in layout.stage_seconds.items() if part != "neighbors"}
    clock.seconds.update(parts)
    with clock.stage("clusters"):
        clustering = call(
            cluster, layout.coordinates, min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES, engine="fast"
        )
    with clock.stage("page"):
        names = [f"Cluster {label}" for label in range(clustering.cluster_count)]
        content = MapContent(layout.coordinates, clustering.labels, names, texts)
        page.write_bytes(call(render_page, content, VisualizationConfig()).html)
    return MadeMap(layout.coordinates, clustering.labels, neighbors.ids, page)


def make_map_spec(
    vectors: npt.NDArray[np.float32], texts: Sequence[str], clock: StageClock, page: Path, _call: Call = call_here
) -> MadeMap:
    """Make a map by umap-learn, hdbscan and datamapplot as their users do; arguments as above.

    datamapplot's offline mode with empty caches keeps it from the network, on which it would wait for fonts.
    """
    with clock.stage("layout"):
        from umap import UMAP

        model = UMAP(metric="cosine", n_neighbors=N_NEIGHBORS, min_dist=MIN_DIST)
        coordinates = model.fit_transform(vectors)
    with clock.stage("clusters"):
        from hdbscan import HDBSCAN

        labels = HDBSCAN(min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES).fit_predict(coordinates)
    with clock.stage("page"):
        _empty_caches(page.parent)
        import datamapplot

        names = np.array([*(f"Cluster {label}" for label in range(labels.max() + 1)), NOISE_NAME], dtype=object)
        plot = datamapplot.create_interactive_plot(
            coordinates, names[labels], hover_text=list(texts), noise_label=NOISE_NAME, offline_mode=True
        )
        plot.save(page)
    found = getattr(model, "_knn_indices", None)
    graph = None if found is None else without_self(found, np.arange(len(found)))
    return MadeMap(coordinates, labels.astype(np.int32), graph, page)


def name_clusters(
    vectors: npt.NDArray[np.float32], texts: Sequence[str], labels: npt.NDArray[np.int32], clock: StageClock
) -> None:
    """Time keyphrases, exemplars and names made of these, which the spec pipeline has not."""
    from vis_assets.mapping.exemplars import gather_evidence
    from vis_assets.mapping.keyphrases import extract_layer_keyphrases
    from vis_assets.naming import name_clusters as naming
    from vis_assets.naming.evidence import collect_evidence

    with clock.stage("names"):
        keyphrases = extract_layer_keyphrases(texts, [labels])
        found = gather_evidence(vectors, [labels], texts, metric="cosine", per_cluster=EXEMPLARS)
        naming.name_clusters(collect_evidence([labels], texts, keyphrases, found, with_sketches=False))


ENGINES: dict[str, Callable[..., MadeMap]] = {"fast": make_map_fast, "spec": make_map_spec}


def _ignore(_done: int, _total: int) -> None:
    """Take no notice of progress."""


def _empty_caches(folder: Path) -> None:
    """Give datamapplot empty caches of scripts, styles and fonts."""
    caches = folder / "datamapplot"
    caches.mkdir(exist_ok=True)
    for kind in ("js", "css", "fonts"):
        (caches / f"datamapplot_{kind}_encoded.json").write_text("{}")
    os.environ["XDG_DATA_HOME"] = str(folder)
