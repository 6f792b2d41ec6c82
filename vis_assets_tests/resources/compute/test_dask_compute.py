import contextlib
import multiprocessing
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from vis_assets.errors import ComputeFailed, NoPoints
from vis_assets.operations.dask_cluster import Cluster
from vis_assets.operations.processes import Child, free_port, start
from vis_assets.resources.compute.contract import InProcess
from vis_assets.resources.compute.dask_compute import DaskCompute
from vis_assets.resources.object_store import FolderStore
from vis_assets_tests.integration.wire import eventually
from vis_assets_tests.resources.compute import work
from vis_assets_tests.resources.compute.conftest import Opener, led_to, running_cluster

pytestmark = pytest.mark.enable_socket


def alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def kill(child: Child) -> None:
    """Give a task the time to hold the lock of its worker, then kill the cluster."""
    time.sleep(1)
    child.kill()


def pid_in(mark: Path) -> int:
    """The pid that a worker wrote when it began."""
    eventually(lambda: mark.exists() and mark.read_text().isdigit(), "the task began", 20)
    return int(mark.read_text())


def run_in_child(address: str, folder: Path, mark: Path) -> None:
    """Be a run whose work holds the lock of its worker."""
    DaskCompute(address, "child", folder, FolderStore(folder)).run(work.hold_lock, mark)


@contextlib.contextmanager
def other_run(cluster: Cluster, folder: Path, mark: Path):
    """A run in a process of its own."""
    arguments = (cluster.environment["VIS_ASSETS_DASK_SCHEDULER"], folder, mark)
    child = multiprocessing.get_context("spawn").Process(target=run_in_child, args=arguments)
    child.start()
    try:
        yield child
    finally:
        child.kill()
        child.join()


def test_a_function_runs_in_a_worker_process_which_maps_the_array(compute: DaskCompute):
    """A call is computed by another process, on a file that it maps."""
    result, pid, file = compute.run(work.total, np.arange(1000, dtype=np.float32))
    assert result == 499_500
    assert pid != os.getpid()
    assert file.endswith(".npy")


def test_a_mapped_file_is_not_copied_and_any_run_of_its_rows_is_found(compute: DaskCompute, tmp_path: Path):
    """A memory map travels as a reference to its own file, and so do its slices."""
    np.save(tmp_path / "v.npy", np.arange(60_000, dtype=np.float32).reshape(6000, 10))
    vectors = np.load(tmp_path / "v.npy", mmap_mode="r")
    parts = [vectors, vectors[4500:], vectors[17:19], vectors[:, 2:4]]
    results = compute.map(work.total, [(part,) for part in parts])
    assert [result for result, _, _ in results] == [float(part.sum()) for part in parts]
    assert [Path(file).name == "v.npy" for _, _, file in results] == [True, True, True, False]


def test_compiled_code_sees_the_same_types(compute: DaskCompute, tmp_path: Path):
    """What was writeable is writeable on the worker, and what is written stays there; a map stays a read-only map."""
    np.save(tmp_path / "v.npy", np.zeros((4, 2), np.float32))
    for array in (np.zeros((4, 2), np.float32), np.load(tmp_path / "v.npy", mmap_mode="r")):
        assert compute.run(work.kind_of, array) == work.kind_of(array.copy() if array.flags.writeable else array)
        assert not array.any()


def test_dataclasses_tables_columns_and_texts_arrive_as_they_were(compute: DaskCompute):
    """Everything that stages pass is the same on the worker, and in the result."""
    texts = [f"text {i} é" for i in range(5000)]
    bundle = work.Bundle(np.ones((3, 2), np.float32), texts, "name")
    table = pa.table({"a": [1, 2]})
    seen = compute.run(work.look_at, bundle, table, pa.chunked_array([["c"], [None]]), texts)
    assert seen.name == "name"
    assert seen.texts == ["text 4998 é", "text 4999 é", "1", "2", "c", "None", "text 0 é"]
    assert np.array_equal(seen.numbers, np.full((3, 2), 2))
    assert not list(compute._scratch.glob("*.pkl"))


