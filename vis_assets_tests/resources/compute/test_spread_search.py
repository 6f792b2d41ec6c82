"""One search for neighbours over the workers of a real cluster."""

from typing import Any

import numpy as np
import pytest

from vis_assets.mapping import neighbors
from vis_assets.mapping.layout import lay_out
from vis_assets.mapping.neighbors import find_neighbors
from vis_assets.mapping.neighbors.search import explore_part, search_part
from vis_assets.operations.dask_cluster import Cluster
from vis_assets.resources.compute.dask_compute import DaskCompute
from vis_assets.resources.object_store import FolderStore
from vis_assets_tests.mapping.points import texts_like
from vis_assets_tests.resources.compute.conftest import Opener, led_to, running_cluster

pytestmark = pytest.mark.enable_socket

LENGTH = 14


@pytest.fixture(autouse=True)
def low_bound(monkeypatch):
    """The approximate search, whose parts are spread, also for few points; only the caller looks at the bound."""
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 1_000)


@pytest.fixture
def mapped_file(tmp_path):
    """Vectors as a run has them: a read-only memory map."""
    np.save(tmp_path / "vectors.npy", texts_like(3_000))
    return np.load(tmp_path / "vectors.npy", mmap_mode="r")


def spread_over(compute, vectors, metric):
    """The graph that the workers find; nothing was done in this process instead."""
    spread = []

    def on_workers(function, calls):
        spread.extend([function] * len(calls))
        return compute.map(function, calls)

    found = find_neighbors(vectors, LENGTH, metric, spread=on_workers)
    assert compute.notes == []
    assert set(spread) == {search_part, explore_part}
    return found


def assert_same(one, other):
    assert np.array_equal(one.ids, other.ids)
    assert np.array_equal(one.distances, other.distances)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_two_workers_find_the_graph_that_is_found_here(open_compute: Opener, mapped_file, metric):
    """The graph over two workers is that of this process, id by id and distance by distance."""
    compute = open_compute(metric)
    assert compute.workers == 2
    assert_same(spread_over(compute, mapped_file, metric), find_neighbors(mapped_file, LENGTH, metric))


def test_the_map_of_a_spread_search_is_the_map_of_one(compute: DaskCompute, mapped_file):
    """A map whose neighbours were searched together, laid out on a worker, is the one made here, byte by byte."""
    options: dict[str, Any] = {"n_neighbors": LENGTH + 1, "min_dist": 0.1, "metric": "cosine", "random_state": 0}
    graph = spread_over(compute, mapped_file, "cosine")
    reports = []
    there = compute.run(
        lay_out, mapped_file, neighbors=graph, on_progress=lambda *report: reports.append(report), **options
    )
    here = lay_out(mapped_file, on_progress=lambda done, total: None, **options)
    assert there.coordinates.tobytes() == here.coordinates.tobytes()
    assert reports[-1] == (1, 1)


def test_one_worker_finds_the_graph_that_is_found_here(tmp_path, mapped_file):
    """One worker alone finds the graph of this process too."""
    with running_cluster(tmp_path / "home", 1, "700 MB") as (cluster, _), led_to(cluster):
        compute = DaskCompute(address_of(cluster), "run", tmp_path / "run", FolderStore(tmp_path / "store"))
        try:
            assert compute.workers == 1
            found = spread_over(compute, mapped_file, "cosine")
        finally:
            compute.close()
    assert_same(found, find_neighbors(mapped_file, LENGTH, "cosine"))


def address_of(cluster: Cluster) -> str:
    return cluster.environment["VIS_ASSETS_DASK_SCHEDULER"]
