"""The fast engine: what `hdbscan` finds by default, with the slow parts on all processors or compiled."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.late_package import import_submodule
from vis_assets.mapping.clustering.spanning_tree import SpanningTree
from vis_assets.mapping.threads import thread_count

_LEAF_SIZE = 13  # that of hdbscan's search by default, 40 // 3


def find_clusters(
    coordinates: npt.NDArray[np.float32], min_cluster_size: int, min_samples: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], SpanningTree]:
    """Cluster points as `hdbscan` does by default (excess of mass, no single cluster for the map).

    The spanning tree is hdbscan's own, with its shortcut (`approx_min_span_tree`; McInnes & Healy 2017): the clusters
    are the same as the reference's. The result is the same on every run and with any number of threads.

    Args:
        coordinates: (n, 2) finite floats, n >= 2, not all equal.
        min_cluster_size: fewest points that make a cluster, 2 to n.
        min_samples: neighbours that make a core point, 1 to n - 1.

    Returns:
        (n,) int32 labels in the engine's order, -1 for noise, (n,) float32 membership strengths, and the tree that
        they were cut from.
    """
    tree = _span(coordinates, min_samples)
    cut = tree.cut(min_cluster_size)
    return cut.labels, cut.strengths, tree


@dataclass(frozen=True)
class _NeighborSearch:
    """The search for core distances, as hdbscan's spanning tree asks for it.

    hdbscan asks scikit-learn's tree, on one processor or in child processes; that takes most of its time.
    """

    data: npt.NDArray[np.float64]

    def query(self, points: Any, k: int, **_hints: bool) -> Any:
        """Distances and rows of the k nearest, itself included, (n, k) each."""
        from scipy.spatial import cKDTree

        return cKDTree(self.data).query(np.asarray(points), k=k, workers=thread_count())


def _span(coordinates: npt.NDArray[np.float32], min_samples: int) -> SpanningTree:
    boruvka = import_submodule("hdbscan", "_hdbscan_boruvka")
    points = _NeighborSearch(np.ascontiguousarray(coordinates, dtype=np.float64))
    search = boruvka.KDTreeBoruvkaAlgorithm(
        points, min_samples, leaf_size=_LEAF_SIZE, approx_min_span_tree=True, n_jobs=1
    )
    return SpanningTree.of_edges(search.spanning_tree())
