"""The steps of the fast layout: graph, curve, start and descent, against the definitions of UMAP."""

import numpy as np
import pytest
from scipy.sparse import csr_array

from vis_assets.mapping.layout.descent import descend, edges_to, epochs_for, fit_curve, fuzzy_graph
from vis_assets.mapping.layout.start import SPAN, principal_start
from vis_assets.mapping.neighbors import Neighbors, find_neighbors
from vis_assets_tests.mapping.points import gaussian, texts_like


def matrix(edges, shape):
    return csr_array((edges.weights, edges.ends, edges.starts), shape=shape).toarray()


def memberships(distances):
    """How firmly one point holds its neighbours, as the paper has it, by plain bisection."""
    beyond = np.maximum(distances - distances[0], 0).astype(float)
    low, high = 1e-9, 1e9
    for _ in range(200):
        width = np.sqrt(low * high)
        low, high = (low, width) if np.exp(-beyond / width).sum() > np.log2(len(beyond) + 1) else (width, high)
    return np.exp(-beyond / np.sqrt(low * high))


def test_graph_is_the_fuzzy_union():
    """Weights are those of the paper: each point's own, and the union a + b - ab of both directions."""
    vectors = gaussian(80)
    neighbors = find_neighbors(vectors, 10, "euclidean")
    own = np.zeros((80, 80))
    for row in range(80):
        own[row, neighbors.ids[row]] = memberships(neighbors.distances[row])
    expected = own + own.T - own * own.T
    epochs = 300
    expected[expected < 1 / epochs] = 0
    found = matrix(fuzzy_graph(neighbors, epochs), (80, 80))
    np.testing.assert_allclose(found, expected, atol=2e-3)
    assert np.array_equal(found, found.T)


def test_graph_of_many_points_is_symmetric():
    """Both ends of an edge know it, with the same weight, also where threads share the points."""
    edges = fuzzy_graph(find_neighbors(texts_like(3_000), 14, "cosine"), 300)
    graph = csr_array((edges.weights, edges.ends, edges.starts), shape=(3_000, 3_000))
    assert abs(graph - graph.T).max() == 0
    assert edges.weights.min() > 0
    assert edges.weights.max() <= 1
    assert (graph.diagonal() == 0).all()


def test_graph_of_copies_has_finite_weights():
    """Where all distances are zero, neighbours are held firmly."""
    neighbors = find_neighbors(np.ones((30, 4), np.float32), 5, "euclidean")
    assert np.allclose(fuzzy_graph(neighbors, 300).weights, 1)


def test_the_graph_asked_about_is_left_as_it_is():
    """The neighbours given are not sorted anew."""
    neighbors = find_neighbors(gaussian(50), 7, "cosine")
    ids, distances = neighbors.ids.copy(), neighbors.distances.copy()
    fuzzy_graph(neighbors, 300)
    assert np.array_equal(neighbors.ids, ids)
    assert np.array_equal(neighbors.distances, distances)


def test_edges_to_placed_points_are_one_way():
    """Points that come later have edges to the placed ones, which have none."""
    neighbors = Neighbors(np.array([[0, 2], [1, 0]], np.int32), np.array([[0.1, 0.2], [0.0, 0.5]], np.float32))
    edges = edges_to(neighbors, 3)
    assert edges.starts.tolist() == [0, 0, 0, 0, 2, 4]
    assert edges.ends.tolist() == [0, 2, 1, 0]
    assert ((edges.weights > 0) & (edges.weights <= 1)).all()


@pytest.mark.parametrize("min_dist", [0.0, 0.05, 0.1, 0.25, 0.5, 0.8, 0.99])
def test_curve_is_that_of_umap(min_dist):
    """The constants of the curve are those that umap-learn fits."""
    from umap.umap_ import find_ab_params

    np.testing.assert_allclose(fit_curve(min_dist), find_ab_params(1.0, min_dist), rtol=1e-4)


def test_start_is_the_principal_plane():
    """Points start where their two principal directions put them, the farthest at a fixed place."""
    vectors = (gaussian(400, 6) * [5, 3, 1, 0.5, 0.2, 0.1]).astype(np.float32)
    start = principal_start(vectors, 0, by_angle=False)
    assert np.abs(start).max() == pytest.approx(SPAN, abs=0.01)
    for axis in range(2):
        assert abs(np.corrcoef(start[:, axis], vectors[:, axis])[0, 1]) > 0.999


def test_start_by_angle_does_not_see_lengths():
    """Vectors of other lengths start in the same places."""
    vectors = gaussian(200)
    longer = vectors * np.linspace(0.5, 20, 200, dtype=np.float32)[:, None]
    here, there = (principal_start(each, 0, by_angle=True) for each in (vectors, longer))
    np.testing.assert_allclose(here, there, atol=1e-3)


@pytest.mark.parametrize("vectors", [np.ones((10, 3), np.float32), gaussian(10, 1)])
def test_start_sets_copies_a_little_apart(vectors):
    """Points without two directions, or in one place, start in different places."""
    start = principal_start(vectors, 0, by_angle=False)
    assert np.isfinite(start).all()
    assert len(np.unique(start, axis=0)) == 10


def test_placed_points_stay():
    """Only the points from `first` on move, and the places given are not written to."""
    neighbors = find_neighbors(gaussian(200), 10, "cosine")
    places = gaussian(200, 2)
    before = places.copy()
    edges = fuzzy_graph(neighbors, 50)
    moved = descend(places, edges, min_dist=0.1, epochs=50, seed=0, first=120, on_share=lambda share: None)
    assert np.array_equal(places, before)
    assert np.array_equal(moved[:120], before[:120])
    assert (moved[120:] != before[120:]).any(axis=1).all()


def test_descent_tells_every_epoch():
    """Progress of the descent grows with every epoch, to 1."""
    shares: list[float] = []
    edges = fuzzy_graph(find_neighbors(gaussian(30), 5, "cosine"), 40)
    descend(gaussian(30, 2), edges, min_dist=0.1, epochs=40, seed=0, on_share=shares.append)
    np.testing.assert_allclose(shares, np.arange(1, 41) / 40)


def test_many_points_take_fewer_epochs():
    """Epochs fall above 10,000 points, as umap-learn has it."""
    assert epochs_for(10_000) > epochs_for(10_001)
