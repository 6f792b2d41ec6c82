"""Coarser layers of clusters: what a person sees from afar."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn.metrics import adjusted_rand_score

from vis_assets.mapping.clustering import ENGINES, Clustering, cluster, fast
from vis_assets.mapping.clustering.layers import FEWEST_TO_GROUP, MOST_LAYERS, find_layers, parents_of
from vis_assets_tests.mapping.clustering.test_fast import islands

CONTINENTS, REGIONS, TOWNS, PEOPLE = 5, 5, 4, 30


def world(seed=0):
    """Continents of regions of towns of people, in random order: coordinates, and the continent of each."""
    rng = np.random.default_rng(seed)
    counts = (CONTINENTS, REGIONS, TOWNS)
    steps = (100.0, 12.0, 1.5)
    places = np.zeros((1, 2))
    for count, step in zip(counts, steps, strict=True):
        angles = np.arange(count) * 2 * np.pi / count
        circle = step * np.stack([np.cos(angles), np.sin(angles)], axis=1)
        places = (places[:, None] + circle * rng.uniform(0.8, 1.2, (len(places), count, 1))).reshape(-1, 2)
    people = np.repeat(places, PEOPLE, axis=0) + 0.1 * rng.normal(size=(len(places) * PEOPLE, 2))
    continents = np.repeat(np.arange(CONTINENTS), REGIONS * TOWNS * PEOPLE)
    order = rng.permutation(len(people))
    return people[order].astype(np.float32), continents[order]


def require_sound(found: Clustering) -> None:
    """What is true of every clustering with layers."""
    assert len(found.coarser) == len(found.parents) <= MOST_LAYERS
    for finer, coarser, parents in zip(found.layers, found.coarser, found.parents, strict=False):
        assert (coarser.dtype, parents.dtype) == (np.int32, np.int32)
        count = int(finer.max()) + 1
        assert len(parents) == count
        assert (coarser[finer >= 0] == parents[finer[finer >= 0]]).all()
        assert set(parents.tolist()) == set(range(int(coarser.max()) + 1))
        assert 3 <= coarser.max() + 1 < count
        assert (np.diff(np.bincount(coarser[coarser >= 0])) <= 0).all()
        assert np.array_equal(parents, parents_of(finer, coarser))


@pytest.mark.parametrize("engine", list(ENGINES))
def test_continents_of_a_world_are_its_coarsest_layer(engine):
    """A map with three scales has its towns as the finest layer and its continents as the coarsest."""
    coordinates, continents = world()
    found = cluster(coordinates, min_cluster_size=10, min_samples=5, engine=engine)
    require_sound(found)
    assert found.counts[0] == CONTINENTS * REGIONS * TOWNS
    assert found.counts[-1] == CONTINENTS
    kept = found.coarser[-1] >= 0
    assert kept.mean() > 0.99
    assert adjusted_rand_score(found.coarser[-1][kept], continents[kept]) == 1.0


def test_layers_of_a_map_with_noise_are_sound():
    """Layers nest, are numbered by size, and have fewer and fewer clusters, none of them without a parent."""
    found = cluster(islands(6_000), min_cluster_size=5, min_samples=5)
    assert found.noise_count > 0
    assert len(found.coarser) > 1
    require_sound(found)


def test_the_finest_layer_does_not_know_of_the_others():
    """With layers or without, clusters and strengths are the same."""
    coordinates = islands(3_000)
    alone, below = (cluster(coordinates, min_cluster_size=5, min_samples=5, layers=asked) for asked in (False, True))
    assert (alone.coarser, alone.parents) == ((), ())
    assert below.coarser
    assert np.array_equal(alone.labels, below.labels)
    assert np.array_equal(alone.membership_strengths, below.membership_strengths)


def test_layers_are_the_same_on_every_run(monkeypatch):
    """One thread and several, once and again, give the same layers."""
    coordinates = islands(3_000)
    results = []
    for threads in (1, 4, 4):
        monkeypatch.setattr(fast, "thread_count", lambda count=threads: count)
        results.append(cluster(coordinates, min_cluster_size=5, min_samples=5))
    for other in results[1:]:
        for one_array, other_array in zip(
            (*results[0].coarser, *results[0].parents), (*other.coarser, *other.parents), strict=True
        ):
            assert np.array_equal(one_array, other_array)


def test_both_engines_have_the_same_layers():
    """The reference's tree has the layers of the fast engine's."""
    first, second = (
        cluster(islands(3_000), min_cluster_size=5, min_samples=5, engine=engine) for engine in ("fast", "hdbscan")
    )
    assert first.counts == second.counts
    for one, other in zip(first.coarser, second.coarser, strict=True):
        assert adjusted_rand_score(one, other) > 0.99


def test_a_remote_cluster_joins_the_nearest_continent():
    """A cluster that is too small for the coarse layer and far from all of it belongs to what is nearest."""
    coordinates, continents = world()
    rng = np.random.default_rng(1)
    far = np.array([190.0, 0.0]) + 0.1 * rng.normal(size=(15, 2))
    found = cluster(np.concatenate([coordinates, far]).astype(np.float32), min_cluster_size=10, min_samples=5)
    require_sound(found)
    (label,) = set(found.coarser[-1][-15:].tolist())
    eastern = continents[coordinates[:, 0].argmax()]
    assert label == np.bincount(found.coarser[-1][:-15][continents == eastern]).argmax()


@pytest.mark.parametrize("count", [1, 2, FEWEST_TO_GROUP - 1])
def test_few_clusters_have_no_layers(count):
    """What a person sees at a glance is not grouped."""
    rng = np.random.default_rng(0)
    centres = np.repeat(np.arange(count) * 10.0, 30)
    coordinates = np.stack([centres, centres], axis=1) + 0.1 * rng.normal(size=(30 * count, 2))
    found = cluster(coordinates.astype(np.float32), min_cluster_size=10, min_samples=5)
    assert (found.coarser, found.parents) == ((), ())
    assert found.counts == (found.cluster_count,)


@pytest.mark.parametrize(
    "coordinates",
    [np.zeros((1, 2)), np.arange(8.0).reshape(4, 2), np.ones((40, 2)), 2.0 ** np.arange(40).reshape(20, 2)],
    ids=["one point", "few points", "one place", "all noise"],
)
def test_maps_without_clusters_have_no_layers(coordinates):
    """Where nothing is to be grouped there is one layer, and no error."""
    found = cluster(coordinates.astype(np.float32), min_cluster_size=10, min_samples=3)
    assert (found.coarser, found.parents) == ((), ())
    assert found.layers[0] is found.labels


def test_labels_without_clusters_have_no_layers():
    """Noise alone is grouped into nothing, whatever the tree."""
    coordinates = islands(600)
    *_, tree = fast.find_clusters(coordinates, 15, 5)
    assert find_layers(tree, coordinates, np.full(600, -1, dtype=np.int32), 15).labels == ()


@settings(max_examples=60, deadline=None)
@given(
    coordinates=hnp.arrays(np.float32, st.tuples(st.integers(60, 300), st.just(2)), elements=st.integers(-12, 12)),
    min_cluster_size=st.integers(2, 4),
    min_samples=st.integers(1, 4),
    engine=st.sampled_from(list(ENGINES)),
)
def test_layers_of_any_map_are_sound(coordinates, min_cluster_size, min_samples, engine):
    """Layers of maps with many equal distances nest too."""
    require_sound(cluster(coordinates, min_cluster_size=min_cluster_size, min_samples=min_samples, engine=engine))
