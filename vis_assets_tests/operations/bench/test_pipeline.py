"""The comparison of engines."""

import numpy as np
import pytest

from vis_assets.operations.bench.pipeline import compare_clusterings


def test_clusterings_are_compared_with_hdbscan() -> None:
    """Labels as hdbscan finds them agree fully, whatever the numbers of the clusters; other labels do not."""
    from hdbscan import HDBSCAN

    random = np.random.default_rng(2)
    coordinates = np.concatenate([random.normal(center, 0.3, (60, 2)) for center in (0, 4, 9)]).astype(np.float32)
    labels = HDBSCAN(min_cluster_size=15, min_samples=5).fit_predict(coordinates.astype(np.float64))
    renumbered = np.where(labels >= 0, 2 - labels, -1).astype(np.int32)
    agreement = compare_clusterings(coordinates, renumbered)
    assert agreement.fast_with_hdbscan == pytest.approx(1)
    assert agreement.hdbscan_with_itself > 0.9
    assert compare_clusterings(coordinates, np.zeros(180, dtype=np.int32)).fast_with_hdbscan < 0.1
