"""The reference engine: the `hdbscan` package."""

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering.spanning_tree import SpanningTree


def find_clusters(
    coordinates: npt.NDArray[np.float32], min_cluster_size: int, min_samples: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], SpanningTree]:
    """Cluster points as hdbscan does by default (excess of mass, no single cluster for the map).

    Args:
        coordinates: (n, 2) finite floats, n >= 2, not all equal.
        min_cluster_size: fewest points that make a cluster, 2 to n.
        min_samples: neighbours that make a core point, 1 to n - 1.

    Returns:
        (n,) int32 labels in the engine's order, -1 for noise, (n,) float32 membership strengths, and hdbscan's tree.
    """
    from hdbscan import HDBSCAN

    engine = HDBSCAN(
        min_cluster_size=min_cluster_size,
        min_samples=min_samples,
        gen_min_span_tree=True,
        core_dist_n_jobs=1,  # more starts joblib's child processes above 16,384 points, which outlive a killed worker
    )
    engine.fit(np.ascontiguousarray(coordinates, dtype=np.float64))
    strengths = np.nan_to_num(engine.probabilities_, nan=0.0)
    tree = SpanningTree.of_edges(engine.minimum_spanning_tree_.to_numpy())
    return engine.labels_.astype(np.int32), strengths.astype(np.float32), tree
