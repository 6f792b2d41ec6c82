"""In place of the process of a run: takes a queued run, says that it works, makes a page or fails, says how it ended.

Nothing ends a runner but a kill: it has no lease keeper, and never asks whether it was given up. One that was stopped
for longer than its lease wakes up as a zombie, and writes its page, its materialization and its success regardless.
"""

import contextlib
import fcntl
import logging
import os
import random
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from dagster import (
    AssetMaterialization,
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    MetadataValue,
    RunsFilter,
)
from dagster._core.definitions.metadata import RawMetadataValue
from dagster._core.events import StepMaterializationData
from dagster._core.execution.plan.objects import ErrorSource, StepFailureData
from dagster._utils.error import serializable_error_info_from_exc_info

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.run_tags import Delivery, delivery_of
from vis_assets.errors import BrokerUnavailable, CollectionMissing, SourceUnavailable, VisAssetsError
from vis_assets.resources import build_resources
from vis_assets.resources.object_store import ObjectStore, open_store
from vis_assets.resources.pages import MapPage, page_key, store_page
from vis_assets.resources.specs import Spec, SpecStore
from vis_assets.settings import load_settings
from vis_assets_tests.chaos.stub.clocks import LEASE_SECONDS, RENEWAL_SECONDS

DEAD_URL = "http://127.0.0.1:9"
"""The vector database of poison jobs."""
ABSENT = "absent"
"""The collection of jobs that fail for good."""
BUSY = "busy"
"""Folder with a file for each runner that works, by pid."""
ZOMBIES = "zombies.log"
"""A line for each run that made its page and succeeded after it had been given up."""
STEP = "html_map"
LOOK_SECONDS = 0.2
FLAKY_SHARE = 0.1
"""How many attempts at good jobs fail, of the first ones: while such a job waits, newer ones overtake it."""
FLAKY_ATTEMPTS = 2
LONG_SHARE = 0.1
"""How many runs take up to twice a lease; the others a moment."""


