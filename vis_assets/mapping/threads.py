"""How the mathematics uses the cores: threads of ours, each with a BLAS of one.

Compiled loops work outside Python's lock on a range of rows each. A thread that waits sleeps: where other processes
want the cores too, threads that spin at the end of every parallel loop, as OpenMP's do, lose most of their time.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

Item = TypeVar("Item")
Answer = TypeVar("Answer")
Loop = Callable[..., Any]

_FEWEST_ROWS = 512
_RANGES_PER_THREAD = 2


def thread_count() -> int:
    """Threads that a computation may use: NUMBA_NUM_THREADS, else the cores."""
    import numba

    return int(numba.get_num_threads())


@contextlib.contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Give BLAS one thread: its own and ours would wait for each other, and sums would depend on their number."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield


def in_threads(function: Callable[[Item], Answer], items: Iterable[Item]) -> Iterator[Answer]:
    """Call a function that works outside Python's lock for each item; answers come in the order of the items."""
    with single_threaded_blas(), ThreadPoolExecutor(thread_count()) as pool:
        yield from pool.map(function, items)


class Rows:
    """Runs compiled loops over ranges of rows, in threads that stay until the end of the block."""

    def __enter__(self) -> "Rows":
        """Start the threads."""
        self._threads = thread_count()
        self._pool = ThreadPoolExecutor(self._threads)
        return self

    def __exit__(self, *_raised: object) -> None:
        """End them."""
        self._pool.shutdown()

    def run(self, loop: Loop, first: int, last: int, *arguments: Any) -> None:
        """Call `loop(first, last, *arguments)` for ranges that together are the rows from `first` to `last`."""
        count = min(self._threads * _RANGES_PER_THREAD, (last - first) // _FEWEST_ROWS)
        if self._threads == 1 or count <= 1:
            loop(first, last, *arguments)
            return
        edges = [first + (last - first) * part // count for part in range(count + 1)]
        waiting = [self._pool.submit(loop, *edge, *arguments) for edge in pairwise(edges)]
        for one in waiting:
            one.result()


def over_rows(loop: Loop, count: int, *arguments: Any) -> None:
    """Call `loop(first, last, *arguments)` for ranges that together are `count` rows."""
    with Rows() as rows:
        rows.run(loop, 0, count, *arguments)
