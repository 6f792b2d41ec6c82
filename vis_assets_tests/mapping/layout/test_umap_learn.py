"""The reference engine, umap-learn: few tests, for it compiles for long in every process."""

from typing import Any

import numpy as np
import pytest
from scipy.spatial import KDTree

from vis_assets.errors import ComputeFailed
from vis_assets.mapping.layout import lay_out
from vis_assets_tests.mapping.points import blobs, gaussian


def mapped(vectors, **options):
    defaults: dict[str, Any] = {
        "n_neighbors": 15,
        "min_dist": 0.1,
        "metric": "cosine",
        "random_state": 1,
        "engine": "umap-learn",
    }
    return lay_out(vectors, **(defaults | {"on_progress": lambda done, total: None} | options))


def test_groups_lie_apart_and_every_epoch_is_counted(capfd):
    """Groups are apart, progress grows by one epoch at a time from 1 to the total, and nothing is printed."""
    calls = []
    layout = mapped(blobs(3, 30), on_progress=lambda done, total: calls.append((done, total)))
    nearest = KDTree(layout.coordinates).query(layout.coordinates, k=5)[1]
    assert np.mean(nearest // 30 == np.arange(90)[:, None] // 30) > 0.95
    assert calls == [(done, 500) for done in range(1, 501)]
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""
    assert layout.coordinates.dtype == np.float32
    assert set(layout.stage_seconds) == {"descent"}


def test_seed_repeats_the_map():
    """One seed gives one map."""
    assert np.array_equal(mapped(gaussian(40)).coordinates, mapped(gaussian(40)).coordinates)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_progress_raises_passes_through(error):
    """An error of the caller's progress function stops the layout and is not taken for a failure of UMAP."""

    def stop(done, total):
        raise error("enough")

    with pytest.raises(error, match="enough"):
        mapped(gaussian(30), on_progress=stop)


def test_failure_of_umap_is_explained():
    """What umap-learn refuses becomes ComputeFailed with the reason in one line."""
    with pytest.raises(ComputeFailed, match=r"UMAP failed on 20 vectors of 8 dimensions: ValueError: min_dist.*$"):
        mapped(gaussian(20), min_dist=5.0)


def test_sample_is_laid_out_and_the_others_placed():
    """With max_points the reference lays out the sample, and the others are placed beside it."""
    layout = mapped(blobs(2, 40), max_points=40)
    nearest = KDTree(layout.coordinates).query(layout.coordinates, k=5)[1]
    assert np.mean(nearest // 40 == np.arange(80)[:, None] // 40) > 0.95
    assert layout.sampled_points == 40
