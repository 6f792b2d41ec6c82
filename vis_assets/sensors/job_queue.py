"""The door for jobs: each tick reconciles, and waits for messages, which become runs."""

import functools
import time

from dagster import (
    DefaultSensorStatus,
    ResourceParam,
    RunRequest,
    SensorEvaluationContext,
    SensorResult,
    SkipReason,
    sensor,
)
from nats.aio.client import Client

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.job_stream import QueuedMessage, ensure_stream, fetch
from vis_assets.delivery.leadership import note_tick
from vis_assets.delivery.reconcile import Reconciler
from vis_assets.delivery.run_tags import tags_for
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.sensors.map_job import visualization_map
from vis_assets.sensors.reconciliation import reconcile, reconciler
from vis_assets.sensors.standing import standing
from vis_assets.settings import Settings

TICK_SECONDS = 4.3
"""How long a tick waits for messages: Dagster starts the next one 5 s after this one began."""
BACKSTOP_SECONDS = 120
"""How long after a run's lease keeper should have ended it Dagster does."""
POLL_SECONDS = 0.5
"""How often a waiting tick reconciles."""


@sensor(
    job=visualization_map,
    minimum_interval_seconds=1,
    default_status=DefaultSensorStatus.RUNNING,
    description="Turns job messages of the stream VISUALIZATION_TRANSFORMS into runs, and settles ended runs.",
)
def job_queue(
    context: SensorEvaluationContext, settings: ResourceParam[Settings], jobs: ResourceParam[DeliveredJobs]
) -> SensorResult | SkipReason:
    """Reconcile and wait for messages until there is a run to ask for, at most a tick."""
    with reconciler(context.instance, settings, jobs, "job_queue") as (worker, connection):
        place = standing(connection, settings)
        if not place.leads:
            return SkipReason(f"standby: {place.holder} reconciles")
        wanted = _wait(worker, connection, jobs, settings)
    if not wanted:
        return SkipReason("no run is to be started")
    return SensorResult(
        run_requests=[_run_request(record, settings) for record in wanted],
        dynamic_partitions_requests=[
            visualization_transforms.build_add_request(list(dict.fromkeys(record.partition for record in wanted)))
        ],
    )


def _wait(worker: Reconciler, connection: NatsConnection, jobs: DeliveredJobs, settings: Settings) -> list[JobRecord]:
    stream_created = connection.run(ensure_stream)
    deadline = time.monotonic() + TICK_SECONDS
    takes_in = noted = False
    while (place := standing(connection, settings)).leads:
        wanted = reconcile(worker, may_start=not place.draining)
        if not noted:
            connection.run(functools.partial(note_tick, holder=place.holder))
            noted = True
        left = deadline - time.monotonic()
        if wanted or left <= 0:
            return wanted
        free = 0 if place.draining else worker.free_slots()
        if free <= 0:
            time.sleep(min(POLL_SECONDS, left))
        elif not takes_in:
            # Only now: what is under way goes on while the store is away, but a job taken in would come to nothing.
            jobs.require_reachable()
            worker.take_in_unclaimed(stream_created)
            takes_in = True
        else:
            for message in _poll(connection, stream_created, free, min(POLL_SECONDS, left)):
                worker.take_in(message)
    return []


def _poll(connection: NatsConnection, stream_created: int, batch: int, seconds: float) -> list[QueuedMessage]:
    async def poll(client: Client) -> list[QueuedMessage]:
        return await fetch(client, stream_created, batch, seconds)

    return connection.run(poll)


def _longest_run_seconds(settings: Settings) -> int:
    """When Dagster itself stops a run whose lease keeper did not; sooner, it could be taken for a person's cancel."""
    return settings.processing_timeout_secs + BACKSTOP_SECONDS


def _run_request(record: JobRecord, settings: Settings) -> RunRequest:
    return RunRequest(
        run_key=record.run_key,
        partition_key=record.partition,
        tags={**tags_for(record, settings.worker_id), "dagster/max_runtime": str(_longest_run_seconds(settings))},
    )
