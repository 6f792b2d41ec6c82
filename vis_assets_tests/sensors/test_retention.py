"""What is forgotten with time, and what never is: a real Dagster on SQLite, a real NATS server, a real store."""

import json
import os
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import (
    AssetKey,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    SkipReason,
    asset,
    build_sensor_context,
    materialize,
)
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._core.storage.tags import ROOT_RUN_ID_TAG

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.definitions import defs
from vis_assets.delivery import leadership
from vis_assets.delivery.run_tags import SPEC
from vis_assets.errors import NoPoints
from vis_assets.operations.embedded_servers import EmbeddedNats, EmbeddedS3, start_s3
from vis_assets.resources.object_store import FolderStore, ObjectStore, open_store
from vis_assets.resources.run_scope import scratch_folder
from vis_assets.sensors import old_runs
from vis_assets.sensors import retention as module
from vis_assets.sensors.ended_runs import STATUS_OF
from vis_assets.sensors.retention import Pruned, prune, retention
from vis_assets.sensors.standing import HOLDER
from vis_assets.settings import Settings
from vis_assets_tests.protocol.messages import worker_job
from vis_assets_tests.sensors.door import CODE, ORIGIN, QUIET, Door, failing
from vis_assets_tests.servers.postgres import postgres

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
DAY = 86_400.0
TYPE = "application/json"


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of runs are looked for here, and not where real runs work on this machine."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


@pytest.fixture
def door(queued_door: Door) -> Door:
    """An installation with Dagster's records on disk."""
    queued_door.settle()
    return queued_door


def away(*_anything: object) -> None:
    """What a call does whose disk is gone."""
    raise OSError("away")


def store_of(door: Door) -> ObjectStore:
    return open_store(door.settings)


def pruned(door: Door, days: float = 31, marks: Any = None) -> Pruned:
    """What one pass does so many days from now."""
    now = time.time() + days * DAY
    return prune(door.instance, door.connection, store_of(door), door.settings, now, marks)


def gone(door: Door, days: float = 31) -> dict[str, int]:
    """What one pass removes, without what it does not."""
    return {what: count for what, count in pruned(door, days).removed.items() if count}


def made(door: Door, job_id: str, transform: int = 123, error: Exception | None = None) -> DagsterRun:
    """Let a job be done from message to result, or fail for good."""
    door.send(worker_job(job_id=job_id, visualization_transform_id=transform))
    (request,) = door.ask()
    run = door.perform(request, failing(error)) if error else door.perform(request)
    door.settle()
    assert door.records() == []
    return run


def known(door: Door, *runs: DagsterRun) -> list[bool]:
    """Which of the runs Dagster knows."""
    return [door.instance.get_run_by_id(run.run_id) is not None for run in runs]


def traces(door: Door, run: DagsterRun) -> list[Path]:
    """Files and folders named after a run below the home of Dagster."""
    return sorted((door.folder / "dagster").rglob(f"{run.run_id}*"))


def age(door: Door, key: str, days: float) -> None:
    """Let time pass for one object."""
    when = time.time() - days * DAY
    os.utime(Path(door.settings.store_folder, key), (when, when))


def shown(door: Door, transform: int) -> str | None:
    """The run that made what the map shows."""
    event = door.instance.get_latest_materialization_event(AssetKey("html_map"))
    found = door.instance.get_latest_data_version_record(AssetKey("html_map"), partition_key=str(transform))
    assert event is not None
    return found.run_id if found is not None else None


def test_an_old_run_goes_with_all_its_records(door: Door) -> None:
    """Of a run that a newer one replaced nothing is left: no record, event, log file, nor a file of its own."""
    old, new = made(door, "old"), made(door, "new")
    assert len(traces(door, old)) == 2
    assert gone(door, days=29) == {}
    assert known(door, old, new) == [True, True]
    assert gone(door)["runs"] == 1
    assert known(door, old, new) == [False, True]
    assert traces(door, old) == []
    assert len(traces(door, new)) == 2
    events = door.instance.fetch_materializations(AssetKey("html_map"), limit=10).records
    assert [event.run_id for event in events] == [new.run_id]


