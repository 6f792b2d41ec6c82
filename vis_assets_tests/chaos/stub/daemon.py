"""In place of Dagster's sensor daemon: evaluates the real sensor, then creates and queues the runs it asks for.

As in Dagster a run is looked up by its key before it is created, and the process may die between any two steps. A
second thread settles ended runs, as the run-status sensors do in the threads of the real one.
"""

import logging
import threading
import time
import traceback

from dagster import (
    DagsterEvent,
    DagsterEventType,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    RunRequest,
    RunsFilter,
    SensorResult,
    build_sensor_context,
)

from vis_assets.resources import build_resources
from vis_assets.sensors.dagster_runs import RUN_KEY
from vis_assets.sensors.job_queue import job_queue
from vis_assets.sensors.reconciliation import reconcile, reconciler
from vis_assets.sensors.standing import standing
from vis_assets.settings import Settings, load_settings
from vis_assets_tests.chaos.stub.clocks import shorten_waits
from vis_assets_tests.sensors.door import CODE, NEEDED, ORIGIN

BREATH_SECONDS = 0.4
"""After a tick that asked for no run, or failed; those of a standby end at once."""
SETTLE_SECONDS = 0.7
"""Between two looks of the door for results."""


def work() -> None:
    """Tick until killed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(process)d %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    shorten_waits()
    settings = load_settings()
    resources = build_resources(settings)
    with DagsterInstance.get() as instance:
        threading.Thread(target=_settle, args=(instance, settings, resources["jobs"]), daemon=True).start()
        while True:
            try:
                asked = tick(instance, {name: resources[name] for name in NEEDED})
            except Exception:  # noqa: BLE001 - as Dagster does: a tick that fails is written down, and the next one comes
                traceback.print_exc()
                asked = False
            if not asked:
                time.sleep(BREATH_SECONDS)


def tick(instance: DagsterInstance, resources: dict[str, object]) -> bool:
    """One evaluation of the sensor, and what Dagster does about its answer; whether it asked for runs."""
    answer = job_queue(build_sensor_context(instance=instance, resources=resources))
    if not isinstance(answer, SensorResult):
        return False
    for request in answer.dynamic_partitions_requests or []:
        instance.add_dynamic_partitions(request.partitions_def_name, list(request.partition_keys))
    for wanted in answer.run_requests or []:
        queue(instance, wanted)
    return True


def queue(instance: DagsterInstance, request: RunRequest) -> None:
    """Create the run of a key unless there is one, and queue it unless it was."""
    found = instance.get_runs(RunsFilter(tags={RUN_KEY: str(request.run_key)}))
    run = found[0] if found else instance.add_run(_run(request))
    if run.status is DagsterRunStatus.NOT_STARTED:
        event = DagsterEvent(DagsterEventType.PIPELINE_ENQUEUED.value, run.job_name, message="queued")
        instance.report_dagster_event(event, run.run_id)


def _run(request: RunRequest) -> DagsterRun:
    tags = {**request.tags, "dagster/partition": str(request.partition_key), RUN_KEY: str(request.run_key)}
    return DagsterRun(job_name="visualization_map", tags=tags, remote_job_origin=ORIGIN, job_code_origin=CODE)


def _settle(instance: DagsterInstance, settings: Settings, jobs: object) -> None:
    while True:
        time.sleep(SETTLE_SECONDS)
        try:
            with reconciler(instance, settings, jobs, "stub settle") as (worker, connection):  # type: ignore[arg-type]
                if standing(connection, settings).leads:
                    reconcile(worker, may_start=False)
        except Exception:  # noqa: BLE001 - as Dagster does
            traceback.print_exc()
