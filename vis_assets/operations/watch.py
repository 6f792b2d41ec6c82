"""What the worker knows of the world: looked at by threads of its own, so that no probe ever waits for a server."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from vis_assets.delivery import observation
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.observation import Queue, Settled
from vis_assets.errors import VisAssetsError
from vis_assets.resources.object_store import ObjectStore
from vis_assets.settings import Settings

_log = logging.getLogger(__name__)

QUEUE_SECONDS = 2.0
"""How often JetStream is looked at."""
STORE_SECONDS = 5.0
"""How often the store is looked at."""
OVERDUE_SECONDS = 15.0
"""A look that takes longer than this has failed, whether it returns or not."""
REMEMBERED = 10_000
"""How many of the latest results are remembered one by one."""


@dataclass(frozen=True)
class Totals:
    """Sums over all terminal results that their stream holds.

    Attributes:
        outcomes: completed, failed and canceled -> how many.
        retries: attempts after the first.
        lost: attempts whose process vanished.
        recent: the latest results, oldest first.
    """

    outcomes: Mapping[str, int] = field(default_factory=lambda: {"completed": 0, "failed": 0, "canceled": 0})
    retries: int = 0
    lost: int = 0
    recent: tuple[Settled, ...] = ()

    def plus(self, settled: list[Settled]) -> "Totals":
        """Return the sums with more results."""
        if not settled:
            return self
        outcomes = dict(self.outcomes)
        for job in settled:
            outcomes[job.outcome] = outcomes.get(job.outcome, 0) + 1
        return Totals(
            outcomes,
            self.retries + sum(job.retries for job in settled),
            self.lost + sum(job.lost for job in settled),
            tuple(deque([*self.recent, *settled], maxlen=REMEMBERED)),
        )


@dataclass(frozen=True)
class Sight:
    """What was seen last.

    Attributes:
        queue: delivery; None until it was seen.
        queue_at: monotonic time of that look.
        totals: sums over all results.
        nats_error: why NATS cannot be used; None where it can.
        store_error: why the store cannot be used; None where it can.
        store_asked: monotonic time at which the store was asked and has not answered yet; None where it has.
        store_seen: the store answered at least once.
    """

    queue: Queue | None = None
    queue_at: float = 0.0
    totals: Totals = field(default_factory=Totals)
    nats_error: str | None = None
    store_error: str | None = None
    store_asked: float | None = None
    store_seen: bool = False


class Watch:
    """Looks at NATS and at the store until closed; `sight` is always at hand."""

    def __init__(self, settings: Settings, store: ObjectStore) -> None:
        """See nothing yet."""
        self._access = NatsAccess.of(settings)
        self._store = store
        self._sight = Sight()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._read_up_to = 0
        self._threads = [
            threading.Thread(target=look, name=name, daemon=True)
            for name, look in (("watch nats", self._watch_nats), ("watch store", self._watch_store))
        ]

    @property
    def sight(self) -> Sight:
        """What was seen last."""
        return self._sight

    def open(self) -> None:
        """Begin to look."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        for thread in self._threads:
            thread.join(2)

    def _note(self, **changes: object) -> None:
        with self._lock:
            self._sight = replace(self._sight, **changes)  # type: ignore[arg-type]

    def _watch_nats(self) -> None:
        while not self._closed.is_set():
            try:
                with NatsConnection(self._access, "vis_assets watch of worker") as connection:
                    while not self._closed.wait(self._look(connection)):
                        pass
            except Exception as error:  # noqa: BLE001 - who watches must not die of what is seen
                self._note(nats_error=_told(error, is_new=self._sight.nats_error is None))
                self._closed.wait(1)

    def _look(self, connection: NatsConnection) -> float:
        """Look once; return how long to wait before the next look, seconds."""
        settled, self._read_up_to, start = self._read_settled(connection)
        queue = connection.run(observation.read_queue, OVERDUE_SECONDS)
        now = time.monotonic()
        totals = (Totals() if start else self._sight.totals).plus(settled)
        self._note(queue=queue, queue_at=now, totals=totals, nats_error=None)
        return 0.0 if len(settled) >= observation.BATCH else QUEUE_SECONDS

    def _read_settled(self, connection: NatsConnection) -> tuple[list[Settled], int, bool]:
        """Read the next results; the last value says whether the stream was made anew, and counting starts again."""
        after = self._read_up_to
        settled, read = connection.run(lambda c: observation.read_settled(c, after), OVERDUE_SECONDS)
        return settled, read, read < after

    def _watch_store(self) -> None:
        wait = 0.0
        while not self._closed.wait(wait):
            wait = STORE_SECONDS
            self._note(store_asked=time.monotonic())
            try:
                self._store.exists("specs/0/latest.json")
            except Exception as error:  # noqa: BLE001 - see above
                self._note(store_asked=None, store_error=_told(error, is_new=self._sight.store_error is None))
            else:
                self._note(store_asked=None, store_error=None, store_seen=True)


def _told(error: Exception, *, is_new: bool) -> str:
    """Say what went wrong, and log it where it is new; of an error that is not ours, the trace too."""
    is_ours = isinstance(error, VisAssetsError)
    said = str(error) if is_ours else f"{type(error).__name__}: {error}"
    if is_new:
        _log.warning("%s", said, exc_info=not is_ours)
    return said
