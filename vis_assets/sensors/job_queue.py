"""The door for jobs: each tick settles ended runs and waits for messages, which become runs."""

import logging
import time

from dagster import (
    DagsterInstance,
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
from vis_assets.delivery.intake import Rejection, examine
from vis_assets.delivery.job_stream import QueuedMessage, ensure_stream, fetch, postpone
from vis_assets.delivery.run_tags import tags_for
from vis_assets.delivery.settle import refuse
from vis_assets.errors import StoreUnavailable
from vis_assets.protocol.job import ParsedJob
from vis_assets.protocol.result import progress_message
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.subjects import result_subject
from vis_assets.resources.specs import SpecStore
from vis_assets.sensors.ended_runs import ACTIVE, delivery_runs
from vis_assets.sensors.map_job import visualization_map
from vis_assets.sensors.settlement import settle_ended_runs
from vis_assets.settings import Settings

TICK_SECONDS = 4.3
"""How long a tick waits for messages: Dagster starts the next one 5 s after this one began."""
POLL_SECONDS = 0.5
"""How often a waiting tick looks for runs that ended."""
POSTPONE_SECONDS = 10.0
"""When a message is offered again that could not be taken in because the store did not answer."""

_log = logging.getLogger(__name__)


@sensor(
    job=visualization_map,
    minimum_interval_seconds=1,
    default_status=DefaultSensorStatus.RUNNING,
    description="Turns job messages of the stream VISUALIZATION_TRANSFORMS into runs, and settles ended runs.",
)
def job_queue(
    context: SensorEvaluationContext, settings: ResourceParam[Settings], specs: ResourceParam[SpecStore]
) -> SensorResult | SkipReason:
    """Wait for messages; turn valid ones into runs, answer the others."""
    with NatsConnection(settings.nats_url.get_secret_value(), "vis_assets job_queue") as connection:
        messages = _wait(context.instance, connection, settings, specs)
        accepted = [
            (message, parsed) for message in messages if (parsed := _take_in(connection, settings, specs, message))
        ]
    if not accepted:
        return SkipReason(f"{len(messages)} messages were no valid jobs" if messages else "no job is waiting")
    keys = list(dict.fromkeys(parsed.job.partition_key for _, parsed in accepted))
    return SensorResult(
        run_requests=[_run_request(message, parsed, settings) for message, parsed in accepted],
        dynamic_partitions_requests=[visualization_transforms.build_add_request(keys)],
    )


def _wait(
    instance: DagsterInstance, connection: NatsConnection, settings: Settings, specs: SpecStore
) -> list[QueuedMessage]:
    """Wait until there are messages, at most a tick; settle whatever run ends meanwhile.

    A message that is handed out counts as delivered, so none is asked for while its spec could not be stored.
    """
    stream_created = connection.run(ensure_stream)
    deadline = time.monotonic() + TICK_SECONDS
    while True:
        settle_ended_runs(instance, connection, specs, settings.result_subject)
        left = deadline - time.monotonic()
        if left <= 0:
            return []
        free = settings.max_concurrent_jobs - len(delivery_runs(instance, ACTIVE, limit=1000))
        if free <= 0:
            time.sleep(min(POLL_SECONDS, left))
            continue

        specs.require_reachable()

        async def poll(
            client: Client, batch: int = free, seconds: float = min(POLL_SECONDS, left)
        ) -> list[QueuedMessage]:
            return await fetch(client, stream_created, batch, seconds)

        if messages := connection.run(poll):
            return messages


def _take_in(
    connection: NatsConnection, settings: Settings, specs: SpecStore, message: QueuedMessage
) -> ParsedJob | None:
    """Store a valid job's spec and tell its sender; answer an invalid one."""
    verdict = examine(message.payload)
    if isinstance(verdict, Rejection):
        _log.warning("message %s is no job: %s", message.identity, verdict.reason)
        refuse(connection, settings.result_subject, message, verdict)
        return None
    try:
        sender = specs.save(verdict).envelope
    except StoreUnavailable as error:
        _log.warning("message %s is postponed: %s", message.identity, error)
        connection.run(lambda client: postpone(client, message.reply, POSTPONE_SECONDS))
        return None
    starting = progress_message(sender, Stage.STARTING, 0)
    connection.run(lambda client: client.publish(result_subject(settings.result_subject, sender), starting))
    return verdict


def _run_request(message: QueuedMessage, parsed: ParsedJob, settings: Settings) -> RunRequest:
    return RunRequest(
        run_key=f"{message.identity}:1",
        partition_key=parsed.job.partition_key,
        tags={
            **tags_for(parsed.job, message, settings.worker_id),
            "dagster/max_runtime": str(settings.processing_timeout_secs),
        },
    )
