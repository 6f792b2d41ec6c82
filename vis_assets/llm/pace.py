"""How often one model may be asked."""

import threading
from collections.abc import Callable


class Pace:
    """Spaces the calls of several threads evenly, so that no minute holds more of them than allowed.

    Evenly, and not all of a minute's calls at its start: servers count in windows of their own, shorter ones too.
    """

    def __init__(
        self, requests_per_minute: float | None, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        """Prepare; the first call may begin at once.

        Args:
            requests_per_minute: more than 0; None for any number.
            clock: seconds that only grow.
            sleep: waits so many seconds.
        """
        self._spacing_seconds = 60.0 / requests_per_minute if requests_per_minute else 0.0
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next_free = clock()

    def wait(self, deadline: float) -> bool:
        """Wait for this call's turn.

        Args:
            deadline: in the clock's seconds.

        Returns:
            Whether its turn has come; False, without waiting or taking a turn, where it would come after the deadline.
        """
        with self._lock:
            now = self._clock()
            turn = max(now, self._next_free)
            if turn > deadline:
                return False
            self._next_free = turn + self._spacing_seconds
        if turn > now:
            self._sleep(turn - now)
        return True

    def skip(self, turns: int) -> None:
        """Leave out turns for calls that were made without waiting, so that later ones make up for them."""
        with self._lock:
            self._next_free += turns * self._spacing_seconds
