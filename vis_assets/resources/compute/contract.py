"""What assets see of compute, and its implementation in the run's own process."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

Value = TypeVar("Value")
OnProgress = Callable[[float, float], None]
"""Called with (units done, units in all)."""


class Compute(Protocol):
    """Runs functions that take long.

    A function must be importable by its name from `vis_assets`. Its arguments may be arrays, tuples of arrays, Arrow
    tables and columns, lists of texts, dataclasses that hold these, and small values. Arrays that it gets may be
    memory maps; what it writes to an array does not reach the caller's.
    """

    def run(
        self, function: Callable[..., Value], *args: Any, on_progress: OnProgress | None = None, **kwargs: Any
    ) -> Value:
        """Call the function and return what it returns.

        Args:
            function: what to call.
            args: its positional arguments.
            on_progress: given to the function as `on_progress` unless None; called in this thread, in order, maybe not
                for every step but always for the last one. What it raises ends the work and passes through.
            kwargs: its keyword arguments.

        Raises:
            ComputeFailed: the process that worked on it ended, the memory was too small, arguments besides arrays and
                texts were too large, or the function failed for a reason of no class of ours. Errors of
                `vis_assets.errors` pass through as they are.
        """

    def map(self, function: Callable[..., Value], calls: Iterable[Sequence[Any]]) -> list[Value]:
        """Call the function once for each sequence of positional arguments, on all workers that there are.

        Returns:
            The results in the order of the calls.

        Raises:
            ComputeFailed: as for `run`; where one call fails the others are ended.
        """

    @property
    def workers(self) -> int:
        """How many calls can be worked on at the same time."""

    @property
    def shares_cores(self) -> bool:
        """Whether all workers share the cores of one machine, which one of them alone can use."""

    @property
    def notes(self) -> Sequence[str]:
        """What a person should know about how this run was computed."""


class InProcess:
    """Calls functions here."""

    workers = 1
    shares_cores = True
    notes: Sequence[str] = ()

    def run(
        self, function: Callable[..., Value], *args: Any, on_progress: OnProgress | None = None, **kwargs: Any
    ) -> Value:
        """See Compute."""
        if on_progress is not None:
            kwargs["on_progress"] = on_progress
        return function(*args, **kwargs)

    def map(self, function: Callable[..., Value], calls: Iterable[Sequence[Any]]) -> list[Value]:
        """See Compute."""
        return [function(*call) for call in calls]
