"""Forgetting Dagster's records of runs that ended long ago.

Only runs of our own assets are looked at; Dagster may hold other people's. Of these, some stay whatever their age:

- runs of unfinished jobs;
- runs that made what an existing partition of an asset shows now: without them Dagster would call the map missing;
- runs of which a younger re-execution stays: Dagster shows both as a group, and fails where its first run is gone;
- the run that was made last and the one that changed last. SQLite hands out the numbers of removed events again, and
  Dagster's run-status sensors remember how far they have read by these numbers: they would miss what comes next.
"""

import logging
import re
import shutil
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dagster import AssetKey, AssetRecordsFilter, DagsterEventType, DagsterInstance, DagsterRun, RunsFilter
from dagster._core.storage.event_log import SqlEventLogStorage, SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

from vis_assets.assets.cluster_labels import cluster_labels
from vis_assets.assets.cluster_names import cluster_names
from vis_assets.assets.embedding_2d import embedding_2d
from vis_assets.assets.html_map import html_map
from vis_assets.assets.partitions import visualization_transforms
from vis_assets.assets.vectors import vectors
from vis_assets.assets.visualization_job import visualization_job
from vis_assets.delivery.run_tags import JOB_ID
from vis_assets.sensors.ended_runs import STATUS_OF
from vis_assets.sensors.map_job import visualization_map

_log = logging.getLogger(__name__)

RUNS_AT_ONCE = 100
"""Runs looked at in one pass: Dagster gives up on a sensor tick after 60 s, and SQLite takes up to 0.1 s for each."""
EVENTS_AT_ONCE = 500
OURS = frozenset(
    asset.key for asset in (visualization_job, vectors, embedding_2d, cluster_labels, cluster_names, html_map)
)
_RUN_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Pass:
    """One bounded look at things of a kind.

    Attributes:
        removed: how many are gone now.
        mark: where the next pass goes on; empty: at the beginning.
    """

    removed: int
    mark: str


def forget_runs(instance: DagsterInstance, unfinished: Callable[[], Collection[str]], before: float, mark: str) -> Pass:
    """Remove ended runs that nothing happened to since then, the oldest first, with their events and log files.

    Args:
        instance: Dagster.
        unfinished: tells the ids of unfinished jobs.
        before: seconds since 1970.
        mark: of the pass before.
    """
    ended = RunsFilter(statuses=list(STATUS_OF), updated_before=datetime.fromtimestamp(before, UTC))
    page = instance.get_runs(ended, limit=RUNS_AT_ONCE, cursor=mark or None, ascending=True)
    removed = _remove(instance, _useless(instance, [run for run in page if _is_ours(run)], unfinished()))
    left = [run.run_id for run in page if run.run_id not in removed]
    at_end = len(page) < RUNS_AT_ONCE
    return Pass(len(removed), "" if at_end else left[-1] if left else mark)


def forget_logs(instance: DagsterInstance, before: float, mark: str) -> Pass:
    """Remove old log folders of runs that Dagster does not know: they ran here while another worker's home led.

    Args:
        instance: Dagster.
        before: seconds since 1970.
        mark: of the pass before.
    """
    folders = {
        path.name: path for path in Path(instance.storage_directory()).glob("*-*") if _RUN_ID.fullmatch(path.name)
    }
    names = sorted(name for name, path in folders.items() if name > mark and path.stat().st_mtime < before)
    page = names[:RUNS_AT_ONCE]
    known = {run.run_id for run in instance.get_runs(RunsFilter(run_ids=page))} if page else set()
    unknown = [name for name in page if name not in known]
    for name in unknown:
        shutil.rmtree(folders[name], ignore_errors=True)
    return Pass(len(unknown), page[-1] if len(page) < len(names) else "")


def _is_ours(run: DagsterRun) -> bool:
    launched_by_hand = bool(run.asset_selection and run.asset_selection <= OURS)
    return JOB_ID in run.tags or run.job_name == visualization_map.name or launched_by_hand


