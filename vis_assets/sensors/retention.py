"""Forgetting what is older than the settings say: runs, their logs, specs of finished jobs, attempts left behind.

What JetStream holds goes by itself (`delivery.ledger.ensure`), and so do Dagster's ticks (`retention` in dagster.yaml).
Each pass is bounded and may be repeated; where it ended is in the sensor's cursor.
"""

import contextlib
import json
import logging
import re
import shutil
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from dagster import (
    DagsterInstance,
    DefaultSensorStatus,
    ResourceParam,
    RunsFilter,
    SensorEvaluationContext,
    SkipReason,
    sensor,
)

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import DAY_SECONDS
from vis_assets.delivery.run_tags import JOB_ID, SPEC
from vis_assets.errors import ObjectMissing
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.resources.object_store import ObjectStore, open_store
from vis_assets.resources.pages import ATTEMPTS
from vis_assets.resources.run_scope import scratch_folders
from vis_assets.resources.specs import LATEST, SPECS
from vis_assets.sensors.old_runs import Pass, forget_logs, forget_runs
from vis_assets.sensors.reconciliation import reconciler
from vis_assets.sensors.standing import standing
from vis_assets.settings import Settings

_log = logging.getLogger(__name__)

INTERVAL_SECONDS = 300
ATTEMPT_DAYS = 1.0
"""Age at which a page that an attempt left behind goes; a process that was given up may write one for a while."""
LISTED_AT_ONCE = 2000
DELETED_AT_ONCE = 100
"""Objects of a kind that are listed and deleted in one pass: Dagster gives up on a tick after 60 s."""
_SPEC = re.compile(rf"{SPECS}/[0-9]+/([A-Za-z0-9_-]+)\.json")
_ATTEMPT = re.compile(rf"{ATTEMPTS}/([A-Za-z0-9_-]+)/.+")


@dataclass(frozen=True)
class Pruned:
    """What one pass did.

    Attributes:
        removed: what -> how many; a kind at which something failed is missing.
        marks: what -> where the next pass goes on.
    """

    removed: Mapping[str, int]
    marks: Mapping[str, str] = field(default_factory=dict)


@sensor(
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=DefaultSensorStatus.RUNNING,
    description="Removes old runs, specs of finished jobs and attempts left behind (VIS_ASSETS_RUN_DAYS, …_SPEC_DAYS).",
)
def retention(
    context: SensorEvaluationContext, settings: ResourceParam[Settings], jobs: ResourceParam[DeliveredJobs]
) -> SkipReason:
    """Remove some of what is too old, where this installation reconciles."""
    with reconciler(context.instance, settings, jobs, "retention") as (_, connection):
        place = standing(connection, settings)
        if not place.leads:
            return SkipReason(f"standby: {place.holder} prunes")
        marks = json.loads(context.cursor or "{}")
        pruned = prune(context.instance, connection, open_store(settings), settings, time.time(), marks)
    context.update_cursor(json.dumps(dict(pruned.marks)))
    return SkipReason(_summary(pruned))


def prune(
    instance: DagsterInstance,
    connection: NatsConnection,
    store: ObjectStore,
    settings: Settings,
    now: float,
    marks: Mapping[str, str] | None = None,
) -> Pruned:
    """Remove some of what is too old.

    Args:
        instance: Dagster.
        connection: to NATS, with all buckets made.
        store: objects.
        settings: how old is too old.
        now: seconds since 1970.
        marks: of the pass before; None begins at the beginning.

    Returns:
        What was done. A kind at which something fails is logged, keeps its mark, and does not keep the others.
    """

    def unfinished() -> Collection[str]:
        return {held.record.job_id for held in connection.run(ledger.read_records)}

    def before(days: float) -> float:
        return max(0.0, now - days * DAY_SECONDS)

    def specs(mark: str) -> Pass:
        old, resume = _old_objects(store, f"{SPECS}/", _SPEC, before(settings.spec_days), mark)
        return _delete(store, _needed_by_no_run(instance, store, old), unfinished(), resume)

    def attempts(mark: str) -> Pass:
        old, resume = _old_objects(store, f"{ATTEMPTS}/", _ATTEMPT, before(ATTEMPT_DAYS), mark)
        return _delete(store, old, unfinished(), resume)

    kinds: dict[str, Callable[[str], Pass]] = {
        "runs": lambda mark: forget_runs(instance, unfinished, before(settings.run_days), mark),
        "log folders": lambda mark: forget_logs(instance, before(settings.run_days), mark),
        "specs": specs,
        "attempts": attempts,
        "run folders": lambda _: _forget_scratch(instance),
    }
    passes = {what: _attempted(what, kind, (marks or {}).get(what, "")) for what, kind in kinds.items()}
    return Pruned(
        {what: done.removed for what, done in passes.items() if done is not None},
        {what: done.mark if done is not None else (marks or {}).get(what, "") for what, done in passes.items()},
    )