def test_an_array_that_was_changed_between_calls_is_written_again(compute: DaskCompute):
    """Nothing stale is computed on."""
    numbers = np.zeros(10)
    first = compute.run(work.total, numbers)[0]
    numbers[:] = 1
    assert (first, compute.run(work.total, numbers)[0]) == (0, 10)


def test_arrays_in_tuples_and_in_many_calls_are_written_once(compute: DaskCompute):
    """The calls of one map share the files of what they share; what is read-only is known in later calls too."""
    shared, kept = np.arange(5), np.arange(7)
    kept.flags.writeable = False
    calls = [((shared, kept, np.full(3, part)),) for part in range(2)]
    (first, files), (second, others) = compute.map(work.total_of_all, calls)
    assert (first, second) == (31, 34)
    assert files[:2] == others[:2]
    assert files[2] != others[2]
    again = compute.run(work.total_of_all, (shared, kept))[1]
    assert again[1] == files[1]
    assert again[0] != files[0]


def test_arrays_of_objects_and_large_values_are_refused(compute: DaskCompute):
    """What would be pickled through the scheduler is a mistake of the caller."""
    with pytest.raises(TypeError, match="objects"):
        compute.run(work.total, np.array([object()]))
    with pytest.raises(ComputeFailed, match="bytes besides"):
        compute.run(work.total, {"a": b"x" * 2_000_000})
    with pytest.raises(TypeError, match="no function"):
        compute.run(lambda: None)


def test_progress_arrives_in_order_and_in_this_thread_up_to_the_last(compute: DaskCompute):
    """Reports may be thinned out, never disordered, and the last one comes."""
    reports = []
    compute.run(work.count_to, 10_000, on_progress=lambda done, total: reports.append((done, total)))
    assert reports == sorted(reports)
    assert reports[0] == (1, 10_000)
    assert reports[-1] == (10_000, 10_000)
    assert len(reports) < 100


def test_an_error_of_ours_arrives_as_itself_without_what_caused_it(compute: DaskCompute):
    """The class and the message cross, the chain with its values does not."""
    with pytest.raises(NoPoints, match=r"^there is nothing to do$") as caught:
        compute.run(work.refuse, "canary-secret")
    assert caught.value.__cause__ is None


def test_any_other_error_becomes_a_failure_that_names_the_function(compute: DaskCompute):
    """A defect of a stage is told in our words and can be tried again."""
    with pytest.raises(ComputeFailed, match=r"work:break_down failed: IndexError: only integers"):
        compute.run(work.break_down, np.ones(3))


def test_a_killed_worker_fails_the_call_at_once_and_a_fresh_one_follows(compute: DaskCompute):
    """Dask does not repeat silently what killed a worker."""
    with pytest.raises(ComputeFailed, match="ended while it worked"):
        compute.run(work.end_process)
    assert compute.run(work.count_to, 3, on_progress=lambda done, total: None) != os.getpid()
    eventually(lambda: compute.workers == 2, "both workers are there again", 20)


def test_a_worker_above_its_memory_is_ended_and_said_so(compute: DaskCompute):
    """The message names the setting."""
    with pytest.raises(ComputeFailed, match="VIS_ASSETS_DASK_MEMORY"):
        compute.run(work.fill_memory, 2000)
    eventually(lambda: compute.workers == 2, "both workers are there again", 20)