def _useless(instance: DagsterInstance, runs: Sequence[DagsterRun], unfinished: Collection[str]) -> set[str]:
    """Ids of those of the runs that nobody needs any more, see above."""
    kept = {run.run_id for run in runs if run.tags.get(JOB_ID) in unfinished}
    kept |= {run.run_id for run in instance.get_runs(limit=1)}
    kept |= {record.dagster_run.run_id for record in instance.get_run_records(limit=1, order_by="update_timestamp")}
    kept |= _makers_of_what_is_shown(instance, runs)
    useless = {run.run_id for run in runs} - kept
    copies = instance.get_runs(RunsFilter(tags={ROOT_RUN_ID_TAG: sorted(useless)})) if useless else ()
    return useless - {str(copy.root_run_id) for copy in copies if copy.run_id not in useless}


def _makers_of_what_is_shown(instance: DagsterInstance, runs: Sequence[DagsterRun]) -> set[str]:
    existing = set(instance.get_dynamic_partitions(str(visualization_transforms.name)))
    made: dict[AssetKey, set[str]] = defaultdict(set)
    makers = set()
    for run in runs:
        try:
            for asset, partition in _made(instance, run.run_id):
                if partition in existing:
                    made[asset].add(str(partition))
        except Exception:  # noqa: BLE001 - logged; what such a run made is not known, so it stays
            _log.exception("events of run %s cannot be read; it stays", run.run_id)
            makers.add(run.run_id)
    for asset, partitions in made.items():
        latest = instance.get_latest_storage_id_by_partition(asset, DagsterEventType.ASSET_MATERIALIZATION, partitions)
        numbers = sorted(latest.values())
        for first in range(0, len(numbers), EVENTS_AT_ONCE):
            wanted = AssetRecordsFilter(asset, storage_ids=numbers[first : first + EVENTS_AT_ONCE])
            makers |= {
                record.run_id for record in instance.fetch_materializations(wanted, limit=EVENTS_AT_ONCE).records
            }
    return makers


def _made(instance: DagsterInstance, run_id: str) -> Iterator[tuple[AssetKey, str | None]]:
    for record in instance.get_records_for_run(run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION).records:
        materialization = record.event_log_entry.asset_materialization
        if materialization is not None:
            yield materialization.asset_key, materialization.partition


def _remove(instance: DagsterInstance, run_ids: Collection[str]) -> set[str]:
    """Remove what Dagster knows of these runs; return those that are gone."""
    storage = instance.event_log_storage
    if run_ids and isinstance(storage, SqlEventLogStorage):
        # Dagster's own removal of a run leaves what its asset checks found.
        checks = AssetCheckExecutionsTable.delete().where(AssetCheckExecutionsTable.c.run_id.in_(sorted(run_ids)))
        with storage.index_connection() as connection:
            connection.execute(checks)
    removed = set()
    for run_id in run_ids:
        try:
            _remove_run(instance, run_id)
        except Exception:  # noqa: BLE001 - logged; damaged records of one run must not keep those of all others
            _log.exception("run %s cannot be removed; the next pass tries again", run_id)
        else:
            removed.add(run_id)
    return removed


def _remove_run(instance: DagsterInstance, run_id: str) -> None:
    """Remove a run. Its record goes last, other than in `DagsterInstance.delete_run`: by that it is found again."""
    instance.compute_log_manager.delete_logs(prefix=[run_id])
    storage = instance.event_log_storage
    storage.delete_events(run_id)
    if isinstance(storage, SqliteEventLogStorage):
        # Dagster empties the file that a run's events have to themselves, and leaves it.
        for suffix in ("", "-wal", "-shm"):
            Path(f"{storage.path_for_shard(run_id)}{suffix}").unlink(missing_ok=True)
        storage._initialized_dbs.discard(run_id)
    instance.run_storage.delete_run(run_id)
