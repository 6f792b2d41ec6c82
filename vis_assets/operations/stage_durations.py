"""How long stages take, from the metadata of Dagster's materializations: they outlive every process."""

import bisect
import importlib.util
import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dagster import AssetKey, DagsterInstance
from sqlalchemy.exc import SQLAlchemyError

_log = logging.getLogger(__name__)

STAGES = ("vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map")
BOUNDS_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
PAGE = 500
LOOK_SECONDS = 15.0


@dataclass
class Histogram:
    """Durations, counted by bound.

    Attributes:
        counts: how many were at most each bound of `BOUNDS_SECONDS` and above the one before; the last: above all.
        seconds: their sum.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many up to it), as Prometheus wants them."""
        pairs, total = [], 0.0
        for bound, count in zip([*map(str, BOUNDS_SECONDS), "+Inf"], self.counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs


class StageDurations:
    """Reads new materializations now and then, until closed."""

    def __init__(self, home: Path) -> None:
        """Read from the Dagster whose settings are in this folder."""
        self._home = home
        self._histograms = {stage: Histogram() for stage in STAGES}
        self._cursors: dict[str, str | None] = dict.fromkeys(STAGES)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stage durations", daemon=True)

    @property
    def histograms(self) -> Mapping[str, Histogram]:
        """Stage -> its durations, failed attempts and launches from the UI included."""
        return self._histograms

    def open(self) -> None:
        """Begin to read."""
        self._thread.start()

    def close(self) -> None:
        """Read no more."""
        self._closed.set()
        self._thread.join(2)

    def read(self, instance: DagsterInstance) -> None:
        """Read what is new."""
        for stage in STAGES:
            more = True
            while more and not self._closed.is_set():
                found = instance.fetch_materializations(
                    AssetKey(stage), limit=PAGE, cursor=self._cursors[stage], ascending=True
                )
                for record in found.records:
                    made = record.asset_materialization
                    seconds = made.metadata.get("duration_seconds") if made is not None else None
                    if seconds is not None:
                        self._histograms[stage].add(float(str(seconds.value)))
                self._cursors[stage] = found.cursor
                more = found.has_more

    def _watch(self) -> None:
        unreachable = _unreachable()
        while not self._closed.is_set():
            try:
                with DagsterInstance.from_config(str(self._home)) as instance:
                    while not self._closed.wait(LOOK_SECONDS):
                        self.read(instance)
            except unreachable as error:
                _log.warning(
                    "Dagster's database does not answer (%s); stage durations lag behind", type(error).__name__
                )
                self._closed.wait(LOOK_SECONDS)


def _unreachable() -> tuple[type[Exception], ...]:
    """The errors by which Dagster's storage says that its database does not answer."""
    if importlib.util.find_spec("dagster_postgres") is None:
        return (SQLAlchemyError,)
    from dagster_postgres.utils import DagsterPostgresException

    return (SQLAlchemyError, DagsterPostgresException)
