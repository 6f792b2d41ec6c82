"""Distances by every metric, where the formula has a value and where it has none."""

from typing import get_args

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from vis_assets.mapping.distances import pairwise_distances
from vis_assets.protocol.visualization_config import Metric
from vis_assets_tests.mapping.points import gaussian

NAMES = {"manhattan": "cityblock", "dot": "cosine", "minkowski": "euclidean"}


@pytest.mark.parametrize("metric", get_args(Metric))
def test_distances_are_those_of_scipy(metric):
    """Where the formula has a value, that is the distance."""
    left, right = gaussian(20), gaussian(30, seed=1)
    expected = cdist(left.astype(float), right.astype(float), NAMES.get(metric, metric))
    np.testing.assert_allclose(pairwise_distances(left, right, metric), expected, rtol=1e-9)


@pytest.mark.parametrize("metric", ["cosine", "dot", "correlation", "braycurtis"])
def test_zero_vectors_coincide_and_are_one_away_from_others(metric):
    """Two zero vectors are 0 apart; a zero vector and another one 1."""
    points = np.array([[0, 0, 0], [0, 0, 0], [1, 2, 4]], np.float32)
    distances = pairwise_distances(points, points, metric)
    np.testing.assert_allclose(distances, [[0, 0, 1], [0, 0, 1], [1, 1, 0]], atol=1e-12)


def test_constant_vectors_correlate_with_nothing_but_each_other():
    """By correlation every constant vector is a zero vector, also where its mean is rounded."""
    points = np.array([[0.1] * 7, [0.7] * 7, range(7)], np.float32)
    distances = pairwise_distances(points, points, "correlation")
    np.testing.assert_allclose(distances, [[0, 0, 1], [0, 0, 1], [1, 1, 0]], atol=1e-12)