def test_the_work_of_a_killed_run_is_ended_though_its_kernel_holds_the_lock(
    cluster: Cluster, compute: DaskCompute, tmp_path: Path
):
    """SIGKILL of the run kills the worker process that computes for it, and no other run's."""
    with other_run(cluster, tmp_path, tmp_path / "doomed") as child:
        doomed = pid_in(tmp_path / "doomed")
        assert child.pid is not None

        def kill(_done: float, _total: float) -> None:
            os.kill(child.pid, signal.SIGKILL)

        survivor = compute.run(work.count_to, 1, on_progress=kill)
        eventually(lambda: not alive(doomed), "the worker of the killed run is gone", 10)
    assert compute.map(work.nap, [(tmp_path / "nap", 0.1)]) == [survivor]
    assert (tmp_path / "doomed").read_text() != "ended"


def test_a_run_that_gives_up_by_itself_ends_its_work(compute: DaskCompute, tmp_path: Path):
    """What progress raises passes through, and the worker that went on is killed."""

    def cancel(_done: float, _total: float) -> None:
        pid_in(tmp_path / "mark")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute.run(work.report_then_hold, tmp_path / "mark", on_progress=cancel)
    pid = pid_in(tmp_path / "mark")
    eventually(lambda: not alive(pid), "its worker is gone", 10)


def test_who_waits_behind_a_killed_worker_is_served_by_another(cluster: Cluster, open_compute: Opener, tmp_path: Path):
    """A queued task does not share the fate of the one before it."""
    with (
        other_run(cluster, tmp_path / "a", tmp_path / "one"),
        other_run(cluster, tmp_path / "b", tmp_path / "two"),
    ):
        first, second = pid_in(tmp_path / "one"), pid_in(tmp_path / "two")
        assert first != second
        waiting = multiprocessing.get_context("spawn").Process(target=os.kill, args=(first, signal.SIGKILL))
        waiting.start()
        assert open_compute().run(work.nap, tmp_path / "nap", 0.1) not in {first, second}
        waiting.join()
        assert alive(second)


def test_workers_that_do_not_see_the_folder_read_the_store(open_compute: Opener, tmp_path: Path):
    """Files go through the object store, typed, and are removed with the run."""
    compute = open_compute("far")
    compute._connected()
    compute._use(_Hidden(tmp_path / "hidden"))
    texts = [f"text {i}" for i in range(3000)]
    bundle = work.Bundle(np.ones((3, 2), np.float32), texts, "name")
    seen = compute.run(work.look_at, bundle, pa.table({"a": [1]}), pa.array(["c"]), texts)
    assert seen.texts == ["text 2998", "text 2999", "1", "c", "text 0"]
    store = compute._store
    kinds = {Path(key).suffix for key in store.keys("compute/far/")}
    assert kinds == {".npy", ".arrow"}
    compute.close()
    assert not list(store.keys("compute/"))


def test_without_a_scheduler_the_work_is_done_here_and_said_so(open_compute: Opener):
    """A map that comes late is better than none."""
    compute = open_compute(address=f"tcp://127.0.0.1:{free_port()}", connect_seconds=1)
    assert compute.run(work.total, np.ones(3))[:2] == (3, os.getpid())
    assert compute.map(work.total, [(np.ones(3),)])[0][1] == os.getpid()
    assert "no Dask scheduler" in compute.notes[0]


def test_who_asks_for_workers_first_waits_for_the_scheduler_once(open_compute: Opener):
    """The first that finds no scheduler gives it up for the others."""
    compute = open_compute(address=f"tcp://127.0.0.1:{free_port()}", connect_seconds=0.2)
    assert compute.workers == 1
    assert len(compute.notes) == 1
    assert compute.run(work.total, np.ones(3))[1] == os.getpid()
    assert compute.workers == 1
    assert len(compute.notes) == 1
    assert compute._client is None


def test_only_our_own_cluster_shares_cores(cluster: Cluster, open_compute: Opener):
    """The environment of a run tells the cluster of this machine from others."""
    assert open_compute().shares_cores
    assert not open_compute("other", address="tcp://10.0.0.1:8786").shares_cores
    assert InProcess().shares_cores


