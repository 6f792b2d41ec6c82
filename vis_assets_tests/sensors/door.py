"""An installation seen from its doors: what is sent in, one tick, what comes out."""

import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dagster import DagsterInstance, DagsterRun, DagsterRunStatus, SensorResult, SkipReason, build_sensor_context
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.definitions import defs
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.protocol.subjects import JOB_SUBJECT
from vis_assets.resources import build_resources
from vis_assets.sensors.job_queue import job_queue
from vis_assets.settings import Settings

NEEDED = ("settings", "specs")
"""The resources that sensors ask for."""


class Door:
    """The queue of one installation."""

    def __init__(self, folder: Path, nats_url: str, instance: DagsterInstance, **variables: Any) -> None:
        self.folder = folder
        self.instance = instance
        self.settings = Settings(
            **{
                "VIS_ASSETS_HOME": folder / "home",
                "VIS_ASSETS_STORE_DIR": folder / "store",
                "NATS_URL": nats_url,
                "WORKER_ID": "worker-1",
                **variables,
            }
        )
        self.resources = {name: made for name, made in build_resources(self.settings).items() if name in NEEDED}
        self._connection = NatsConnection(nats_url, "test")
        self._results: Subscription | None = None

    def __enter__(self) -> Self:
        """Listen to results, with an empty queue."""
        self._connection.open()

        async def begin(client: Client) -> Subscription:
            for info in await client.jetstream().streams_info():
                await client.jetstream().delete_stream(str(info.config.name))
            await ensure_stream(client)
            return await client.subscribe("worker.result.visualization")

        self._results = self._connection.run(begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self._connection.close()

    def send(self, *payloads: bytes | dict[str, Any]) -> None:
        """Publish job messages."""

        async def publish(client: Client) -> None:
            for payload in payloads:
                body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                await client.jetstream().publish(JOB_SUBJECT, body)

        self._connection.run(publish)

    def tick(self) -> SensorResult | SkipReason:
        """One evaluation of the job_queue sensor."""
        context = build_sensor_context(
            instance=self.instance, repository_def=defs.get_repository_def(), resources=self.resources
        )
        answer = job_queue(context)
        assert isinstance(answer, SensorResult | SkipReason)
        return answer

    def heard(self) -> list[dict[str, Any]]:
        """Results and progress published since the last call."""
        subscription = self._results
        assert subscription is not None

        async def collect(client: Client) -> list[dict[str, Any]]:
            await client.flush()
            return [json.loads((await subscription.next_msg(timeout=1)).data) for _ in range(subscription.pending_msgs)]

        return self._connection.run(collect)

    def depth(self) -> tuple[int, int]:
        """Messages that wait, and messages handed out but not acknowledged."""
        return self._connection.run(queue_depth)

    def start(self, answer: SensorResult, status: DagsterRunStatus) -> list[DagsterRun]:
        """Make the runs that a tick asked for, as Dagster does, in that status."""
        runs = []
        for request in answer.run_requests or []:
            assert request.partition_key is not None
            self.instance.add_dynamic_partitions(str(visualization_transforms.name), [request.partition_key])
            runs.append(
                self.instance.create_run_for_job(
                    defs.resolve_job_def("visualization_map"),
                    tags={**request.tags, "dagster/partition": request.partition_key},
                    status=status,
                )
            )
        return runs
