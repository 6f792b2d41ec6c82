"""The reference engine alone."""

import numpy as np
import pytest

from vis_assets.errors import ComputeFailed
from vis_assets.mapping.clustering.hdbscan import find_clusters


def test_two_groups_are_found():
    """Two separate groups get two labels and float32 strengths."""
    coordinates = np.repeat(np.eye(2, dtype=np.float32), 30, axis=0)
    labels, strengths = find_clusters(coordinates, 10, 5)
    assert set(labels[:30]) != set(labels[30:])
    assert (labels.dtype, strengths.dtype) == (np.int32, np.float32)


def test_refusal_becomes_compute_failed():
    """What hdbscan refuses becomes ComputeFailed with its reason."""
    with pytest.raises(ComputeFailed, match="HDBSCAN failed on 1 points"):
        find_clusters(np.zeros((1, 2), dtype=np.float32), 2, 1)
