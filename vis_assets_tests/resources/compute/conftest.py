"""A real cluster of this machine, as `vis-assets worker` starts it, but with workers that are left cold."""

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dask
import pytest

from vis_assets.operations.dask_cluster import Cluster
from vis_assets.operations.processes import Child, start, wait_until
from vis_assets.resources.compute.dask_compute import DaskCompute
from vis_assets.resources.compute.preload import COLD
from vis_assets.resources.object_store import FolderStore

Opener = Callable[..., DaskCompute]


@contextlib.contextmanager
def running_cluster(home: Path, workers: int, memory: str) -> Iterator[tuple[Cluster, Child]]:
    """Run a cluster until the block ends."""
    home.mkdir(parents=True)
    cluster = Cluster(home)
    environment = {
        **os.environ,
        COLD: "1",
        "VIS_ASSETS_HOME": str(home),
        "VIS_ASSETS_DASK_WORKERS": str(workers),
        "VIS_ASSETS_DASK_MEMORY": memory,
        "VIS_ASSETS_STORE_DIR": str(home / "store"),
    }
    child = start("dask cluster", cluster.command, environment, home / "dask.log")
    try:
        wait_until(lambda: (state := cluster.state()) is not None and state.workers == workers, child, 60)
        yield cluster, child
    finally:
        child.stop()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two workers of 700 MB."""
    with running_cluster(tmp_path_factory.mktemp("compute") / "home", 2, "700 MB") as (cluster, _), led_to(cluster):
        yield cluster


@contextlib.contextmanager
def led_to(cluster: Cluster) -> Iterator[None]:
    """Give this process, and its children, what leads runs to the cluster."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in cluster.environment.items():
            environment.setenv(name, value)
        dask.config.refresh()
        yield
    dask.config.refresh()


@pytest.fixture
def open_compute(cluster: Cluster, tmp_path: Path) -> Iterator[Opener]:
    """Opens what a run has; closed after the test."""
    with contextlib.ExitStack() as until_exit:

        def opened(run: str = "run", **options: object) -> DaskCompute:
            address = str(options.pop("address", cluster.environment["VIS_ASSETS_DASK_SCHEDULER"]))
            store = FolderStore(cluster.state_file.parent / "store")
            compute = DaskCompute(address, run, tmp_path / run, store, **options)  # type: ignore[arg-type]
            until_exit.callback(compute.close)
            return compute

        yield opened


@pytest.fixture
def compute(open_compute: Opener) -> DaskCompute:
    """What one run has."""
    return open_compute()
