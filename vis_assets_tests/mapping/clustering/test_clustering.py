"""Clusters of the map: what each option does, the order of labels, and degenerate maps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from vis_assets.errors import ComputeFailed
from vis_assets.mapping.clustering import ENGINES, Clustering, cluster


@pytest.fixture(params=list(ENGINES))
def engine(request):
    return request.param


def groups(*sizes, spread=0.1, seed=0):
    """Round groups on a line, ten units apart, of the given sizes."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(np.arange(len(sizes)) * 10.0, sizes)
    return (np.stack([centres, centres], axis=1) + spread * rng.normal(size=(sum(sizes), 2))).astype(np.float32)


def test_labels_go_by_size(engine):
    """Cluster 0 is the biggest, whatever the order of the rows."""
    found = cluster(groups(20, 60, 40), min_cluster_size=10, min_samples=3, engine=engine)
    assert found.sizes.tolist() == sorted(found.sizes.tolist(), reverse=True)
    assert (np.median(found.labels[20:80]), np.median(found.labels[80:]), np.median(found.labels[:20])) == (0, 1, 2)


def test_equal_sizes_go_by_first_row(engine):
    """Clusters of one size are numbered by their first point."""
    coordinates = np.repeat(np.array([[5, 5], [0, 0], [9, 0]], dtype=np.float32), 20, axis=0)
    assert (
        cluster(coordinates, min_cluster_size=10, min_samples=3, engine=engine).labels.tolist()
        == [0] * 20 + [1] * 20 + [2] * 20
    )


def test_min_cluster_size_drops_small_clusters(engine):
    """A group smaller than min_cluster_size is no cluster of its own."""
    coordinates = groups(60, 50, 12)
    assert cluster(coordinates, min_cluster_size=8, min_samples=5, engine=engine).cluster_count == 3
    assert cluster(coordinates, min_cluster_size=30, min_samples=5, engine=engine).cluster_count == 2


def test_min_samples_leaves_more_noise(engine):
    """The more neighbours make a core point, the more points are noise."""
    rng = np.random.default_rng(0)
    coordinates = np.concatenate([groups(80, 80, spread=1.0), rng.uniform(-10, 20, size=(120, 2)).astype(np.float32)])
    few = cluster(coordinates, min_cluster_size=10, min_samples=1, engine=engine)
    many = cluster(coordinates, min_cluster_size=10, min_samples=25, engine=engine)
    assert many.noise_count > few.noise_count


def test_derived_numbers_agree():
    """Counts, sizes and shares follow from the labels."""
    found = Clustering(np.array([0, -1, 0, 1], dtype=np.int32), np.array([1, 0, 0.5, 1], dtype=np.float32))
    assert (found.cluster_count, found.noise_count, found.noise_share) == (2, 1, 0.25)
    assert found.sizes.tolist() == [2, 1]


def test_fewer_points_than_a_cluster_are_noise(engine):
    """A map with fewer points than min_cluster_size has no clusters, and a note says why."""
    found = cluster(groups(5), min_cluster_size=15, min_samples=5, engine=engine)
    assert found.labels.tolist() == [-1] * 5
    assert found.noise_share == 1.0
    assert "min_cluster_size (15)" in found.notes[0]


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_few_points_are_no_error(count, engine):
    """Maps of one to four points are clustered without failure."""
    found = cluster(groups(count), min_cluster_size=2, min_samples=1, engine=engine)
    assert found.labels.shape == (count,)
    assert found.labels.dtype == np.int32


def test_min_samples_is_lowered_with_a_note(engine):
    """min_samples beyond the number of points is lowered, and a note says so."""
    found = cluster(groups(20), min_cluster_size=5, min_samples=500, engine=engine)
    assert "from 500 to 19" in found.notes[0]


def test_points_in_one_place_are_one_cluster(engine):
    """Identical points are one cluster of full strength if they are enough for one."""
    found = cluster(np.ones((20, 2), dtype=np.float32), min_cluster_size=15, min_samples=5, engine=engine)
    assert found.sizes.tolist() == [20]
    assert (found.membership_strengths == 1.0).all()


def test_half_identical_points_are_a_cluster(engine):
    """Many points in one place beside another group are one cluster, their strengths finite."""
    coordinates = np.concatenate([np.full((50, 2), -20.0), groups(40, spread=1.0)]).astype(np.float32)
    found = cluster(coordinates, min_cluster_size=15, min_samples=5, engine=engine)
    assert (found.labels[:50] == 0).all()
    assert np.isfinite(found.membership_strengths).all()


def test_same_input_same_answer(engine):
    """Clustering twice gives one answer."""
    first, second = (cluster(groups(40, 40), min_cluster_size=10, min_samples=3, engine=engine) for _ in range(2))
    assert np.array_equal(first.labels, second.labels)
    assert np.array_equal(first.membership_strengths, second.membership_strengths)


@settings(max_examples=100, deadline=None)
@given(
    coordinates=hnp.arrays(np.float32, st.tuples(st.integers(1, 40), st.just(2)), elements=st.integers(-4, 4)),
    min_cluster_size=st.integers(2, 20),
    min_samples=st.integers(1, 50),
    engine=st.sampled_from(list(ENGINES)),
)
def test_any_map_has_a_sound_clustering(coordinates, min_cluster_size, min_samples, engine):
    """Labels are contiguous and ordered by size, no cluster is too small, noise and only noise may have strength 0."""
    found = cluster(coordinates, min_cluster_size=min_cluster_size, min_samples=min_samples, engine=engine)
    assert sorted(set(found.labels.tolist()) - {-1}) == list(range(found.cluster_count))
    assert (np.diff(found.sizes) <= 0).all()
    assert (found.sizes >= min_cluster_size).all()
    assert ((found.membership_strengths >= 0) & (found.membership_strengths <= 1)).all()
    assert (found.membership_strengths[found.labels == -1] == 0).all()


def test_unknown_engine_is_refused():
    """An engine that does not exist is an error."""
    with pytest.raises(KeyError):
        cluster(groups(20), min_cluster_size=5, min_samples=5, engine="none")


@pytest.mark.parametrize(
    ("raised", "told"),
    [(MemoryError(), "ran out of memory on 40 points"), (ValueError("no"), "failed on 40 points: no")],
)
def test_what_an_engine_raises_is_explained(raised, told, engine, monkeypatch):
    """Failures of either engine name the number of points and their reason."""

    def fail(coordinates, min_cluster_size, min_samples):
        raise raised

    monkeypatch.setitem(ENGINES, engine, fail)
    with pytest.raises(ComputeFailed, match=told):
        cluster(groups(20, 20), min_cluster_size=5, min_samples=3, engine=engine)


def test_hdbscan_refusal_is_explained():
    """What hdbscan itself refuses carries its reason."""
    with pytest.raises(ComputeFailed, match=r"HDBSCAN failed on 40 points: .*[Mm]in"):
        cluster(groups(20, 20), min_cluster_size=1, min_samples=3, engine="hdbscan")
