"""Cutting one spanning tree at many sizes."""

import numpy as np
import pytest
from hdbscan import HDBSCAN
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import adjusted_rand_score

from vis_assets.mapping.clustering import cluster, fast
from vis_assets.mapping.clustering.spanning_tree import SpanningTree
from vis_assets_tests.mapping.clustering.test_fast import islands


@pytest.mark.parametrize("size", [30, 90, 250])
def test_a_later_cut_is_what_the_reference_finds_at_that_size(size):
    """The tree that was grown for small clusters has the clusters of any other size too."""
    coordinates = islands(4_000)
    *_, tree = fast.find_clusters(coordinates, 15, 5)
    reference = cluster(coordinates, min_cluster_size=size, min_samples=5, engine="hdbscan", layers=False)
    cut = tree.cut(size)
    assert adjusted_rand_score(cut.labels, reference.labels) == 1.0
    assert ((cut.labels == -1) == (reference.labels == -1)).all()


def line(*places):
    """The spanning tree of places on a line, in their order."""
    distances = np.diff(np.array(places, dtype=np.float64))
    rows = np.arange(len(distances))
    return SpanningTree.of_edges(np.stack([rows, rows + 1, distances], axis=1))


def test_edges_come_in_any_order():
    """The shortest edge is the first, whatever the order they were given in."""
    tree = line(0, 5, 6, 9)
    assert tree.distances.tolist() == [1, 3, 5]
    assert (tree.sources.tolist(), tree.targets.tolist()) == ([1, 2, 0], [2, 3, 1])
    assert tree.point_count == 4


@pytest.mark.parametrize("size", [15, 60, 200])
def test_leaves_are_what_the_reference_calls_so(size):
    """Leaves are hdbscan's clusters by the method "leaf"."""
    coordinates = islands(4_000)
    *_, tree = fast.find_clusters(coordinates, 15, 5)
    reference = HDBSCAN(min_cluster_size=size, min_samples=5, cluster_selection_method="leaf", core_dist_n_jobs=1)
    expected = reference.fit_predict(coordinates.astype(np.float64))
    cut = tree.cut(size)
    assert len(cut.leaves) == expected.max() + 1
    assert ((cut.leaf_labels == -1) == (expected == -1)).all()
    assert adjusted_rand_score(cut.leaf_labels, expected) == 1.0


@settings(max_examples=60, deadline=None)
@given(
    coordinates=hnp.arrays(np.float32, st.tuples(st.integers(8, 80), st.just(2)), elements=st.integers(-6, 6)),
    size=st.integers(2, 12),
)
def test_leaves_are_counted_without_a_cut(coordinates, size):
    """The number of leaves at a size is known from the tree alone, also where points share a place."""
    coordinates[0, 0] += 20  # not all in one place
    *_, tree = fast.find_clusters(coordinates, 2, 2)
    assert tree.leaf_count(size) == len(tree.cut(size).leaves)


def test_a_tree_that_does_not_come_apart_has_no_leaves():
    """All points together are no leaf."""
    cut = line(0, 1, 2, 3, 4).cut(4)
    assert len(cut.leaves) == 0
    assert cut.leaf_labels.tolist() == [-1] * 5
