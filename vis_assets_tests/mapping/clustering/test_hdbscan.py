"""The reference engine alone."""

import numpy as np

from vis_assets.mapping.clustering.hdbscan import find_clusters


def test_two_groups_are_found():
    """Two separate groups get two labels and float32 strengths."""
    coordinates = np.repeat(np.eye(2, dtype=np.float32), 30, axis=0)
    labels, strengths, _ = find_clusters(coordinates, 10, 5)
    assert set(labels[:30]) != set(labels[30:])
    assert (labels.dtype, strengths.dtype) == (np.int32, np.float32)
