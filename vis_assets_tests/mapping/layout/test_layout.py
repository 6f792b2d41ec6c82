"""Layouts by the fast engine: what each option does, and that every input has a map."""

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.spatial import KDTree
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr

from vis_assets.errors import VectorUnusable
from vis_assets.mapping.layout import Layout, lay_out
from vis_assets.mapping.neighbors import EXACT_UP_TO, Neighbors, find_neighbors
from vis_assets.protocol.visualization_config import Metric
from vis_assets_tests.mapping.points import blobs, gaussian, texts_like, threads

METRICS = get_args(Metric)


def silent(done, total):
    """Progress that nobody looks at."""


def mapped(vectors, **options) -> Layout:
    """A layout whose shape and finiteness have been checked."""
    defaults: dict[str, Any] = {"n_neighbors": 15, "min_dist": 0.1, "metric": "cosine"}
    defaults |= {"on_progress": silent, "random_state": 1}
    layout = lay_out(vectors, **(defaults | options))
    assert layout.coordinates.shape == (len(vectors), 2)
    assert layout.coordinates.dtype == np.float32
    assert np.isfinite(layout.coordinates).all()
    return layout


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


@pytest.mark.parametrize("options", [{}, {"max_points": 100}, {"metric": "manhattan"}])
def test_progress_grows_to_all(options):
    """Progress is told often, always grows, and ends where all is done."""
    calls = []
    mapped(gaussian(300), on_progress=lambda done, total: calls.append((done, total)), **options)
    shares = [done / total for done, total in calls]
    assert len(calls) > 50
    assert min(shares) > 0
    assert (np.diff(shares) > 0).all()
    assert calls[-1][0] == calls[-1][1]


@pytest.mark.parametrize("vectors", [gaussian(1), gaussian(3), np.ones((40, 8), dtype=np.float32)])
def test_progress_ends_also_without_epochs(vectors):
    """Where there is nothing to descend, progress is complete at once."""
    calls = []
    mapped(vectors, on_progress=lambda done, total: calls.append((done, total)))
    assert calls == [(1, 1)]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, MemoryError])
def test_what_progress_raises_passes_through(error):
    """An error of the caller's progress function stops the layout and is not taken for a failure of the layout."""

    def stop(done, total):
        raise error("enough")

    with pytest.raises(error, match="enough"):
        mapped(gaussian(30), on_progress=stop)


def test_seed_repeats_the_map():
    """One seed gives one map, another seed another one; none is seed 0."""
    vectors = gaussian(60)
    assert np.array_equal(mapped(vectors).coordinates, mapped(vectors).coordinates)
    assert not np.array_equal(mapped(vectors).coordinates, mapped(vectors, random_state=2).coordinates)
    unseeded, zero = mapped(vectors, random_state=None), mapped(vectors, random_state=0)
    assert np.array_equal(unseeded.coordinates, zero.coordinates)


@pytest.mark.parametrize("options", [{}, {"max_points": 2_000}])
@pytest.mark.parametrize("count", [700, EXACT_UP_TO + 1_000])
def test_number_of_threads_changes_nothing(count, options):
    """One thread and two give the same bytes, whether neighbours are found exactly or not."""
    vectors = texts_like(count)
    with threads(1):
        alone = mapped(vectors, **options).coordinates
    with threads(2):
        assert mapped(vectors, **options).coordinates.tobytes() == alone.tobytes()


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


@pytest.mark.parametrize("value", [1e16, -3e38])
def test_numbers_too_large_are_named(value):
    """A vector with a number whose square float32 cannot hold with others is refused by its row."""
    vectors = gaussian(20)
    vectors[7, 3] = value
    with pytest.raises(VectorUnusable, match=r"row 7 holds a number beyond 1e\+15"):
        mapped(vectors)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("size", [1e-15, 1e14])
