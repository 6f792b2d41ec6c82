"""The spanning tree, which takes most of the time, and the clusters that it has at any size: cutting it is cheap."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Cut:
    """The condensed tree of clusters of at least one size, and two choices from it (Campello et al. 2013).

    The one is that of the greatest stability in all (excess of mass), never the cluster of all points. The other are
    the leaves: a cluster for each densest place. Where a map is one mass with islands, the first is the mass.

    Attributes:
        clusters: (n,) the smallest condensed cluster that each point is in.
        lambdas: (n,) the lambda at which it leaves it.
        parents: (m,) the condensed cluster that each condensed cluster comes off, -1 for the first, of all points.
        births: (m,) the lambda at which it does.
        chosen: (m,) the most stable cluster that each condensed cluster is in, -1 where there is none.
    """

    clusters: npt.NDArray[np.int64]
    lambdas: npt.NDArray[np.float64]
    parents: npt.NDArray[np.int64]
    births: npt.NDArray[np.float64]
    chosen: npt.NDArray[np.int64]

    @cached_property
    def labels(self) -> npt.NDArray[np.int32]:
        """(n,) the most stable clusters, numbered with gaps; -1 for noise."""
        return self.chosen[self.clusters].astype(np.int32)

    @cached_property
    def strengths(self) -> npt.NDArray[np.float32]:
        """(n,) membership strengths in the most stable clusters, 0 to 1; 0 for noise."""
        from vis_assets.mapping.clustering import tree_kernels

        strengths = tree_kernels.measure_strengths(self.chosen, self.parents, self.births, self.clusters, self.lambdas)
        return np.asarray(strengths, dtype=np.float32)

    @cached_property
    def leaves(self) -> npt.NDArray[np.int64]:
        """Condensed clusters that hold no other; none where nothing comes off the cluster of all points."""
        holds = np.zeros(len(self.parents), dtype=bool)
        holds[self.parents[1:]] = True
        holds[0] = True
        return np.flatnonzero(~holds)

    @cached_property
    def leaf_labels(self) -> npt.NDArray[np.int32]:
        """(n,) places in `leaves`; -1 for points of no leaf."""
        names = np.full(len(self.parents), -1, dtype=np.int32)
        names[self.leaves] = np.arange(len(self.leaves), dtype=np.int32)
        return names[self.clusters]


@dataclass(frozen=True)
class SpanningTree:
    """A minimum spanning tree of n points by mutual reachability distance, n >= 2, the shortest edge first.

    Attributes:
        sources: (n - 1,) row of one end of each edge.
        targets: (n - 1,) row of the other end.
        distances: (n - 1,) lengths, ascending.
    """

    sources: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    distances: npt.NDArray[np.float64]

    @classmethod
    def of_edges(cls, edges: npt.NDArray[np.float64]) -> "SpanningTree":
        """Read (n - 1, 3) rows of source, target and distance, in any order."""
        edges = edges[np.argsort(edges[:, 2])]
        ends = edges[:, :2].astype(np.int64)
        return cls(
            np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1]), np.ascontiguousarray(edges[:, 2])
        )

    @property
    def point_count(self) -> int:
        """Points that the tree spans."""
        return len(self.distances) + 1

    @cached_property
    def _merges(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        from vis_assets.mapping.clustering import tree_kernels

        children, sizes = tree_kernels.merge_along(self.sources, self.targets)
        return children, sizes

    @cached_property
    def _split_sizes(self) -> npt.NDArray[np.int64]:
        """Points of the smaller side of each merge that has two, ascending."""
        children, sizes = self._merges
        of_nodes = np.concatenate([np.ones(self.point_count, dtype=np.int64), sizes])  # points, then merges
        smaller = of_nodes[children].min(axis=1)
        return np.sort(smaller[(smaller > 1) & (self.distances > 0.0)])  # points in one place never come apart

    def leaf_count(self, min_cluster_size: int) -> int:
        """Count the leaves of the cut at this size, at least 2, without cutting: one more than splits, if any."""
        splits = len(self._split_sizes) - int(np.searchsorted(self._split_sizes, min_cluster_size))
        return splits + 1 if splits else 0

    def cut(self, min_cluster_size: int) -> Cut:
        """Condense the tree to clusters of at least `min_cluster_size` points, at least 2."""
        from vis_assets.mapping.clustering import tree_kernels

        children, sizes = self._merges
        wholes, splits = tree_kernels.find_splits(children, sizes, self.distances, min_cluster_size)
        clusters, lambdas, parents, births, stabilities = tree_kernels.condense(
            children, sizes, self.distances, wholes, splits, min_cluster_size
        )
        return Cut(clusters, lambdas, parents, births, tree_kernels.select(parents, stabilities))
