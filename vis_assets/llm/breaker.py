"""Stops asking a model that fails again and again.

The pattern is Michael T. Nygard's ("Release It!"). pybreaker holds its lock for as long as the guarded call lasts, so
that concurrent questions would be asked one after the other; here the question whether to call and what came of it are
two steps, and the lock is held for neither call.
"""

import math
import threading
from collections.abc import Callable

POLL_SECONDS = 0.25
"""How soon to look again for what came of a trial."""


class Breaker:
    """Closed: every call is let through. Open, after failures in a row: none is. After a while: one, as a trial."""

    def __init__(self, failures: int, seconds: float, clock: Callable[[], float]) -> None:
        """Start closed.

        Args:
            failures: so many in a row open it.
            seconds: how long it stays open before a trial.
            clock: seconds that only grow.
        """
        self._most_failures = failures
        self._seconds = seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._opened_at: float | None = None
        self._is_brief = False
        self._trial_runs = False

    @property
    def is_open(self) -> bool:
        """Whether a call would be stopped now."""
        with self._lock:
            return self._stops()

    @property
    def trial_at(self) -> float:
        """When a call may be let through, in the clock's seconds; while a trial runs, when to look again."""
        with self._lock:
            if self._opened_at is None:
                return -math.inf
            return self._clock() + POLL_SECONDS if self._trial_runs else self._opened_at + self._seconds

    @property
    def is_worth_waiting_for(self) -> bool:
        """Whether the last failure was a brief one."""
        with self._lock:
            return self._is_brief

    def admit(self) -> bool:
        """Say whether the caller may call; who was let through reports `succeeded`, `failed` or `withdrawn`."""
        with self._lock:
            if self._stops():
                return False
            self._trial_runs = self._opened_at is not None
            return True

    def succeeded(self) -> None:
        """Close it, also where the answer belongs to a call that began before it opened: the server is there."""
        with self._lock:
            self._failures = 0
            self._opened_at = None
            self._trial_runs = False

    def failed(self, *, is_brief: bool) -> None:
        """Count a failure.

        Args:
            is_brief: whether it cost little time and may pass soon.
        """
        with self._lock:
            self._failures += 1
            self._is_brief = is_brief
            if self._failures >= self._most_failures:
                self._opened_at = self._clock()
                self._trial_runs = False

    def withdrawn(self) -> None:
        """Take a call back that was let through and says nothing about the server; the next may be the trial."""
        with self._lock:
            self._trial_runs = False

    def _stops(self) -> bool:
        if self._opened_at is None:
            return False
        return self._trial_runs or self._clock() < self._opened_at + self._seconds
