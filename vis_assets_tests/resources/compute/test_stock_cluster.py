"""A cluster of somebody else, of stock scheduler and workers."""

import contextlib
import multiprocessing
import os
import sys
import threading
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, Scheduler

from vis_assets.errors import ComputeFailed
from vis_assets.operations.processes import Child, free_port, start
from vis_assets.resources.compute.dask_compute import DaskCompute, describe_cluster
from vis_assets.resources.compute.task import KEY_PREFIX, RUNNING_FILE
from vis_assets.resources.object_store import FolderStore
from vis_assets_tests.integration.wire import eventually
from vis_assets_tests.resources.compute import work

pytestmark = pytest.mark.enable_socket


@contextlib.contextmanager
def stock_cluster(folder: Path, threads: int) -> Iterator[tuple[str, Child]]:
    """Run a scheduler and one worker until the block ends; yield the address, and the worker."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    options = ["--no-dashboard", "--local-directory", str(folder / "worker"), "--nthreads", str(threads)]
    environment = {**os.environ, "VIS_ASSETS_HOME": str(folder)}
    arguments = {
        "scheduler": ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", ":0"],
        "worker": ["worker", address, "--nworkers", "1", *options],
    }
    with contextlib.ExitStack() as until_exit:
        children = {
            name: start(name, [sys.executable, "-m", "dask", *given], environment, folder / f"{name}.log")
            for name, given in arguments.items()
        }
        for child in children.values():
            until_exit.callback(child.stop)
        yield address, children["worker"]


def our_topics(dask_scheduler: Scheduler) -> list[str]:
    """Return the topics of runs, and of their clients, that a scheduler knows."""
    return [name for name in dask_scheduler._broker._topics if name.startswith(KEY_PREFIX)]


def has_worker(address: str) -> bool:
    """Whether a worker has joined the scheduler."""
    try:
        return describe_cluster(address) != ""
    except ComputeFailed:
        return False


def test_a_worker_of_several_threads_does_one_task_at_a_time_and_no_run_leaves_a_topic(tmp_path: Path) -> None:
    """Tasks of one worker do not overlap, the doctor tells, and the scheduler forgets runs that ended."""
    with stock_cluster(tmp_path, threads=3) as (address, _):
        for run in ("first", "second"):
            compute = DaskCompute(address, run, tmp_path / run, FolderStore(tmp_path))
            spans = compute.map(work.span, [(0.2,)] * 3)
            assert not compute.shares_cores
            compute.close()
            ordered = sorted(spans)
            assert all(end <= begin for (_, end), (begin, _) in pairwise(ordered))
        assert describe_cluster(address).endswith("--nthreads 1")
        with Client(address, set_as_default=False, name="looks-on") as client:
            eventually(lambda: client.run_on_scheduler(our_topics) == [], "the topics are gone", 10)


def run_in_child(address: str, folder: Path, mark: Path) -> None:
    """Be a run of its own."""
    DaskCompute(address, "child", folder, FolderStore(folder)).run(work.nap, mark, 60)


def test_who_gives_up_while_waiting_in_a_worker_is_not_computed_for(tmp_path: Path) -> None:
    """A task that another one keeps waiting does nothing once its run is gone, and costs no worker its life."""
    with contextlib.ExitStack() as until_exit:
        address, _ = until_exit.enter_context(stock_cluster(tmp_path, threads=2))
        compute = DaskCompute(address, "run", tmp_path / "run", FolderStore(tmp_path))
        until_exit.callback(compute.close)
        client = until_exit.enter_context(Client(address, set_as_default=False, name="looks-on"))
        pids: list[int] = []
        first = threading.Thread(target=lambda: pids.append(compute.run(work.wait_for, tmp_path / "given up")))
        first.start()
        eventually(lambda: any((tmp_path / "worker").rglob(RUNNING_FILE)), "the first is performed", 30)
        waiting = (address, tmp_path / "child", tmp_path / "doomed")
        child = multiprocessing.get_context("spawn").Process(target=run_in_child, args=waiting)
        child.start()

        def at_work() -> int:
            return sum(len(keys) for keys in client.processing().values())

        try:
            eventually(lambda: at_work() == 2, "both are sent to the worker", 30)
        finally:
            child.kill()
            child.join()
            eventually(lambda: at_work() == 1, "one is given up", 20)
            (tmp_path / "given up").touch()
            first.join()
        assert [compute.run(work.nap, tmp_path / "nap", 0)] == pids
        assert not (tmp_path / "doomed").exists()


def test_a_map_whose_workers_left_fails_instead_of_waiting_for_ever(tmp_path: Path) -> None:
    """A call that began and was lost with the last worker is not waited for."""
    with stock_cluster(tmp_path, threads=1) as (address, worker):
        compute = DaskCompute(address, "run", tmp_path / "run", FolderStore(tmp_path), worker_seconds=2)
        eventually(lambda: has_worker(address), "the worker is there", 60)
        with pytest.raises(ComputeFailed, match="ended while it worked"):
            compute.map(work.nap_or_stop, [(tmp_path / "a", 0), (tmp_path / "b", worker.process.pid)])
        compute.close()


def test_a_run_whose_workers_left_before_its_next_call_goes_on_by_itself(tmp_path: Path) -> None:
    """What ended does not count as working."""
    with stock_cluster(tmp_path, threads=1) as (address, worker):
        compute = DaskCompute(address, "run", tmp_path / "run", FolderStore(tmp_path), worker_seconds=60)
        assert compute.run(work.total, np.ones(3))[1] != os.getpid()
        worker.stop()
        compute._patience = (60, 1)
        assert compute.run(work.total, np.ones(3))[1] == os.getpid()
        assert "no worker" in compute.notes[0]
        assert compute.workers == 1
