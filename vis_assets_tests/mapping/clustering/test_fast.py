"""The fast engine against the reference, and what it promises beyond that."""

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from vis_assets.mapping.clustering import cluster, fast, hdbscan


def islands(n, seed=0):
    """Groups of many shapes and densities with points between them, in random order, as layouts have them."""
    rng = np.random.default_rng(seed)
    count = n // 60
    centres, spreads = rng.uniform(-20, 20, (count, 2)), rng.lognormal(-1.2, 0.6, (count, 2))
    of = rng.integers(0, count, n)
    places = centres[of] + spreads[of] * rng.normal(size=(n, 2))
    places[: n // 8] = rng.uniform(-20, 20, (n // 8, 2))
    return rng.permutation(places).astype(np.float32)


@pytest.mark.parametrize(("min_cluster_size", "min_samples"), [(15, 5), (5, 5), (50, 1), (30, 20)])
def test_labels_and_strengths_are_those_of_the_reference(min_cluster_size, min_samples):
    """Clusters and membership strengths are hdbscan's own."""
    reference, found = (
        cluster(islands(4_000), min_cluster_size=min_cluster_size, min_samples=min_samples, engine=engine)
        for engine in ("hdbscan", "fast")
    )
    assert np.array_equal(reference.labels, found.labels)
    np.testing.assert_allclose(found.membership_strengths, reference.membership_strengths, atol=1e-4)


def test_rounded_places_agree_as_the_reference_does_with_itself():
    """Where many distances are equal, labels agree with hdbscan's no less than those of other orders of the rows."""
    coordinates = np.round(islands(4_000), 2)
    reference, found = (
        cluster(coordinates, min_cluster_size=15, min_samples=5, engine=engine).labels for engine in ("hdbscan", "fast")
    )
    again = []
    for seed in (1, 2, 3):
        order = np.random.default_rng(seed).permutation(len(coordinates))
        labels = np.empty_like(reference)
        labels[order] = cluster(coordinates[order], min_cluster_size=15, min_samples=5, engine="hdbscan").labels
        again.append(adjusted_rand_score(reference, labels))
    assert adjusted_rand_score(reference, found) >= min(again) - 0.01


def test_number_of_threads_changes_nothing(monkeypatch):
    """One thread and several give the same labels and strengths."""
    coordinates = islands(3_000)
    results = []
    for threads in (1, 4):
        monkeypatch.setattr(fast, "thread_count", lambda count=threads: count)
        results.append(fast.find_clusters(coordinates, 15, 5)[:2])
    for one, other in zip(*results, strict=True):
        assert np.array_equal(one, other)


def test_deep_trees_need_no_deep_stack():
    """Clusters that come off a growing one, one after the other, are no danger, however many."""
    steps = np.cumsum(1.0 + 1e-4 * np.arange(30_000))
    line = np.repeat(steps, 2) + np.tile([0.0, 0.3], len(steps))
    coordinates = np.stack([line, np.zeros_like(line)], axis=1).astype(np.float64)
    coordinates -= coordinates.mean(axis=0)
    labels, _, _ = fast.find_clusters(coordinates.astype(np.float32), 2, 1)
    assert labels.max() > 10_000


@pytest.mark.parametrize("scale", [2.0**-60, 2.0**-3, 2.0**100])
def test_scale_changes_nothing(scale):
    """The same map in other units has the same clusters."""
    coordinates = islands(1_000)
    expected, _, _ = fast.find_clusters(coordinates, 15, 5)
    labels, _, _ = fast.find_clusters(coordinates * np.float32(scale), 15, 5)
    assert np.array_equal(labels, expected)


def test_duplicates_are_strong_members():
    """Points in one place are a cluster's core: strength 1, and their neighbours have strengths of their own."""
    crowd = np.zeros((40, 2))
    around = np.random.default_rng(0).normal(size=(40, 2))
    far = np.random.default_rng(1).normal(size=(40, 2)) + 50
    coordinates = np.concatenate([crowd, around, far]).astype(np.float32)
    labels, strengths, _ = fast.find_clusters(coordinates, 15, 5)
    assert len(set(labels[:40])) == 1
    assert (strengths[:40] == 1.0).all()
    members = labels[40:80] == labels[0]
    assert (strengths[40:80][members] > 0).all()


def test_what_has_no_distance_is_refused():
    """Coordinates that are no numbers are an error, not an endless search."""
    coordinates = islands(1_000)
    coordinates[::2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fast.find_clusters(coordinates, 15, 5)


def test_line_of_points_is_clustered():
    """Points on one line are clustered as by the reference."""
    line = np.concatenate([np.arange(50) * 0.1, 100 + np.arange(50) * 0.1])
    coordinates = np.stack([line, 2 * line], axis=1).astype(np.float32)
    ours, theirs = fast.find_clusters(coordinates, 15, 5)[0], hdbscan.find_clusters(coordinates, 15, 5)[0]
    assert adjusted_rand_score(ours, theirs) == 1.0