class Runner:
    """Performs one run after another."""

    def __init__(self, instance: DagsterInstance, home: Path, store: ObjectStore, specs: SpecStore, nats: str) -> None:
        self._instance = instance
        self._home = home
        self._store = store
        self._specs = specs
        self._nats = nats
        self._rng = random.Random()  # noqa: S311 - how long work takes

    def take(self) -> DagsterRun | None:
        """Take the oldest queued run, as Dagster's queue does: one process at a time looks and starts."""
        with (self._home / "queue.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return None
            queued = RunsFilter(statuses=[DagsterRunStatus.QUEUED])
            records = self._instance.get_run_records(queued, limit=1, ascending=True)
            if not records:
                return None
            self._say(records[0].dagster_run, DagsterEventType.PIPELINE_STARTING)
            return records[0].dagster_run

    def perform(self, run: DagsterRun) -> None:
        """Work on a run until its end, whatever became of it meanwhile."""
        delivery = delivery_of(run.tags, is_copy=False)
        assert delivery is not None
        with self._busy(), self._lease(run, delivery):
            self._say(run, DagsterEventType.PIPELINE_START)
            try:
                self._make(run, delivery)
            except VisAssetsError:
                self._fail(run)
            else:
                self._end(run)

    def _make(self, run: DagsterRun, delivery: Delivery) -> None:
        spec = self._specs.load(run.tags["dagster/partition"], delivery.job_id)
        if str(spec.job.vector_database_config.connection_url).rstrip("/") == DEAD_URL:
            raise SourceUnavailable("nobody answers")
        if spec.job.qdrant_collection_name == ABSENT:
            raise CollectionMissing("there is no such collection")
        if delivery.attempt <= FLAKY_ATTEMPTS and self._rng.random() < FLAKY_SHARE:
            raise SourceUnavailable("nobody answers, this time")
        self._pause(LONG_SHARE)
        key = page_key(spec.job)
        store_page(self._store, page_of(spec, key, delivery, run.run_id), delivery)
        self._pause(0)
        stats = {"attempt": delivery.attempt, "run_id": run.run_id, "warnings": []}
        metadata: dict[str, RawMetadataValue] = {
            "html_key": key,
            "point_count": 2,
            "cluster_count": 1,
            "stats": MetadataValue.json(stats),
        }
        made = AssetMaterialization(STEP, partition=run.tags["dagster/partition"], metadata=metadata)
        self._say(run, DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(made), STEP)
        self._pause(0)

    def _pause(self, long_share: float) -> None:
        long = self._rng.random() < long_share
        time.sleep(self._rng.uniform(0, 2 * LEASE_SECONDS if long else 0.05))

    def _say(self, run: DagsterRun, kind: DagsterEventType, data: object = None, step: str | None = None) -> None:
        event = DagsterEvent(
            kind.value,
            run.job_name,
            event_specific_data=data,  # type: ignore[arg-type]
            message=kind.value,
            step_key=step,
        )
        self._instance.report_dagster_event(event, run.run_id)

    def _fail(self, run: DagsterRun) -> None:
        error = serializable_error_info_from_exc_info(sys.exc_info())
        failure = StepFailureData(error=error, user_failure_data=None, error_source=ErrorSource.USER_CODE_ERROR)
        self._say(run, DagsterEventType.STEP_FAILURE, failure, STEP)
        self._say(run, DagsterEventType.PIPELINE_FAILURE)

    def _end(self, run: DagsterRun) -> None:
        """Succeed, whatever the run's state is by now; of those that were told to stop, half do."""
        now = self._instance.get_run_by_id(run.run_id)
        if now is not None and now.status is DagsterRunStatus.CANCELING and self._rng.random() < 0.5:
            self._instance.report_run_canceled(run)
            return
        if now is not None and now.is_finished:
            with (self._home / ZOMBIES).open("a") as sink:
                sink.write(f"{run.run_id} {now.status.value}\n")
        self._say(run, DagsterEventType.PIPELINE_SUCCESS)

    @contextlib.contextmanager
    def _busy(self) -> Iterator[None]:
        mark = self._home / BUSY / str(os.getpid())
        mark.touch()
        try:
            yield
        finally:
            mark.unlink(missing_ok=True)

    @contextlib.contextmanager
    def _lease(self, run: DagsterRun, delivery: Delivery) -> Iterator[None]:
        """Renew the lease, from before the start of the run to its end, through every outage of NATS."""
        over = threading.Event()

        def renew() -> None:
            while not over.is_set():
                with contextlib.suppress(BrokerUnavailable), NatsConnection(self._nats, "stub lease") as connection:
                    while not over.is_set():
                        connection.run(
                            lambda c: ledger.renew_lease(c, run.run_id, delivery.job_id, delivery.attempt, os.getpid())
                        )
                        over.wait(RENEWAL_SECONDS)
                over.wait(RENEWAL_SECONDS)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def page_of(spec: Spec, key: str, delivery: Delivery, run_id: str) -> MapPage:
    """A page that says which attempt made it, with a file beside it."""
    html = f"<html>{delivery.job_id} {delivery.attempt} {run_id}</html>".encode()
    return MapPage(key, html, {f"{spec.job.visualization_id}_points.zip": html}, {"job-id": delivery.job_id})


def work() -> None:
    """Take and perform runs until killed."""
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(process)d %(name)s %(message)s")
    settings = load_settings()
    specs = build_resources(settings)["specs"]
    with DagsterInstance.get() as instance:
        nats = settings.nats_url.get_secret_value()
        runner = Runner(instance, settings.home, open_store(settings), specs, nats)
        while True:
            try:
                run = runner.take()
                if run is not None:
                    runner.perform(run)
            except Exception:  # noqa: BLE001 - the process of such a run would end; the next one is another process
                traceback.print_exc()
                run = None
            if run is None:
                time.sleep(LOOK_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - they shall not march in step
