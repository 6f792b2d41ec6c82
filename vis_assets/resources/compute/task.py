"""The worker's side: performs one call for a run.

Before its work begins, a task leaves its key in a file beside the worker; the nanny reads it there, because the worker
itself cannot be asked while a native kernel holds Python's lock. A worker of several threads does one task at a time
all the same: what is killed for one of them must not take others with it.
"""

import contextlib
import importlib
import logging
import os
import pickle
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.errors import ComputeFailed, VisAssetsError
from vis_assets.resources.compute.filing import unfile
from vis_assets.resources.compute.shelves import Reader

if TYPE_CHECKING:
    from distributed import Worker

_log = logging.getLogger(__name__)

KEY_PREFIX = "vis-assets-"
"""Start of the keys of our tasks."""
RUNNING_FILE = "vis_assets_task"
"""File in the worker's folder that holds the key of the task which it performs."""
DOWNLOADS = "vis_assets_inputs"
NEWS_SECONDS = 0.2
"""Time in which the scheduler's news reach a worker."""
REPORT_SECONDS = 0.1
"""Least time between two reports of progress."""
_ERROR_CHARACTERS = 500
_one_at_a_time = threading.Lock()


@dataclass(frozen=True)
class Order:
    """What to do; it travels as bytes.

    Attributes:
        key: of the task.
        function: `module:name`.
        args: positional arguments, references among them.
        kwargs: keyword arguments.
        reports: the function takes `on_progress`.
        topic: where the run listens.
        mark: a file that this worker sees if the run's files are within its reach; None where they are in the store.
    """

    key: str
    function: str
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    reports: bool
    topic: str
    mark: str | None


@dataclass(frozen=True)
class Outcome:
    """How it went.

    Attributes:
        value: what the function returned.
        error: class and text of the error that it raised.
        last_report: (done, total) of its last report of progress.
        out_of_reach: the worker does not see the run's files, and did nothing.
    """

    value: Any = None
    error: tuple[type[VisAssetsError], str] | None = None
    last_report: tuple[float, float] | None = None
    out_of_reach: bool = False


def perform(packed: bytes) -> Outcome:
    """Perform a packed `Order` on the worker that this task runs on."""
    from distributed import get_worker

    worker = get_worker()
    order: Order = pickle.loads(packed)  # noqa: S301 - from our own run; whoever reaches the scheduler runs code anyway
    with _turn(), contextlib.ExitStack() as running:
        if not _is_wanted(order.key, worker):
            return Outcome()  # and leaves no key, for which the nanny would end this process
        running.enter_context(_running(Path(worker.local_directory), order.key))
        if not _is_wanted(order.key, worker):
            return Outcome()
        worker.log_event(order.topic, {"key": order.key, "began": True})
        if order.mark is not None and not Path(order.mark).exists():
            return Outcome(out_of_reach=True)
        return _call(order, worker)


@contextlib.contextmanager
def _turn() -> Iterator[None]:
    """Wait until no other task works; after that, for the news that this one was given up meanwhile."""
    if not _one_at_a_time.acquire(blocking=False):
        _one_at_a_time.acquire()
        time.sleep(NEWS_SECONDS)
    try:
        yield
    finally:
        _one_at_a_time.release()


def name_of(function: Callable[..., Any]) -> str:
    """Return `module:name`, by which a worker finds the function.

    Raises:
        TypeError: a worker would not find it.
    """
    name = f"{function.__module__}:{function.__qualname__}"
    if not name.startswith("vis_assets") or "<" in name:
        raise TypeError(f"{name} is no function that vis_assets can import")
    return name


def _is_wanted(key: str, worker: "Worker") -> bool:
    """Whether somebody still waits for a task, which may have been given up while it waited for another to end."""
    known = worker.state.tasks.get(key)
    return known is not None and known.state != "cancelled"


def _call(order: Order, worker: "Worker") -> Outcome:
    reports = _Reports(order, worker)
    try:
        reader = Reader(Path(worker.local_directory) / DOWNLOADS)
        args = [unfile(value, reader) for value in order.args]
        kwargs = {name: unfile(value, reader) for name, value in order.kwargs.items()}
        if order.reports:
            kwargs["on_progress"] = reports
        value = _function(order.function)(*args, **kwargs)
    except VisAssetsError as error:
        return Outcome(error=(type(error), str(error)), last_report=reports.last)
    except MemoryError:
        return Outcome(error=(ComputeFailed, f"{order.function} ran out of memory; see VIS_ASSETS_DASK_MEMORY"))
    except Exception as error:  # noqa: BLE001 - whatever it is, it must reach the run as an error of ours
        place = traceback.extract_tb(error.__traceback__)[-1]
        what = f"{type(error).__name__}: {error}"[:_ERROR_CHARACTERS]
        _log.error("%s failed in %s, line %s: %s", order.function, place.filename, place.lineno, what)
        return Outcome(error=(ComputeFailed, f"{order.function} failed: {what}"), last_report=reports.last)
    return Outcome(value, last_report=reports.last)


def _function(name: str) -> Callable[..., Any]:
    module, _, path = name.partition(":")
    function: Any = importlib.import_module(module)
    for part in path.split("."):
        function = getattr(function, part)
    found: Callable[..., Any] = function
    return found


@contextlib.contextmanager
def _running(folder: Path, key: str) -> Iterator[None]:
    file = folder / RUNNING_FILE
    partial = file.with_suffix(".new")
    partial.write_text(f"{os.getpid()} {key}")
    partial.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


class _Reports:
    """Passes progress on: the first report, then at most ten a second. The run has the last one from the outcome."""

    def __init__(self, order: Order, worker: "Worker") -> None:
        self._order = order
        self._worker = worker
        self._not_before = 0.0
        self.last: tuple[float, float] | None = None

    def __call__(self, done: float, total: float) -> None:
        self.last = (float(done), float(total))
        now = time.monotonic()
        if now < self._not_before:
            return
        self._not_before = now + REPORT_SECONDS
        self._worker.log_event(self._order.topic, {"key": self._order.key, "progress": self.last})
