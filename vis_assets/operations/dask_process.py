"""Entry point of the Dask cluster of this machine: a scheduler, and a nanny for each worker process.

Run as `python -m vis_assets.operations.dask_process PORT STATE_FILE KEY_FILE`. It listens on 127.0.0.1 only, for those
who hold the key. Workers are spawned by the nannies, import this module as `__mp_main__` and load it before anything
else (`dask_setup`): they log like the others, and do not outlive their nanny, which does not outlive its supervisor.
"""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.errors import ComputeFailed
from vis_assets.operations.dagster_process import SUPERVISOR, die_with
from vis_assets.operations.dask_cluster import Plan, plan_cluster, write_state
from vis_assets.operations.logs import configure_logging
from vis_assets.settings import Settings, load_settings

if TYPE_CHECKING:
    from distributed import Nanny, Scheduler, Worker

_log = logging.getLogger("vis_assets.operations.dask_process")

LOOK_SECONDS = 0.5
HOST = "127.0.0.1"


def dask_options(plan: Plan) -> dict[str, Any]:
    """Return what Dask is told, in its own words.

    A task is sent to a worker only when it is free, so that it shares no other's fate. A lost worker fails its task at
    once instead of after three more tries. Native kernels keep a worker from answering for minutes, which is no reason
    to give it up. Memory is bounded by the nanny alone: results are handed on at once, so nothing is worth spilling.
    Dask's web pages are left out: they ask for no key.
    """
    threads = str(plan.threads)
    return {
        "distributed.scheduler.allowed-failures": 0,
        "distributed.scheduler.worker-saturation": 1.0,
        "distributed.scheduler.worker-ttl": None,
        "distributed.scheduler.work-stealing": False,
        "distributed.worker.memory.target": False,
        "distributed.worker.memory.spill": False,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": 1.0,
        "distributed.worker.profile.enabled": False,
        "distributed.admin.tick.limit": "1h",
        "distributed.scheduler.http.routes": [],
        "distributed.worker.http.routes": [],
        "distributed.nanny.http.routes": [],
        "distributed.nanny.pre-spawn-environ": {
            "MALLOC_TRIM_THRESHOLD_": "65536",
            "OMP_NUM_THREADS": threads,
            "MKL_NUM_THREADS": threads,
            "OPENBLAS_NUM_THREADS": threads,
            "NUMBA_NUM_THREADS": threads,
        },
    }


def tls_options(key_file: str) -> dict[str, Any]:
    """Return what makes scheduler, nannies and workers of this cluster speak with holders of the key only."""
    certificates = {f"distributed.comm.tls.{role}.cert": key_file for role in ("scheduler", "worker", "client")}
    return {"distributed.comm.tls.ca-file": key_file, "distributed.comm.require-encryption": True, **certificates}


def dask_setup(worker: "Worker") -> None:
    """Bind a worker's life to its nanny's; called in the worker before it registers."""
    die_with(os.getppid())
    _log.info("compute worker %s begins", worker.name, extra={"pid": os.getpid()})


async def serve(settings: Settings, port: int, state_file: Path) -> None:
    """Run the cluster until this task is cancelled.

    Raises:
        ComputeFailed: a worker cannot be kept running.
    """
    from distributed import Nanny, Scheduler

    from vis_assets.resources.compute.abandonment import as_plugin

    plan = plan_cluster(settings)
    write_state(state_file, 0)
    _log.info("%d compute workers of %d threads and %d bytes", plan.workers, plan.threads, plan.memory_bytes)
    async with contextlib.AsyncExitStack() as running:
        scheduler = await running.enter_async_context(
            Scheduler(host=HOST, port=port, protocol="tls", dashboard=False, dashboard_address=f"{HOST}:0")
        )
        plugin = as_plugin()
        await plugin.start(scheduler)
        scheduler.add_plugin(plugin)
        nannies = [
            Nanny(
                scheduler.address,
                host=HOST,
                name=str(number),
                nthreads=1,
                memory_limit=plan.memory_bytes,
                local_directory=str(state_file.parent / "dask"),
                preload=["vis_assets.operations.dask_process", "vis_assets.resources.compute.preload"],
                dashboard=False,
            )
            for number in range(plan.workers)
        ]
        await asyncio.gather(_watch(scheduler, nannies, state_file), *(running.enter_async_context(n) for n in nannies))


async def _watch(scheduler: "Scheduler", nannies: list["Nanny"], state_file: Path) -> None:
    """Say how many workers there are, and end where a nanny gave up."""
    known = -1
    while True:
        if any(nanny.status.name in {"closed", "failed"} for nanny in nannies):
            raise ComputeFailed("a compute worker cannot be kept running")
        if len(scheduler.workers) != known:
            known = len(scheduler.workers)
            write_state(state_file, known)
        await asyncio.sleep(LOOK_SECONDS)


async def _until_told(settings: Settings, port: int, state_file: Path) -> None:
    serving = asyncio.get_running_loop().create_task(serve(settings, port, state_file))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def configure(settings: Settings) -> None:
    """Set up logging and Dask in this process; before `distributed` is imported, which takes over what it finds."""
    import dask

    level = logging.getLevelName(logging.getLogger().level).lower()
    names = ("distributed", "distributed.client", "distributed.gc")
    dask.config.set({"logging": dict.fromkeys(names, level)})
    dask.config.set(dask_options(plan_cluster(settings)))


def main(arguments: list[str]) -> None:
    """Become the cluster."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    if supervisor is not None:
        die_with(int(supervisor))
    import dask

    settings = load_settings()
    configure_logging(settings)
    configure(settings)
    port, state_file, key_file = arguments
    dask.config.set(tls_options(key_file))
    try:
        asyncio.run(_until_told(settings, int(port), Path(state_file)))
    except Exception:  # noqa: BLE001 - told in the form of our log, then passed on as the exit code
        _log.exception("the dask cluster failed")
        raise SystemExit(1) from None


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":
    configure_logging(load_settings())
    configure(load_settings())
