"""What Dagster's materializations say of the work that was done: their metadata outlives every process."""

import importlib.util
import logging
import threading
from collections.abc import Mapping
from pathlib import Path

from dagster import AssetKey, AssetMaterialization, DagsterInstance, JsonMetadataValue
from sqlalchemy.exc import SQLAlchemyError

from vis_assets.operations.naming_totals import NamingTotals
from vis_assets.operations.stage_durations import Histogram

_log = logging.getLogger(__name__)

STAGES = ("vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map")
PAGE = 500
LOOK_SECONDS = 15.0


class Materializations:
    """Reads new materializations now and then, until closed; failed attempts and launches from the UI count too."""

    def __init__(self, home: Path) -> None:
        """Read from the Dagster whose settings are in this folder."""
        self._home = home
        self._durations = {stage: Histogram() for stage in STAGES}
        self._naming = NamingTotals()
        self._cursors: dict[str, str | None] = dict.fromkeys(STAGES)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="materializations", daemon=True)

    @property
    def durations(self) -> Mapping[str, Histogram]:
        """Stage -> how long it took."""
        return self._durations

    @property
    def naming(self) -> NamingTotals:
        """Who named clusters, and what that took."""
        return self._naming

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
                    if record.asset_materialization is not None:
                        self._count(stage, record.asset_materialization)
                self._cursors[stage] = found.cursor
                more = found.has_more

    def _count(self, stage: str, made: AssetMaterialization) -> None:
        seconds = made.metadata.get("duration_seconds")
        if seconds is not None:
            self._durations[stage].add(float(str(seconds.value)))
        told = made.metadata.get("llm_usage")
        if isinstance(told, JsonMetadataValue) and isinstance(told.data, Mapping):
            self._naming = self._naming.plus(told.data)

    def _watch(self) -> None:
        unreachable = _unreachable()
        while not self._closed.is_set():
            try:
                with DagsterInstance.from_config(str(self._home)) as instance:
                    while not self._closed.wait(LOOK_SECONDS):
                        self.read(instance)
            except unreachable as error:
                _log.warning(
                    "Dagster's database does not answer (%s); metrics of stages and names lag behind",
                    type(error).__name__,
                )
                self._closed.wait(LOOK_SECONDS)


def _unreachable() -> tuple[type[Exception], ...]:
    """The errors by which Dagster's storage says that its database does not answer."""
    if importlib.util.find_spec("dagster_postgres") is None:
        return (SQLAlchemyError,)
    from dagster_postgres.utils import DagsterPostgresException

    return (SQLAlchemyError, DagsterPostgresException)
