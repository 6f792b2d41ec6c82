"""Lets the questions of a chain wait while no model can be asked, e.g. while a server starts again."""

import logging
import threading
from collections.abc import Callable, Sequence

from vis_assets.llm.breaker import POLL_SECONDS

_log = logging.getLogger(__name__)


class Rest:
    """The time that a chain's questions may wait, one for all of them: it runs from the first wait to the next answer.

    They wait in short steps, since a model may answer somebody else, or the chain be closed, at any time.
    """

    def __init__(self, longest_seconds: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        """Prepare.

        Args:
            longest_seconds: that questions wait, together; 0 for not at all.
            clock: seconds that only grow.
            sleep: waits so many seconds.
        """
        self._longest_seconds = longest_seconds
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._began_at: float | None = None
        self._answers = 0
        self._is_closed = False

    @property
    def answers(self) -> int:
        """How many answers there were."""
        with self._lock:
            return self._answers

    @property
    def is_closed(self) -> bool:
        """Whether nobody may wait any more."""
        with self._lock:
            return self._is_closed

    def answered(self) -> None:
        """Note an answer: who waits goes on, and the next wait has all the time again."""
        with self._lock:
            self._answers += 1
            self._began_at = None

    def close(self) -> None:
        """Let nobody wait any more."""
        with self._lock:
            self._is_closed = True

    def wait(self, trials: Sequence[Callable[[], float]], answers: int, deadline: float) -> bool:
        """Wait until a model may be asked again.

        Args:
            trials: when each model may be asked, in the clock's seconds; what they say may change.
            answers: how many there were when the caller began to ask: another one says that a model is back.
            deadline: in the clock's seconds.

        Returns:
            Whether to ask again. False, without a wait in vain, where no model may be asked in time.
        """
        while not self.is_closed:
            if self.answers != answers:
                return True
            now, ends_at = self._clock(), min(self._ends_at(), deadline)
            trial_at = min(trial() for trial in trials)
            if now >= ends_at or trial_at > ends_at:
                return False
            if trial_at <= now:
                return True
            self._sleep(min(POLL_SECONDS, trial_at - now))
        return False

    def _ends_at(self) -> float:
        with self._lock:
            if self._began_at is None:
                self._began_at = self._clock()
                _log.info("no language model answers; questions wait up to %g s for one", self._longest_seconds)
            return self._began_at + self._longest_seconds