def test_size_of_numbers_does_not_matter(metric, size):
    """Groups stay apart whether the numbers are tiny or huge, sampled or not."""
    vectors = (blobs(3, 30) * size).astype(np.float32)
    for options in ({}, {"max_points": 60}):
        nearest = KDTree(places := mapped(vectors, metric=metric, **options).coordinates).query(places, k=5)[1]
        assert np.mean(nearest // 30 == np.arange(90)[:, None] // 30) > 0.95


def test_known_neighbours_are_taken():
    """A graph that was found before gives the map that is made without it, also where it knows more than is asked."""
    vectors = texts_like(600)
    expected = mapped(vectors, n_neighbors=10).coordinates
    for length in (9, 20):
        neighbors = find_neighbors(vectors, length, "cosine")
        layout = mapped(vectors, n_neighbors=10, neighbors=neighbors)
        assert np.array_equal(layout.coordinates, expected)


def test_the_map_is_that_of_the_graph():
    """Where a graph is given, it decides who lies together, not the vectors."""
    near = blobs(2, 40)
    ids = np.array([[other for other in range(80) if other % 2 == row % 2 and other != row][:15] for row in range(80)])
    graph = Neighbors(ids.astype(np.int32), np.full(ids.shape, 0.5, np.float32))
    coordinates = mapped(near, neighbors=graph).coordinates
    nearest = KDTree(coordinates).query(coordinates, k=6)[1][:, 1:]
    assert np.mean(nearest % 2 == np.arange(80)[:, None] % 2) > 0.9


def test_stages_are_timed():
    """Every stage that was run says how long it took, and no other."""
    assert set(mapped(gaussian(50)).stage_seconds) == {"neighbors", "graph", "start", "descent"}
    sampled = mapped(gaussian(50), max_points=20).stage_seconds
    assert set(sampled) == {"neighbors", "graph", "start", "descent", "transform"}
    assert min(sampled.values()) > 0
    assert mapped(gaussian(3)).stage_seconds == {}


def test_more_points_than_compared_with_all():
    """Where the neighbours of many points are found approximately, groups stay apart all the same."""
    vectors = blobs(13, 1_000, spread=0.2)
    coordinates = mapped(vectors).coordinates
    nearest = KDTree(coordinates).query(coordinates[::10], k=5)[1]
    assert np.mean(nearest // 1_000 == np.arange(0, 13_000, 10)[:, None] // 1_000) > 0.98


class TestMaxPoints:
    """Where only a part of the points is laid out together."""

    @pytest.mark.parametrize("metric", ["cosine", "euclidean", "manhattan"])
    def test_others_lie_in_their_group(self, metric):
        """Points that were not sampled have finite places in their own group, and the user is told."""
        layout = mapped(blobs(4, 150), max_points=200, metric=metric)
        assert layout.sampled_points == 200
        assert "200 of 600 points" in layout.notes[-1]
        nearest = KDTree(layout.coordinates).query(layout.coordinates, k=6)[1]
        assert np.mean(nearest // 150 == np.arange(600)[:, None] // 150) > 0.95

    def test_others_lie_by_their_neighbours(self):
        """On one sheet, without any groups, who was near before is near on the map, sampled or not."""
        sheet = (np.random.default_rng(0).uniform(size=(1_500, 2)) * [3.0, 2.0]).astype(np.float32)
        coordinates = mapped(sheet, max_points=500, metric="euclidean").coordinates
        before, after = (KDTree(places).query(places, k=31)[1][:, 1:] for places in (sheet, coordinates))
        kept = [len(set(one) & set(other)) / 30 for one, other in zip(before, after, strict=True)]
        assert np.mean(kept) > 0.5

    def test_others_do_not_lie_upon_each_other(self):
        """Points placed beside the sample are spread as the sample is, not heaped on its points."""
        layout = mapped(gaussian(600), max_points=200)
        assert np.median(nearest_distances(layout.coordinates)) > 0.02

    @pytest.mark.parametrize("spare", [0, 1, 1_000])
    def test_enough_for_all_is_no_sampling(self, spare):
        """Where all points fit, the map is the one without a limit."""
        vectors = gaussian(100)
        limited, free = mapped(vectors, max_points=100 + spare), mapped(vectors)
        assert np.array_equal(limited.coordinates, free.coordinates)
        assert limited.sampled_points is None
        assert limited.notes == ()

    def test_seed_repeats_the_sample(self):
        """One seed gives one sample and one map, another seed others."""
        vectors = gaussian(300)
        first, again, other = (mapped(vectors, max_points=80, random_state=seed).coordinates for seed in (3, 3, 4))
        assert np.array_equal(first, again)
        assert not np.array_equal(first, other)

    @pytest.mark.parametrize("max_points", [1, 2, 4, 5, 15])
    def test_tiny_samples_have_a_map(self, max_points):
        """A sample smaller than the neighbours asked for, or than any layout needs, still places every point."""
        layout = mapped(gaussian(50), max_points=max_points)
        assert layout.sampled_points == max(max_points, 4)
        assert any("n_neighbors was lowered" in note for note in layout.notes)
        assert len(np.unique(layout.coordinates, axis=0)) == 50

    def test_samples_of_copies_have_a_map(self):
        """A sample that happens to hold copies of one vector only still places the few others apart from them."""
        vectors = np.ones((400, 8), dtype=np.float32)
        vectors[7] = -1
        mapped(vectors, max_points=20)

    def test_memory_maps_are_only_read(self, tmp_path):
        """A read-only memory map is sampled, and its file left as it was."""
        path = tmp_path / "vectors.npy"
        np.save(path, gaussian(300))
        limited = mapped(np.load(path, mmap_mode="r"), max_points=100)
        assert np.array_equal(limited.coordinates, mapped(gaussian(300), max_points=100).coordinates)
        assert np.array_equal(np.load(path), gaussian(300))


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
