"""The search for neighbours, exact and approximate, against brute force."""

import numpy as np
import pytest

from vis_assets.mapping import neighbors
from vis_assets.mapping.neighbors import EXACT_UP_TO, Neighbors, cells, find_neighbors, find_neighbors_among
from vis_assets.mapping.neighbors.search import explore_part, search_part
from vis_assets_tests.mapping.neighbors.check import all_distances, recall, require_lists
from vis_assets_tests.mapping.points import gaussian, texts_like, threads

LENGTH = 14
METRICS = ["cosine", "dot", "euclidean", "minkowski"]
MANY = EXACT_UP_TO + 1_000


@pytest.fixture
def low_bound(monkeypatch):
    """The approximate search also for few points."""
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 1_000)


@pytest.fixture(scope="module")
def many():
    """More points than are compared all with all."""
    return texts_like(MANY)


@pytest.fixture(scope="module")
def found_of_many(many):
    """Their neighbours by cosine distance."""
    return find_neighbors(many, LENGTH, "cosine")


def assert_same(one: Neighbors, other: Neighbors):
    assert np.array_equal(one.ids, other.ids)
    assert np.array_equal(one.distances, other.distances)


def in_turn(function, calls):
    return [function(*call) for call in calls]


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [1, 7, 300])
def test_few_points_get_their_nearest(metric, dimensions):
    """Up to the bound the lists are those of brute force, in their order; without one by cosine in one dimension."""
    vectors = gaussian(400, dimensions)
    found = find_neighbors(vectors, LENGTH, metric)
    require_lists(found, 400, LENGTH)
    distances = all_distances(vectors, metric)
    np.testing.assert_allclose(found.distances, np.sort(distances, axis=1)[:, :LENGTH], atol=1e-5, rtol=1e-4)
    theirs = np.take_along_axis(distances, found.ids.astype(np.intp), axis=1)
    np.testing.assert_allclose(found.distances, theirs, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("count", [2, 3, 15, 16])
def test_no_more_neighbours_than_others(metric, count):
    """Where there are fewer others than are asked for, each point gets all of them."""
    require_lists(find_neighbors(gaussian(count), 20, metric), count, min(20, count - 1))


def test_dot_is_cosine():
    """By dot product points are compared by direction."""
    vectors = gaussian(300) * np.linspace(0.1, 9, 300, dtype=np.float32)[:, None]
    assert_same(find_neighbors(vectors, LENGTH, "dot"), find_neighbors(vectors, LENGTH, "cosine"))


@pytest.mark.parametrize("count", [300, 2_000])
def test_small_differences_far_from_the_origin_count(low_bound, count):
    """By Euclidean distance the origin means nothing: far from it neighbours are found as well as around it."""
    vectors = (gaussian(count, 3) + 10_000).astype(np.float32)
    found = find_neighbors(vectors, 5, "euclidean")
    require_lists(found, count, 5)
    assert recall(found, all_distances(vectors, "euclidean")) > 0.99
    queries = vectors[:20]
    among = find_neighbors_among(queries, vectors, 1, "euclidean")
    np.testing.assert_allclose(among.distances, 0)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_zero_vectors_are_near_each_other(metric):
    """Zero vectors have each other as neighbours, at distance 0; by cosine no other point is nearer than 1 to them."""
    vectors = gaussian(60, 5)
    vectors[20:30] = 0
    found = find_neighbors(vectors, LENGTH, metric)
    require_lists(found, 60, LENGTH)
    assert ((found.ids[20:30, :9] >= 20) & (found.ids[20:30, :9] < 30)).all()
    assert (found.distances[20:30, :9] == 0).all()
    if metric == "cosine":
        np.testing.assert_allclose(found.distances[20:30, 9:], 1, atol=1e-6)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_many_points_get_nearly_all_of_their_nearest(metric, many, found_of_many):
    """Above the bound, 95 of 100 neighbours at least are the nearest, and all distances are right."""
    found = found_of_many if metric == "cosine" else find_neighbors(many, LENGTH, metric)
    require_lists(found, MANY, LENGTH)
    rows = np.arange(0, MANY, 13)
    distances = all_distances(many, metric, rows)
    theirs = np.take_along_axis(distances, found.ids[rows].astype(np.intp), axis=1)
    np.testing.assert_allclose(found.distances[rows], theirs, atol=1e-5, rtol=1e-4)
    assert recall(found, distances, rows) >= 0.95


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dimensions", [3, 64])
def test_approximate_search_is_nearly_exact(low_bound, metric, dimensions):
    """Its recall is at least 0.95 for few and for many dimensions, by each of the metrics."""
    vectors = texts_like(3_000, dimensions, seed=1)
    found = find_neighbors(vectors, LENGTH, metric)
    require_lists(found, 3_000, LENGTH)
    assert recall(found, all_distances(vectors, metric)) >= 0.95


def test_long_lists_are_filled(low_bound):
    """Lists longer than cells are large are filled all the same, and good."""
    vectors = texts_like(2_000)
    found = find_neighbors(vectors, 400, "cosine")
    require_lists(found, 2_000, 400)
    assert recall(found, all_distances(vectors, "cosine")) >= 0.95


def test_nearly_as_many_neighbours_as_points(low_bound):
    """Where a list holds nearly all points, all are compared with all."""
    vectors = gaussian(1_500)
    found = find_neighbors(vectors, 1_490, "euclidean")
    require_lists(found, 1_500, 1_490)
    assert recall(found, all_distances(vectors, "euclidean")) > 0.9999


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_small_islands_get_their_lists_filled(low_bound, metric):
    """Lone groups that are smaller than a list reach out to points beyond them."""
    centres = np.repeat(gaussian(400, 16) * 50, 5, axis=0)
    vectors = (centres + 0.01 * gaussian(2_000, 16, seed=1)).astype(np.float32)
    found = find_neighbors(vectors, LENGTH, metric)
    require_lists(found, 2_000, LENGTH)
    assert (found.ids[:, :4] // 5 == np.arange(2_000)[:, None] // 5).all()
    assert recall(found, all_distances(vectors, metric)) >= 0.95


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_many_copies_of_one_vector_are_neighbours_of_each_other(metric):
    """Thousands of copies, more than a cell may hold, have copies as neighbours, and the others are found as well."""
    vectors = texts_like(MANY, 8)
    is_copy = np.zeros(MANY, bool)
    is_copy[np.random.default_rng(1).permutation(MANY)[:9_000]] = True
    vectors[is_copy] = vectors[is_copy][0]
    assert is_copy.sum() > cells.LARGEST_CELL
    found = find_neighbors(vectors, LENGTH, metric)
    require_lists(found, MANY, LENGTH)
    assert is_copy[found.ids[is_copy]].all()
    assert found.distances[is_copy].max() < 1e-6
    others = np.flatnonzero(~is_copy)[::10]
    assert recall(found, all_distances(vectors, metric, others), others) >= 0.95


def test_zero_vectors_among_many(low_bound):
    """Also the approximate search gives zero vectors each other."""
    vectors = texts_like(2_500)
    vectors[::50] = 0
    found = find_neighbors(vectors, LENGTH, "cosine")
    require_lists(found, 2_500, LENGTH)
    assert (found.ids[::50] % 50 == 0).all()
    assert (found.distances[::50] == 0).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_identical_points_have_neighbours(low_bound, metric):
    """Where all points are the same, lists are full, and every distance is 0."""
    for value in (0.0, 2.5):
        found = find_neighbors(np.full((2_000, 6), value, np.float32), LENGTH, metric)
        require_lists(found, 2_000, LENGTH)
        assert found.distances.max() < 1e-6


def test_number_of_threads_changes_nothing(many, found_of_many):
    """One thread finds the graph that two find, for few points and for many."""
    with threads(1):
        alone, few_alone = find_neighbors(many, LENGTH, "cosine"), find_neighbors(many[:3_000], LENGTH, "cosine")
    with threads(2):
        assert_same(few_alone, find_neighbors(many[:3_000], LENGTH, "cosine"))
    assert_same(alone, found_of_many)


def test_seeds_place_cells_elsewhere(low_bound):
    """One seed repeats the graph; another one finds it another way."""
    vectors = gaussian(3_000, 64)
    first, again, other = (find_neighbors(vectors, LENGTH, "cosine", seed=seed) for seed in (1, 1, 2))
    assert_same(first, again)
    assert not np.array_equal(first.ids, other.ids)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_parts_find_what_is_found_at_once(low_bound, metric):
    """The search in parts gives the same graph, distance by distance, and parts are functions of a module."""
    vectors = texts_like(3_000)
    called = []

    def spread(function, calls):
        called.extend([function] * len(calls))
        return in_turn(function, calls)

    in_parts = find_neighbors(vectors, LENGTH, metric, spread=spread)
    assert_same(in_parts, find_neighbors(vectors, LENGTH, metric))
    assert set(called) == {search_part, explore_part}
    assert called.count(search_part) > 1


def test_few_points_are_not_spread():
    """Up to the bound nobody else is asked."""

    def refuse(function, calls):
        raise AssertionError

    find_neighbors(gaussian(100), 5, "cosine", spread=refuse)


@pytest.mark.parametrize("spread", [None, in_turn])
def test_shares_grow_to_one(low_bound, spread):
    """What is told of the progress grows, and ends with 1."""
    shares: list[float] = []
    find_neighbors(texts_like(3_000), LENGTH, "cosine", spread=spread, on_share=shares.append)
    assert len(shares) > 10
    assert (np.diff(shares) >= 0).all()
    assert shares[-1] == 1
    few: list[float] = []
    find_neighbors(gaussian(100), LENGTH, "cosine", on_share=few.append)
    assert few == [1.0]


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_memory_maps_are_only_read(low_bound, metric, tmp_path):
    """A read-only memory map gives the graph of the array, and its file stays as it is."""
    vectors = texts_like(2_000)
    np.save(tmp_path / "vectors.npy", vectors)
    before = (tmp_path / "vectors.npy").read_bytes()
    mapped = np.load(tmp_path / "vectors.npy", mmap_mode="r")
    assert_same(find_neighbors(mapped, LENGTH, metric), find_neighbors(vectors, LENGTH, metric))
    assert (tmp_path / "vectors.npy").read_bytes() == before


def test_the_given_array_stays_writeable():
    """Looking at an array read-only does not make it so."""
    vectors = gaussian(50)
    find_neighbors(vectors, 5, "cosine")
    assert vectors.flags.writeable


@pytest.mark.parametrize("metric", [*METRICS, "manhattan", "correlation"])
def test_nearest_for_other_points(metric):
    """Among few points, other points get the nearest as by brute force: ids are rows of those chosen from."""
    vectors, queries = gaussian(500), gaussian(90, seed=1)
    queries[0], queries[1] = 0, vectors[17]
    found = find_neighbors_among(queries, vectors, LENGTH, metric)
    assert found.ids.shape == (90, LENGTH)
    assert found.ids.dtype == np.int32
    assert found.ids[1, 0] == 17
    expected = np.sort(neighbors_of(queries, vectors, metric), axis=1)[:, :LENGTH]
    np.testing.assert_allclose(found.distances, expected, atol=1e-5, rtol=1e-4)


def test_zero_vectors_for_zero_vectors():
    """A zero vector among those chosen from is what is nearest to a zero vector."""
    vectors, queries = gaussian(50), np.zeros((2, 8), np.float32)
    vectors[31] = 0
    found = find_neighbors_among(queries, vectors, 3, "cosine")
    assert (found.ids[:, 0] == 31).all()
    assert (found.distances[:, 0] == 0).all()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_nearest_of_many_for_other_points(low_bound, metric):
    """Among many points the search is approximate, and its recall for points of the same kind at least 0.9."""
    points = texts_like(4_000)
    vectors, queries = points[:3_000], points[3_000:]
    shares: list[float] = []
    found = find_neighbors_among(queries, vectors, LENGTH, metric, on_share=shares.append)
    distances = neighbors_of(queries, vectors, metric)
    assert (np.diff(found.distances, axis=1) >= 0).all()
    assert recall(found, distances) >= 0.9
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_more_asked_than_there_are():
    """Other points get all points, where there are fewer than asked for."""
    found = find_neighbors_among(gaussian(4), gaussian(3, seed=1), LENGTH, "cosine")
    assert np.array_equal(np.sort(found.ids, axis=1), np.tile(np.arange(3), (4, 1)))


def neighbors_of(queries, vectors, metric):
    from vis_assets.mapping.distances import pairwise_distances

    return pairwise_distances(queries, vectors, metric)