def test_a_cluster_of_somebody_else_is_used_as_it_is(tmp_path: Path):
    """Stock scheduler and worker: a lost worker is not tried again there either, and given up work is ended."""
    port = free_port()
    dask = [sys.executable, "-m", "dask"]
    environment = {**os.environ, "VIS_ASSETS_HOME": str(tmp_path)}
    options = ["--no-dashboard", "--local-directory", str(tmp_path / "worker"), "--nthreads", "1"]
    address = f"tcp://127.0.0.1:{port}"
    with contextlib.ExitStack() as until_exit:
        for name, arguments in {
            "scheduler": ["scheduler", "--host", "127.0.0.1", "--port", str(port), "--dashboard-address", ":0"],
            "worker": ["worker", address, "--nworkers", "1", *options],
        }.items():
            child = start(name, [*dask, *arguments], environment, tmp_path / f"{name}.log")
            until_exit.callback(child.stop)
        compute = DaskCompute(address, "run", tmp_path / "run", FolderStore(tmp_path))
        until_exit.callback(compute.close)
        first = compute.run(work.total, np.ones(5))
        assert first[0] == 5
        with pytest.raises(ComputeFailed, match="ended while it worked"):
            compute.run(work.end_process)

        def cancel(_done: float, _total: float) -> None:
            pid_in(tmp_path / "mark")
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            compute.run(work.report_then_hold, tmp_path / "mark", on_progress=cancel)
        pid = pid_in(tmp_path / "mark")
        eventually(lambda: not alive(pid), "its worker is gone", 10)


def test_the_cluster_ends_with_its_supervisor_and_its_workers_with_it(tmp_path: Path):
    """Nothing is left where the cluster is killed, and a run that waits for it fails at once."""
    with running_cluster(tmp_path / "home", 1, "700 MB") as (cluster, child), led_to(cluster):
        compute = DaskCompute(
            cluster.environment["VIS_ASSETS_DASK_SCHEDULER"], "run", tmp_path / "run", FolderStore(tmp_path)
        )
        with pytest.raises(ComputeFailed, match="lost or failed"):
            compute.run(work.report_then_hold, tmp_path / "mark", on_progress=lambda done, total: kill(child))
        pid = pid_in(tmp_path / "mark")
        eventually(lambda: not alive(pid), "the worker is gone", 5)
        with contextlib.suppress(OSError):
            compute.close()


def test_who_does_not_hold_the_key_is_not_heard(cluster: Cluster, tmp_path: Path):
    """Another user of the machine cannot run code in our name."""
    other = Cluster(tmp_path)
    assert (tmp_path / "dask.pem").stat().st_mode & 0o777 == 0o600
    for address in (f"tls://127.0.0.1:{cluster.port}", f"tcp://127.0.0.1:{cluster.port}"):
        with led_to(other):
            compute = DaskCompute(address, "thief", tmp_path, FolderStore(tmp_path), connect_seconds=1)
            assert compute.run(work.total, np.ones(3))[1] == os.getpid()
            assert compute.notes


def test_in_process_gives_the_function_its_progress():
    """The other implementation calls the function itself."""
    reports = []
    assert InProcess().run(work.count_to, 2, on_progress=lambda *report: reports.append(report)) == os.getpid()
    assert reports == [(1, 2), (2, 2)]
    assert InProcess().map(work.total, [(np.ones(2),), (np.ones(3),)])[1][0] == 3


def test_definitions_import_no_dask():
    """Run processes that compute in process do not pay for Dask."""
    import subprocess

    code = "import sys, vis_assets.definitions; sys.exit('distributed' in sys.modules or 'dask' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


class _Hidden:
    """A shelf whose mark no worker sees, as of a folder on another machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self._folder = folder
        self.mark = str(folder / "nothing")

    def new_file(self, suffix: str) -> Path:
        return self._folder / f"{time.monotonic_ns()}{suffix}"

    def offer(self, file: Path):
        from vis_assets.resources.compute.shelves import Place

        return Place(f"/nowhere/{file.name}")

    def close(self) -> None:
        pass
