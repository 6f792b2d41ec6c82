"""The fast engine: HDBSCAN* with an exact spanning tree, compiled, on all processors."""

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed
from vis_assets.late_package import import_submodule


def find_clusters(
    coordinates: npt.NDArray[np.float32], min_cluster_size: int, min_samples: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Cluster points as `hdbscan` does with an exact spanning tree (excess of mass, no single cluster for the map).

    The k-d tree and its neighbour search are fast_hdbscan's (McInnes & Healy 2017). The result is the same on every
    run and with any number of threads.

    Args:
        coordinates: (n, 2) finite floats, n >= 2, not all equal.
        min_cluster_size: fewest points that make a cluster, 2 to n.
        min_samples: neighbours that make a core point, 1 to n - 1.

    Returns:
        (n,) int32 labels in the engine's order, -1 for noise, and (n,) float32 membership strengths.

    Raises:
        ComputeFailed: the engine failed or ran out of memory.
    """
    from vis_assets.mapping.clustering import tree_kernels

    try:
        sources, targets, distances = _span(coordinates, min_samples)
        children, sizes = tree_kernels.merge_along(sources, targets)
        wholes, splits = tree_kernels.find_splits(children, sizes, distances, min_cluster_size)
        clusters, lambdas, parents, births, stabilities = tree_kernels.condense(
            children, sizes, distances, wholes, splits, min_cluster_size
        )
        chosen = tree_kernels.select(parents, stabilities)
        strengths = tree_kernels.measure_strengths(chosen, parents, births, clusters, lambdas)
    except MemoryError as error:
        raise ComputeFailed(
            f"HDBSCAN ran out of memory on {len(coordinates)} points; give the worker more memory or map fewer points."
        ) from error
    except (ValueError, ArithmeticError) as error:
        raise ComputeFailed(f"HDBSCAN failed on {len(coordinates)} points: {error}") from error
    return chosen[clusters].astype(np.int32), strengths.astype(np.float32)


def _span(
    coordinates: npt.NDArray[np.float32], min_samples: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rows and lengths of the edges of the minimum spanning tree by mutual reachability, the shortest first.

    Most lengths are core distances and shared by several edges. Among equals the edge whose ends lie nearer to each
    other comes first, so that the clusters do not depend on the order of the rows.

    Lengths are in units that make the map about 1 wide, so that their squares are neither infinite nor zero. The unit
    is a power of two: equal distances stay equal.
    """
    from vis_assets.mapping.clustering.spanning_kernels import span

    kd = import_submodule("fast_hdbscan", "numba_kdtree")
    _, exponent = np.frexp(np.abs(coordinates).max())
    tree = kd.build_kdtree(np.ascontiguousarray(np.ldexp(coordinates, -exponent), dtype=np.float32))
    rows = tree.idx_array
    tree = tree._replace(data=tree.data[rows], idx_array=np.arange(len(rows)))
    distances, neighbors = kd.parallel_tree_query(tree, tree.data, k=min_samples + 1, output_rdist=True)
    cores = np.ascontiguousarray(distances[:, -1])
    edges = span(tree.data, neighbors, cores, tree.idx_start, tree.idx_end, tree.is_leaf, tree.node_bounds)
    ends = edges[:, :2].astype(np.int64)
    apart = np.square(tree.data[ends[:, 0]].astype(np.float64) - tree.data[ends[:, 1]]).sum(axis=1)
    order = np.lexsort((rows[ends].max(axis=1), rows[ends].min(axis=1), apart, edges[:, 2]))
    return rows[ends[order, 0]], rows[ends[order, 1]], np.sqrt(edges[order, 2])
