"""What the tests let workers do. A module of its own: workers import functions by name."""

import ctypes
import os
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vis_assets.errors import NoPoints


@dataclass(frozen=True)
class Bundle:
    """Arrays and texts together, as a map's content."""

    numbers: npt.NDArray[np.float32]
    texts: Sequence[str]
    name: str


def total(numbers: npt.NDArray[Any]) -> tuple[float, int, str]:
    """Return sum, pid of the worker, and the file that the array maps."""
    return float(numbers.sum()), os.getpid(), str(getattr(numbers, "filename", ""))


def kind_of(numbers: npt.NDArray[Any]) -> str:
    """Return how numba calls the type of the array, after writing to it where that is allowed."""
    import numba

    if numbers.flags.writeable:
        numbers[:] = 1
    return str(numba.typeof(numbers))


def look_at(bundle: Bundle, table: pa.Table, column: pa.ChunkedArray, texts: Sequence[str]) -> Bundle:
    """Return a bundle made of everything that was given."""
    joined = [*bundle.texts[-2:], *table["a"].to_pylist(), *column.to_pylist(), *texts[:1]]
    return Bundle(bundle.numbers * 2, [str(part) for part in joined], bundle.name)


def total_of_all(arrays: tuple[npt.NDArray[Any], ...]) -> tuple[float, list[str]]:
    """Return the sum over all arrays, and the files that they map."""
    return sum(float(array.sum()) for array in arrays), [str(getattr(array, "filename", "")) for array in arrays]


def count_to(most: int, on_progress: Callable[[float, float], None]) -> int:
    """Report every number."""
    for done in range(1, most + 1):
        on_progress(done, most)
    return os.getpid()


def report_then_hold(mark: Path, on_progress: Callable[[float, float], None]) -> None:
    """Report once, then hold Python's global lock as a native kernel does."""
    on_progress(1, 2)
    time.sleep(0.3)  # the report leaves
    hold_lock(mark)


def hold_lock(mark: Path, seconds: int = 120) -> None:
    """Write our pid, then hold Python's global lock as a native kernel does; write `ended` if ever that ends."""
    mark.write_text(str(os.getpid()))
    ctypes.PyDLL(None).sleep(seconds)
    mark.write_text("ended")


def nap(mark: Path, seconds: float) -> int:
    """Write our pid, then sleep; the lock is free."""
    mark.write_text(str(os.getpid()))
    time.sleep(seconds)
    return os.getpid()


def wait_for(mark: Path) -> int:
    """Return our pid as soon as there is a file."""
    while not mark.exists():
        time.sleep(0.05)
    return os.getpid()


def span(seconds: float) -> tuple[float, float]:
    """Sleep, and return when that began and ended."""
    begun = time.monotonic()
    time.sleep(seconds)
    return begun, time.monotonic()


def nap_or_stop(mark: Path, pid: int) -> None:
    """Write our pid; then stop a process, if one is named, and wait for what follows."""
    mark.write_text(str(os.getpid()))
    if pid:
        time.sleep(0.5)  # the result of the call before leaves
        os.kill(pid, signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)


def fill_memory(mebibytes: int) -> None:
    """Hold so much memory, growing slowly enough to be seen."""
    held = []
    for _ in range(mebibytes // 32):
        held.append(np.ones(4 * 2**20))
        time.sleep(0.05)


def end_process() -> None:
    """Be killed, as by the kernel that ran out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(secret: str) -> None:
    """Raise an error of ours that hangs on another with a secret."""
    try:
        raise ValueError(secret)
    except ValueError as error:
        raise NoPoints("there is nothing to do") from error


def break_down(numbers: npt.NDArray[Any]) -> float:
    """Raise what is no error of ours."""
    return float(numbers["nothing"])
