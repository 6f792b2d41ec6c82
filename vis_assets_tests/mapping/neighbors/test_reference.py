"""Neighbours by the metrics that the fast search does not know.

Of few points only: for more, pynndescent compiles for half a minute, for each metric anew.
"""

from typing import get_args

import numpy as np
import pytest

from vis_assets.mapping.neighbors import BY_ANGLE, BY_LENGTH, find_neighbors
from vis_assets.protocol.visualization_config import Metric
from vis_assets_tests.mapping.neighbors.check import all_distances, require_lists
from vis_assets_tests.mapping.points import gaussian

OTHERS = sorted(set(get_args(Metric)) - BY_ANGLE - BY_LENGTH)


@pytest.mark.parametrize("metric", OTHERS)
def test_few_points_get_their_nearest(metric):
    """All pairs are compared, as by brute force, and nobody is its own neighbour."""
    vectors = gaussian(600)
    vectors[5] = vectors[4]
    found = find_neighbors(vectors, 10, metric)
    require_lists(found, 600, 10)
    assert found.ids[5, 0] == 4
    np.testing.assert_allclose(found.distances, np.sort(all_distances(vectors, metric), axis=1)[:, :10], atol=1e-5)


@pytest.mark.parametrize("metric", OTHERS)
def test_copies_and_zero_vectors_have_neighbours(metric):
    """Points of which half are the same, or zero, get full lists of others."""
    vectors = gaussian(80)
    vectors[:40], vectors[40:45] = vectors[0], 0
    require_lists(find_neighbors(vectors, 15, metric), 80, 15)