def test_another_pass_is_harmless(door: Door) -> None:
    """A pass after a pass finds nothing, and leaves no file behind."""
    old, _ = made(door, "old"), made(door, "new")
    assert gone(door) == {"runs": 1, "specs": 1}
    assert gone(door) == {}
    assert traces(door, old) == []


def test_a_removal_that_broke_off_is_finished(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the record of a run could not be removed after its events, the next pass of the same process does it."""
    old, _ = made(door, "old"), made(door, "new")
    with monkeypatch.context() as broken:
        broken.setattr(door.instance.run_storage, "delete_run", away)
        assert "runs" not in gone(door)
    assert known(door, old) == [True]
    assert gone(door)["runs"] == 1
    assert known(door, old) == [False]
    assert traces(door, old) == []


def test_the_run_behind_each_map_stays(door: Door) -> None:
    """However old, the run that made what a map shows stays, until the map is deleted; failed tries after it go."""
    first = made(door, "first", transform=1)
    tried = made(door, "tried", transform=1, error=NoPoints("empty"))
    other = made(door, "other", transform=2)
    assert gone(door, days=10_000)["runs"] == 1
    assert known(door, first, tried, other) == [True, False, True]
    assert shown(door, 1) == first.run_id
    door.instance.delete_dynamic_partition(str(visualization_transforms.name), "1")
    assert gone(door)["runs"] == 1
    assert known(door, first, other) == [False, True]


def test_the_newest_run_stays(door: Door) -> None:
    """The last run of all stays, failed or not: SQLite would hand out the numbers of its events again."""
    tried = made(door, "tried", error=NoPoints("empty"))
    changed = made(door, "changed", error=NoPoints("empty"))
    newest = made(door, "newest", error=NoPoints("empty"))
    door.instance.add_run_tags(changed.run_id, {"seen": "yes"})
    assert gone(door)["runs"] == 1
    assert known(door, tried, changed, newest) == [False, True, True]


def test_numbers_of_events_are_not_used_again(door: Door) -> None:
    """An event after a pass has a greater number than any before it, which is how run-status sensors find it."""
    made(door, "old", error=NoPoints("empty"))
    made(door, "older", error=NoPoints("empty"))
    before = door.instance.event_log_storage.get_maximum_record_id()
    assert before is not None
    assert gone(door)["runs"] == 1
    made(door, "next")
    record = door.instance.get_latest_data_version_record(AssetKey("html_map"), partition_key="123")
    assert record is not None
    assert record.storage_id > before


def test_runs_that_did_not_end_stay(door: Door) -> None:
    """A run that waits, starts, works or is being canceled is not looked at, whatever its age."""
    statuses = set(DagsterRunStatus) - set(STATUS_OF)
    job = defs.resolve_job_def("visualization_map")
    runs = [
        door.instance.create_run_for_job(job, status=status, remote_job_origin=ORIGIN, job_code_origin=CODE)
        for status in statuses
    ]
    made(door, "newest")
    assert "runs" not in gone(door)
    assert known(door, *runs) == [True] * len(runs)
    assert len(runs) >= 5


def test_everything_of_an_unfinished_job_stays(door: Door) -> None:
    """A job that waits for its next attempt keeps its runs, its spec and what its attempts left; ended, they go."""
    door.send(worker_job(job_id="waits"))
    (request,) = door.ask()
    run = door.perform(request, failing(OSError("try again")))
    door.settle()
    (record,) = door.records()
    store_of(door).write("attempts/waits/1/456.html", b"<html>", TYPE)
    made_later = made_beside(door)
    assert gone(door) == {}
    assert known(door, run, made_later) == [True, True]
    assert door.stored("specs/123/waits.json") is not None
    door.connection.run(lambda c: c.jetstream().purge_stream("KV_visualization_jobs"))
    store_of(door).write("specs/123/latest.json", b'{"job": {"job_id": "another"}}', TYPE)
    assert gone(door) == {"runs": 1, "specs": 1, "attempts": 1}
    assert (record.job_id, known(door, run, made_later)) == ("waits", [False, True])
    assert door.keys("attempts/") == []


def made_beside(door: Door) -> DagsterRun:
    """A run of a map that no job asked for."""
    result = materialize([foreign], instance=door.instance, run_config=QUIET)
    run = door.instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


@asset
def foreign() -> None:
    """An asset of somebody else in the same Dagster."""


@pytest.mark.parametrize("name", ["visualization_map", "__ASSET_JOB"])
def test_runs_that_no_job_asked_for_go_too(door: Door, name: str) -> None:
    """A run that a person launched, of the whole graph or of a selection, is ours."""
    launched = door.instance.create_run_for_job(
        defs.resolve_job_def("visualization_map"),
        asset_selection=frozenset({AssetKey("html_map")}) if name == "__ASSET_JOB" else None,
        status=DagsterRunStatus.CANCELED,
    )
    if name == "__ASSET_JOB":
        door.instance.delete_run(launched.run_id)
        launched = launched._replace(job_name=name)
        door.instance.add_run(launched)
    made(door, "newest")
    assert gone(door) == {"runs": 1}
    assert known(door, launched) == [False]


def test_runs_of_other_people_stay(door: Door) -> None:
    """Runs of assets that are not ours are not ours to remove."""
    theirs = [made_beside(door) for _ in range(2)]
    made(door, "newest")
    assert gone(door) == {}
    assert known(door, *theirs) == [True, True]


def test_a_run_stays_as_long_as_its_copies(door: Door) -> None:
    """The first of a group of re-executions stays while one of them does: Dagster cannot show the group without it."""
    first = made(door, "first", error=NoPoints("empty"))
    copy = first._replace(
        run_id=str(uuid.uuid4()),
        parent_run_id=first.run_id,
        root_run_id=first.run_id,
        status=DagsterRunStatus.STARTED,
        tags={**first.tags, ROOT_RUN_ID_TAG: first.run_id},
    )
    door.instance.add_run(copy)
    made(door, "newest", transform=9)
    assert "runs" not in gone(door)
    door.instance.report_run_failed(copy)
    made(door, "last", transform=9)
    assert gone(door)["runs"] >= 2
    assert known(door, first, copy) == [False, False]


def test_damaged_events_of_one_run_keep_no_other(door: Door) -> None:
    """A run whose file of events cannot be read stays, with a word in the log; the others go."""
    bad, old = made(door, "bad"), made(door, "old")
    made(door, "newest")
    storage = door.instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    Path(storage.path_for_shard(bad.run_id)).write_bytes(b"no database" * 1000)
    assert gone(door)["runs"] == 1
    assert known(door, bad, old) == [True, False]


def test_passes_are_bounded_and_go_on(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass looks at so many runs and no more; the next goes on after those that stay, and in the end all are seen."""
    monkeypatch.setattr(old_runs, "RUNS_AT_ONCE", 2)
    kept = [made(door, f"kept-{number}", transform=number) for number in range(3)]
    old = [made(door, f"old-{number}", transform=7) for number in range(3)]
    newest = made(door, "newest", transform=7)
    counts, marks = [], None
    for _ in range(5):
        done = pruned(door, marks=marks)
        counts.append(done.removed["runs"])
        marks = done.marks
    assert max(counts) <= 2
    assert counts[0] == 0
    assert sum(counts) == len(old)
    assert known(door, *kept, newest) == [True] * 4


def test_a_mark_whose_run_is_gone_begins_anew(door: Door) -> None:
    """Where the run that a pass ended at was removed by hand, the next finds nothing, and the one after it goes on."""
    made(door, "old")
    made(door, "new")
    first = pruned(door, marks={"runs": str(uuid.uuid4())})
    assert first.removed["runs"] == 0
    assert pruned(door, marks=first.marks).removed["runs"] == 1


def test_log_folders_of_forgotten_runs_go(door: Door) -> None:
    """A log folder of a run that Dagster does not know goes when it is old; other folders, and known runs', stay."""
    run = made(door, "known")
    storage = Path(door.instance.storage_directory())
    stranger = storage / str(uuid.uuid4())
    for folder in (stranger / "compute_logs", storage / "some_asset"):
        folder.mkdir(parents=True)
    assert gone(door, days=1) == {}
    assert gone(door) == {"log folders": 1}
    assert sorted(path.name for path in storage.iterdir()) == sorted([run.run_id, "some_asset"])


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    """An S3 server for the tests of this module."""
    server = start_s3(tmp_path_factory.mktemp("s3"))
    yield server
    server.child.stop()


@pytest.fixture(params=["folder", "bucket"])
def any_store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    """Each kind of store in turn, empty."""
    if request.param == "folder":
        return FolderStore(tmp_path / "objects")
    store = open_store(Settings(**request.getfixturevalue("s3_server").environment))
    for key in list(store.keys("")):
        store.delete(key)
    return store


def test_specs_and_attempts_go_and_nothing_else(door: Door, any_store: ObjectStore) -> None:
    """Old specs and attempts of jobs that nobody knows go; the latest of a map and whatever is not a job's stay."""
    latest = json.dumps({"job": {"job_id": "newest"}}).encode()
    going = ["specs/1/done.json", "specs/2/lost.json", "attempts/done/1/456.html", "attempts/done/2/456_points.zip"]
    staying = [
        "specs/1/latest.json", "specs/1/newest.json", "specs/1/notes.txt", "specs/1/a/b.json", "attempts/readme",
        "visualizations/me/1/456.html", "assets/vectors/1/current.json", "specs/x/done.json",
    ]  # fmt: skip
    for key in going + staying:
        any_store.write(key, latest if key.endswith("latest.json") else b"{}", TYPE)

    def removed(days: float) -> dict[str, int]:
        now = time.time() + days * DAY
        return dict(prune(door.instance, door.connection, any_store, door.settings, now).removed)

    nothing = {"runs": 0, "log folders": 0, "specs": 0, "attempts": 0, "run folders": 0}
    assert removed(0.9) == nothing
    assert removed(29) == nothing | {"attempts": 2}
    assert removed(31) == nothing | {"specs": 2}
    assert removed(31) == nothing
    assert sorted(any_store.keys("")) == sorted(staying)


@pytest.mark.parametrize("tag", ["vis_assets/job_id", SPEC])
def test_a_spec_stays_while_a_run_may_be_repeated(door: Door, tag: str) -> None:
    """The spec that a run in Dagster worked on stays, whether a job asked for the run or a person launched it."""
    run = made(door, "newest")
    door.instance.add_run_tags(run.run_id, {tag: "older"})
    for name in ("older", "other"):
        store_of(door).write(f"specs/123/{name}.json", b"{}", TYPE)
    assert gone(door)["specs"] == 1
    assert door.stored("specs/123/older.json") is not None
    assert door.stored("specs/123/other.json") is None


def test_passes_over_objects_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass lists and deletes so many objects and no more, and the next goes on behind those that stay."""
    monkeypatch.setattr(module, "LISTED_AT_ONCE", 3)
    monkeypatch.setattr(module, "DELETED_AT_ONCE", 2)
    for number in range(5):
        store_of(door).write(f"attempts/old-{number}/1/456.html", b"", TYPE)
        age(door, f"attempts/old-{number}/1/456.html", 2)
        store_of(door).write(f"attempts/a-new-{number}/1/456.html", b"", TYPE)
    counts, marks = [], None
    for _ in range(6):
        done = pruned(door, days=0, marks=marks)
        counts.append(done.removed["attempts"])
        marks = done.marks
    assert counts == [0, 1, 2, 2, 0, 0]
    assert len(door.keys("attempts/")) == 5


def test_one_kind_that_fails_keeps_no_other(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the store is away, runs go all the same, and the marks of what failed stay where they were."""
    made(door, "old")
    made(door, "new")
    monkeypatch.setattr(FolderStore, "listing", away)
    done = pruned(door, marks={"specs": "specs/1/x.json"})
    assert done.removed == {"runs": 1, "log folders": 0, "run folders": 0}
    assert done.marks == {"runs": "", "log folders": "", "specs": "specs/1/x.json", "attempts": "", "run folders": ""}


def test_folders_of_killed_runs_go(door: Door) -> None:
    """The vectors that an ended run left on this machine go; of a run that works, or that is unknown, they stay."""
    ended = made(door, "ended")
    door.send(worker_job(job_id="works"))
    (working,) = door.start(door.ask(), DagsterRunStatus.STARTED)
    folders = [scratch_folder(run_id) for run_id in (ended.run_id, working.run_id, "of-somebody-else")]
    for folder in folders:
        folder.mkdir()
    assert gone(door)["run folders"] == 1
    assert [folder.exists() for folder in folders] == [False, True, True]
    for folder in folders[1:]:
        os.utime(folder, (0, 0))
    assert gone(door)["run folders"] == 1
    assert [folder.exists() for folder in folders] == [False, True, False]


def evaluated(door: Door, cursor: str | None = None) -> tuple[str, str | None]:
    """What one evaluation of the sensor says, and its cursor after it."""
    context = build_sensor_context(
        instance=door.instance, repository_def=defs.get_repository_def(), resources=door.resources, cursor=cursor
    )
    answer = retention(context)
    assert isinstance(answer, SkipReason)
    assert answer.skip_message is not None
    return answer.skip_message, context.cursor


def test_the_sensor_says_what_it_removed(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """The leader prunes and says what; nothing to do, and what failed, are told too."""
    made(door, "old")
    made(door, "new")
    assert evaluated(door)[0] == "nothing was removed"
    door.settings = door.settings.model_copy(update={"run_days": 1e-9, "spec_days": 1e-9})
    door.resources["settings"] = door.settings
    message, cursor = evaluated(door)
    assert message == "removed 1 runs, 1 specs"
    assert json.loads(str(cursor)) == {"runs": "", "log folders": "", "specs": "", "attempts": "", "run folders": ""}
    monkeypatch.setattr(FolderStore, "listing", away)
    assert evaluated(door, cursor)[0] == "nothing was removed; could not look after specs, attempts, see the log"


def test_a_standby_removes_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another worker leads, the sensor says so and touches nothing."""
    old = made(door, "old")
    made(door, "new")
    door.settings = door.settings.model_copy(update={"run_days": 1e-9})
    door.resources["settings"] = door.settings
    door.connection.run(leadership.Candidate("leader", 60.0).campaign)
    monkeypatch.setenv(HOLDER, "standby")
    assert evaluated(door)[0].startswith("standby: ")
    assert known(door, old) == [True]


@pytest.fixture
def postgres_door(tmp_path: Path, nats_server: EmbeddedNats) -> Iterator[Door]:
    """An installation whose Dagster keeps its records in PostgreSQL."""
    with (
        postgres(tmp_path / "postgres") as url,
        DagsterInstance.local_temp(
            str(tmp_path), overrides={"storage": {"postgres": {"postgres_url": url.replace("://", "+psycopg2://")}}}
        ) as instance,
        Door(tmp_path, nats_server.url, instance) as made_door,
    ):
        made_door.settle()
        yield made_door


@pytest.fixture
def memory_door(tmp_path: Path, nats_server: EmbeddedNats) -> Iterator[Door]:
    """An installation whose Dagster keeps its records in memory."""
    with DagsterInstance.ephemeral() as instance, Door(tmp_path, nats_server.url, instance) as made_door:
        made_door.settle()
        yield made_door


@pytest.mark.parametrize("kind", ["postgres_door", "memory_door"])
def test_other_databases_are_pruned_too(request: pytest.FixtureRequest, kind: str) -> None:
    """Nothing depends on SQLite's files: where Dagster's records are elsewhere, the same goes and the same stays."""
    door: Door = request.getfixturevalue(kind)
    shows, old, new = made(door, "shows", transform=1), made(door, "old"), made(door, "new")
    assert gone(door) == {"runs": 1, "specs": 1}
    assert known(door, shows, old, new) == [True, False, True]
    assert gone(door) == {}


def test_what_checks_found_goes_with_its_run(door: Door) -> None:
    """Results of asset checks of a removed run are removed, those of a run that stays are not."""
    old, new = made(door, "old"), made(door, "new")
    storage = door.instance.event_log_storage
    assert isinstance(storage, SqliteEventLogStorage)
    for run in (old, new):
        row = {"asset_key": AssetKey("html_map").to_string(), "check_name": "page_not_empty", "run_id": run.run_id}
        with storage.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.insert().values(execution_status="SUCCEEDED", **row))
    assert gone(door)["runs"] == 1
    with storage.index_connection() as connection:
        left = connection.execute(AssetCheckExecutionsTable.select()).fetchall()
    assert [row.run_id for row in left] == [new.run_id]