def _forget_scratch(instance: DagsterInstance) -> Pass:
    """Remove the folders of runs that were killed; of a run that this Dagster does not know, only one of yesterday."""
    removed, before = 0, time.time() - DAY_SECONDS
    for folder, run_id in scratch_folders():
        run = instance.get_run_by_id(run_id)
        with contextlib.suppress(FileNotFoundError):
            if run.is_finished if run is not None else folder.stat().st_mtime < before:
                shutil.rmtree(folder, ignore_errors=True)
                removed += 1
    return Pass(removed, "")


def _summary(pruned: Pruned) -> str:
    removed = ", ".join(f"{count} {what}" for what, count in pruned.removed.items() if count)
    failed = ", ".join(what for what in pruned.marks if what not in pruned.removed)
    trouble = f"; could not look after {failed}, see the log" if failed else ""
    return (f"removed {removed}" if removed else "nothing was removed") + trouble


def _attempted(what: str, kind: Callable[[str], Pass], mark: str) -> Pass | None:
    try:
        return kind(mark)
    except Exception:  # noqa: BLE001 - logged; one kind must not keep the others
        _log.exception("old %s cannot be removed; the next pass tries again", what)
        return None


def _old_objects(
    store: ObjectStore, prefix: str, named: re.Pattern[str], before: float, mark: str
) -> tuple[dict[str, str], str]:
    """Find objects of jobs that were not written since then.

    Args:
        store: where.
        prefix: of their keys.
        named: matches their keys; its group is the job's id.
        before: seconds since 1970.
        mark: of the pass before.

    Returns:
        Their keys with the ids of the jobs, and the mark of this pass.
    """
    old: dict[str, str] = {}
    for examined, found in enumerate(store.listing(prefix, mark), start=1):
        match = named.fullmatch(found.key)
        if match and match[1] != LATEST and found.modified < before:
            old[found.key] = match[1]
        if examined == LISTED_AT_ONCE or len(old) == DELETED_AT_ONCE:
            return old, found.key
    return old, ""


def _needed_by_no_run(instance: DagsterInstance, store: ObjectStore, specs: Mapping[str, str]) -> dict[str, str]:
    """Those of the specs that no run in Dagster worked on, and that a run launched today would not work on either."""
    job_ids = sorted(set(specs.values()))
    used = set()
    for tag in (JOB_ID, SPEC):
        used |= {run.tags[tag] for run in instance.get_runs(RunsFilter(tags={tag: job_ids}))} if job_ids else set()
    unused = {key: job_id for key, job_id in specs.items() if job_id not in used}
    latest = {folder: _latest(store, folder) for folder in {_folder(key) for key in unused}}
    return {key: job_id for key, job_id in unused.items() if job_id != latest[_folder(key)]}


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _latest(store: ObjectStore, folder: str) -> str | None:
    """Id of the latest job of a transform; None where there is none."""
    try:
        job_id: str = json.loads(store.read(f"{folder}/{LATEST}.json"))["job"]["job_id"]
    except (ObjectMissing, ValueError, KeyError, TypeError):
        return None
    return job_id


def _delete(store: ObjectStore, objects: Mapping[str, str], unfinished: Collection[str], mark: str) -> Pass:
    """Delete objects, by key with their job's id, except those of unfinished jobs."""
    doomed = [key for key, job_id in objects.items() if job_id not in unfinished]
    for key in doomed:
        store.delete(key)
    return Pass(len(doomed), mark)
