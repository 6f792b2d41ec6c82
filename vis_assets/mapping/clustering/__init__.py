"""Clusters of points on the map: one engine a file, and what is true whichever engine ran."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed
from vis_assets.mapping.clustering import fast, hdbscan, numbering
from vis_assets.mapping.clustering.layers import Layers, find_layers

NOISE = numbering.NOISE
"""Label of a point that belongs to no cluster."""

ENGINES = {"fast": fast.find_clusters, "hdbscan": hdbscan.find_clusters}
"""Engines by name, the one that is used if nothing is said first."""


@dataclass(frozen=True)
class Clustering:
    """To which cluster each of n points belongs, rows in the order of the coordinates.

    Attributes:
        labels: (n,) int32; 0 is the biggest cluster, 1 the next, and so on; -1 is noise.
        membership_strengths: (n,) float32 from 0 to 1, how firmly a point belongs to its cluster; 0 for noise.
        notes: sentences for the user: what was done differently from what was asked, and why.
        coarser: (n,) int32 each: labels of the coarser layers, the next coarser first, each numbered like `labels`. All
            points of a cluster are in one cluster of the next layer.
        parents: as many int32 arrays as `coarser`: the first gives for each cluster of `labels` its cluster in
            `coarser[0]`, the next for each cluster of `coarser[0]` its cluster in `coarser[1]`, and so on.
    """

    labels: npt.NDArray[np.int32]
    membership_strengths: npt.NDArray[np.float32]
    notes: tuple[str, ...] = ()
    coarser: tuple[npt.NDArray[np.int32], ...] = ()
    parents: tuple[npt.NDArray[np.int32], ...] = ()

    @property
    def layers(self) -> tuple[npt.NDArray[np.int32], ...]:
        """Labels of all layers, the finest first."""
        return (self.labels, *self.coarser)

    @property
    def counts(self) -> tuple[int, ...]:
        """Clusters of each layer, the finest first."""
        return tuple(int(labels.max(initial=NOISE)) + 1 for labels in self.layers)

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """(cluster_count,) points of each cluster, largest first; index = label."""
        return np.bincount(self.labels[self.labels != NOISE]).astype(np.int64)

    @property
    def cluster_count(self) -> int:
        """Clusters found; noise is none."""
        return len(self.sizes)

    @property
    def noise_count(self) -> int:
        """Points that belong to no cluster."""
        return int((self.labels == NOISE).sum())

    @property
    def noise_share(self) -> float:
        """Share of the points that belong to no cluster, 0 to 1; 0 where there are no points."""
        return self.noise_count / max(len(self.labels), 1)


def cluster(
    coordinates: npt.NDArray[np.float32],
    *,
    min_cluster_size: int,
    min_samples: int,
    engine: str = "fast",
    layers: bool = True,
) -> Clustering:
    """Find dense groups of points (HDBSCAN*; Campello, Moulavi & Sander 2013), the biggest first.

    The result is the same on every run. Clusters of one size are ordered by their first point.

    Args:
        coordinates: (n, 2) finite floats, n >= 1.
        min_cluster_size: fewest points that make a cluster, at least 2.
        min_samples: neighbours that make a core point, at least 1; at most n - 1 are used.
        engine: a name in `ENGINES`: "fast", or "hdbscan", the reference. The coarser layers are cut from the engine's
            tree by one code of ours.
        layers: whether to look for coarser layers, which change nothing in the finest.

    Returns:
        The clustering, rows in the order of `coordinates`.

    Raises:
        ComputeFailed: the engine failed or ran out of memory.
        KeyError: there is no such engine.
    """
    find_clusters = ENGINES[engine]
    count = len(coordinates)
    if count < min_cluster_size:
        note = f"There are no clusters: {count} points are fewer than min_cluster_size ({min_cluster_size})."
        return Clustering(np.full(count, NOISE, dtype=np.int32), np.zeros(count, dtype=np.float32), (note,))
    if (coordinates == coordinates[0]).all():
        note = f"All {count} points lie in one place and are one cluster."
        return Clustering(np.zeros(count, dtype=np.int32), np.ones(count, dtype=np.float32), (note,))
    notes = []
    if min_samples >= count:
        notes.append(f"min_samples was lowered from {min_samples} to {count - 1}: there are only {count} points.")
    try:
        labels, strengths, tree = find_clusters(coordinates, min_cluster_size, min(min_samples, count - 1))
        labels = numbering.largest_first(labels)
        above = find_layers(tree, coordinates, labels, min_cluster_size) if layers else Layers()
    except MemoryError as error:
        raise ComputeFailed(
            f"HDBSCAN ran out of memory on {count} points; give the worker more memory or map fewer points."
        ) from error
    except (ValueError, TypeError, ArithmeticError) as error:
        raise ComputeFailed(f"HDBSCAN failed on {count} points: {error}") from error
    strengths = np.clip(strengths, 0.0, 1.0).astype(np.float32)
    return Clustering(labels, strengths, tuple(notes), above.labels, above.parents)
