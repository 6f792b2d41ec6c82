"""Layouts by umap-learn: what each option does, and that every input has a map."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from vis_assets.errors import ComputeFailed, VectorUnusable
from vis_assets.mapping.layout import Layout, lay_out
from vis_assets.protocol.visualization_config import Metric

METRICS = get_args(Metric)


def silent(done, total):
    """Progress that nobody looks at."""


def mapped(vectors, **options) -> Layout:
    """A layout whose shape and finiteness have been checked."""
    defaults: dict[str, Any] = {"n_neighbors": 15, "min_dist": 0.1, "metric": "cosine"}
    defaults |= {"on_epoch": silent, "random_state": 1}
    layout = lay_out(vectors, **(defaults | options))
    assert layout.coordinates.shape == (len(vectors), 2)
    assert layout.coordinates.dtype == np.float32
    assert np.isfinite(layout.coordinates).all()
    return layout


def gaussian(count, dimensions=8, seed=0):
    return np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)


def blobs(group_count, per_group, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(group_count, 8)), per_group, axis=0)
    return (centres + 0.05 * rng.normal(size=centres.shape)).astype(np.float32)


def nearest_distances(coordinates):
    return KDTree(coordinates).query(coordinates, k=2)[0][:, 1]


def test_neighbours_stay_close():
    """Points of one group lie nearer to each other than to any other group."""
    coordinates = mapped(blobs(4, 30)).coordinates
    nearest = KDTree(coordinates).query(coordinates, k=10)[1] // 30
    assert (nearest == np.arange(120)[:, None] // 30).mean() > 0.95


def test_n_neighbors_trades_detail_for_the_broad_picture():
    """With many neighbours, far points are far on the map; with few, the sheet they lie on falls into pieces."""
    sheet = (np.random.default_rng(0).uniform(size=(200, 2)) * [6.0, 2.0]).astype(np.float32)

    def agreement(n_neighbors):
        coordinates = mapped(sheet, n_neighbors=n_neighbors, metric="euclidean").coordinates
        return spearmanr(pdist(sheet), pdist(coordinates)).statistic

    assert agreement(100) > agreement(3) + 0.2


def test_min_dist_spreads_the_points():
    """The larger min_dist, the farther apart are nearest neighbours on the map."""
    vectors = gaussian(200)
    spacings = [nearest_distances(mapped(vectors, min_dist=d).coordinates).mean() for d in (0.0, 0.5, 0.99)]
    assert spacings[0] < spacings[1] < spacings[2]


def test_cosine_brings_scaled_copies_together():
    """Copies of a vector that differ in length only are neighbours by cosine, and not by euclidean distance."""
    rng = np.random.default_rng(3)
    vectors = np.repeat(gaussian(30), 2, axis=0)
    vectors[1::2] *= rng.uniform(5.0, 50.0, size=(30, 1)).astype(np.float32)

    def share_of_copies_as_nearest(metric):
        coordinates = mapped(vectors, n_neighbors=5, metric=metric).coordinates
        twins = np.linalg.norm(coordinates[::2] - coordinates[1::2], axis=1)
        return np.mean(twins < np.median(pdist(coordinates)) / 4)

    assert share_of_copies_as_nearest("cosine") > 0.9
    assert share_of_copies_as_nearest("euclidean") < 0.5


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_maps_groups_apart(metric):
    """Each metric that a job may name keeps well separated groups apart."""
    coordinates = mapped(blobs(3, 20), metric=metric).coordinates
    nearest = KDTree(coordinates).query(coordinates, k=2)[1][:, 1]
    assert np.mean(nearest // 20 == np.arange(60) // 20) > 0.9


@pytest.mark.parametrize("metric", METRICS)
def test_every_metric_maps_three_points(metric):
    """Three points, too few for UMAP, are placed by their distances in each metric: near stays near."""
    vectors = np.array([[1.0, 0.0, 0.2], [0.9, 0.1, 0.2], [0.1, 1.0, 3.0]], dtype=np.float32)
    layout = mapped(vectors, metric=metric)
    near, far, _ = pdist(layout.coordinates)
    assert near < far
    assert "too few" in layout.notes[-1]


def test_dot_compares_directions_and_says_so():
    """Dot on vectors of different lengths is laid out as cosine, with a note; on unit vectors there is none."""
    vectors = gaussian(20) * np.arange(1, 21, dtype=np.float32)[:, None]
    assert "unit length" in mapped(vectors, metric="dot").notes[0]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    assert np.array_equal(mapped(unit, metric="dot").coordinates, mapped(unit, metric="cosine").coordinates)
    assert not any("unit length" in note for note in mapped(unit, metric="dot").notes)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 14, 15, 16])
def test_few_points_have_a_map(count):
    """Any number of points has a map, and fewer than the neighbours asked for are pointed out."""
    layout = mapped(gaussian(count))
    assert len(np.unique(layout.coordinates, axis=0)) == count
    assert any("n_neighbors" in note for note in layout.notes) == (4 <= count <= 15)


def test_one_point_lies_at_the_origin():
    """One point is placed at the origin without a note."""
    layout = mapped(gaussian(1))
    assert layout.coordinates.tolist() == [[0.0, 0.0]]
    assert layout.notes == ()


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("value", [0.0, 1.5])
def test_identical_points_lie_in_one_place(metric, value):
    """Vectors that are all the same, zero ones included, lie in one place, and a note says so."""
    layout = mapped(np.full((40, 8), value, dtype=np.float32), metric=metric)
    assert (layout.coordinates == 0.0).all()
    assert "in one place" in layout.notes[-1]


def test_scaled_copies_are_identical_by_cosine():
    """Vectors of one direction are all the same by cosine distance."""
    vectors = gaussian(1) * np.linspace(0.01, 300.0, 50, dtype=np.float32)[:, None]
    assert (mapped(vectors, metric="cosine").coordinates == 0.0).all()


@pytest.mark.parametrize("metric", METRICS)
def test_half_identical_points_have_a_map(metric):
    """Twenty copies of one vector among others do no harm and stay together."""
    vectors = gaussian(40)
    vectors[:20] = vectors[0]
    coordinates = mapped(vectors, metric=metric, n_neighbors=10).coordinates
    assert pdist(coordinates[:20]).mean() < pdist(coordinates).mean()


@pytest.mark.parametrize("metric", ["cosine", "correlation", "dot", "braycurtis"])
def test_zero_vectors_have_a_place(metric):
    """Zero vectors, whose direction is undefined, get finite places among others, also where points are few."""
    vectors = gaussian(40)
    vectors[:5] = 0.0
    mapped(vectors, metric=metric)
    mapped(vectors[4:7], metric=metric)


@pytest.mark.parametrize("metric", METRICS)
def test_one_dimension_is_enough(metric):
    """Vectors of one dimension have a map, also a single negative one that is opposite to all others by cosine."""
    vectors = np.abs(gaussian(30, dimensions=1)) + 0.1
    vectors[0] = -1.0
    mapped(vectors, metric=metric)


def test_many_tiny_islands_have_a_map():
    """Groups that share no neighbour at all are laid out together."""
    mapped(np.repeat(gaussian(12) * 1000, 5, axis=0), n_neighbors=3, metric="euclidean")


def test_progress_counts_every_epoch():
    """Progress grows by one epoch at a time from 1 to the total, and prints nothing."""
    calls = []
    mapped(gaussian(30), on_epoch=lambda done, total: calls.append((done, total)))
    assert calls == [(done, 500) for done in range(1, 501)]


def test_progress_prints_nothing(capfd):
    """The progress bar of umap-learn writes to nobody's terminal."""
    mapped(gaussian(30))
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


