"""The scheduler's side: work that nobody waits for any more is ended by killing the process that does it.

Dask forgets such a task, but the thread that performs it goes on to the end. So the scheduler, told by its own
transitions (a run's process ended in whatever way, or the run asked for it), sends word to the nanny, a process beside
the worker. The nanny kills the worker if that task is what it performs, and starts a fresh one. Neither needs the
worker's help, which a native kernel may keep from answering.
"""

import asyncio
import contextlib
import logging
import os
import pickle
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.resources.compute.task import KEY_PREFIX, RUNNING_FILE

if TYPE_CHECKING:
    from distributed import Nanny, Scheduler

_log = logging.getLogger(__name__)

PLUGIN = "vis-assets-abandonment"
LOOKS = 20
LOOK_SECONDS = 0.25
"""A task that was just sent may begin a moment after it was given up: so often, and with such pauses, is looked."""


class Abandonment:
    """The methods of the plugin; `as_plugin` makes one of them, so that this module does not import `distributed`."""

    name = PLUGIN
    idempotent = True

    def __init__(self) -> None:
        """Know of no task yet."""
        self._scheduler: Scheduler | None = None
        self._nannies: dict[str, str] = {}
        self._sent: set[asyncio.Task[None]] = set()

    async def start(self, scheduler: "Scheduler") -> None:
        """Watch this scheduler."""
        self._scheduler = scheduler

    def transition(self, key: Any, start: str, finish: str, *_args: Any, **_kwargs: Any) -> None:
        """Notice where our tasks are sent, and which are given up while they may be performed."""
        if not (isinstance(key, str) and key.startswith(KEY_PREFIX)) or self._scheduler is None:
            return
        if finish == "processing":
            worker = self._scheduler.tasks[key].processing_on
            if worker is not None and worker.nanny:
                self._nannies[key] = worker.nanny
        elif start == "processing":
            nanny = self._nannies.pop(key, None)
            if nanny is not None and finish in {"released", "forgotten"}:
                self._tell(nanny, key)

    def remove_client(self, scheduler: "Scheduler", client: str) -> None:
        """Forget topics to which only clients that left listened; Dask keeps them, and 100,000 events of each."""
        topics = scheduler._broker._topics
        for name in [name for name in topics if isinstance(name, str) and name.startswith(KEY_PREFIX)]:
            if topics[name].subscribers.isdisjoint(scheduler.clients):
                del topics[name]

    def _tell(self, nanny: str, key: str) -> None:
        sent = asyncio.get_running_loop().create_task(self._send(nanny, key))
        self._sent.add(sent)
        sent.add_done_callback(self._sent.discard)

    async def _send(self, nanny: str, key: str) -> None:
        assert self._scheduler is not None
        with contextlib.suppress(OSError):  # the nanny is gone, and its worker with it
            await self._scheduler.rpc(nanny).run(function=pickle.dumps(end_task), args=pickle.dumps((key,)), wait=True)


def as_plugin() -> Any:
    """Return an `Abandonment` as the class that Dask insists on."""
    from distributed.diagnostics.plugin import SchedulerPlugin

    return type("AbandonmentPlugin", (Abandonment, SchedulerPlugin), {})()


async def end_task(key: str, dask_worker: "Nanny") -> bool:
    """Kill the worker of this nanny if the task is what it performs, now or within a few seconds.

    Returns:
        Whether it was killed.
    """
    for _ in range(LOOKS):
        pid = dask_worker.pid
        if pid is not None and dask_worker.worker_dir is not None:
            marker = Path(dask_worker.worker_dir) / RUNNING_FILE
            if _performs(marker, pid, key) and _kill(marker, pid, key):
                _log.warning("nobody waits for task %s any more: worker process %d was killed", key, pid)
                return True
        await asyncio.sleep(LOOK_SECONDS)
    return False


def _performs(marker: Path, pid: int, key: str) -> bool:
    with contextlib.suppress(OSError):
        return marker.read_text() == f"{pid} {key}"
    return False


def _kill(marker: Path, pid: int, key: str) -> bool:
    """Kill the process, unless it came to another task meanwhile: it is halted while that is looked at."""
    try:
        os.kill(pid, signal.SIGSTOP)
        still = _performs(marker, pid, key)
        os.kill(pid, signal.SIGKILL if still else signal.SIGCONT)
    except ProcessLookupError:
        return False
    return still