@pytest.mark.parametrize("vectors", [gaussian(1), gaussian(3), np.ones((40, 8), dtype=np.float32)])
def test_progress_ends_also_without_epochs(vectors):
    """Where UMAP is not run, progress is complete at once."""
    calls = []
    mapped(vectors, on_epoch=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 1)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_progress_raises_passes_through(error):
    """An error of the caller's progress function stops the layout and is not taken for a failure of UMAP."""

    def stop(done, total):
        raise error("enough")

    with pytest.raises(error, match="enough"):
        mapped(gaussian(30), on_epoch=stop)


def test_seed_repeats_the_map():
    """One seed gives one map; without a seed it may differ."""
    vectors = gaussian(60)
    assert np.array_equal(mapped(vectors).coordinates, mapped(vectors).coordinates)
    mapped(vectors, random_state=None)


def test_memory_map_is_read_only(tmp_path):
    """A read-only memory map is laid out, and its file left as it was."""
    path = tmp_path / "vectors.npy"
    np.save(path, gaussian(30))
    mapped(np.load(path, mmap_mode="r"))
    assert np.array_equal(np.load(path), gaussian(30))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_vectors_are_named(value):
    """A vector with NaN or infinity is refused by its row."""
    vectors = gaussian(20)
    vectors[7, 3] = value
    with pytest.raises(VectorUnusable, match="row 7"):
        mapped(vectors)


def test_failure_of_umap_is_explained():
    """What umap-learn refuses becomes ComputeFailed with the reason in one line."""
    with pytest.raises(ComputeFailed, match=r"UMAP failed on 20 vectors of 8 dimensions: ValueError: min_dist.*$"):
        mapped(gaussian(20), min_dist=5.0)


def test_more_points_take_the_approximate_path():
    """Above 1,024 points, neighbours are found by NN-descent, and groups still stay apart."""
    coordinates = mapped(blobs(4, 300), n_neighbors=10).coordinates
    nearest = KDTree(coordinates).query(coordinates, k=2)[1][:, 1]
    assert np.mean(nearest // 300 == np.arange(1200) // 300) > 0.95


@settings(max_examples=15, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 12), st.integers(1, 4)),
    metric=st.sampled_from(METRICS),
    seed=st.integers(0, 9),
    distinct=st.integers(1, 3),
)
@example(shape=(2, 1), metric="braycurtis", seed=8, distinct=2)
@example(shape=(3, 1), metric="braycurtis", seed=8, distinct=2)
def test_any_small_input_has_a_map(shape, metric, seed, distinct):
    """Few vectors of few distinct small whole numbers, zeros and copies among them, always have a finite map."""
    mapped(np.random.default_rng(seed).integers(-1, distinct, shape).astype(np.float32), metric=metric)
