"""An installation seen from its doors: what is sent in, one tick, what comes out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dagster import (
    AssetExecutionContext,
    DagsterInstance,
    DagsterRun,
    DagsterRunStatus,
    Output,
    RunRequest,
    SensorResult,
    SkipReason,
    asset,
    build_sensor_context,
    materialize,
)
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteJobOrigin, RemoteRepositoryOrigin
from nats.aio.client import Client
from nats.aio.subscription import Subscription

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.definitions import ASSETS, defs
from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.errors import ObjectMissing
from vis_assets.protocol.subjects import JOB_SUBJECT
from vis_assets.resources import build_resources
from vis_assets.resources.object_store import open_store
from vis_assets.resources.pages import MapPage
from vis_assets.sensors.dagster_runs import RUN_KEY
from vis_assets.sensors.job_queue import job_queue
from vis_assets.sensors.reconciliation import reconcile, reconciler
from vis_assets.settings import Settings
from vis_assets_tests.servers.nats_streams import forget_streams

NEEDED = ("settings", "jobs")
"""The resources that sensors ask for."""
PAGE = "visualizations/user@example.com/123/456.html"
"""Where the page of the example job belongs."""
ORIGIN = RemoteJobOrigin(
    RemoteRepositoryOrigin(RegisteredCodeLocationOrigin("vis_assets"), "__repository__"), "visualization_map"
)
MODULE = ModuleCodePointer("vis_assets.definitions", "defs")
CODE = JobPythonOrigin("visualization_map", RepositoryPythonOrigin("python", MODULE))
"""Where Dagster finds the job: a run without this cannot be queued."""
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def failing(error: Exception) -> Callable[[], None]:
    """Work that ends with this error."""

    def work() -> None:
        raise error

    return work


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
        every = build_resources(self.settings)
        self.resources = {name: every[name] for name in NEEDED}
        self._every = {**every, "lease": None}
        self.specs = every["specs"]
        self._page_io = every["page_io_manager"]
        self._nats_url = nats_url
        self.connection = NatsConnection(nats_url, "test")
        self._results: Subscription | None = None

    def __enter__(self) -> Self:
        """Listen to results, with an empty queue."""
        self.connection.open()

        async def begin(client: Client) -> Subscription:
            await forget_streams(client)
            await ensure_stream(client)
            return await client.subscribe("worker.result.visualization")

        self._results = self.connection.run(begin)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""
        self.connection.close()

    def listen_again(self) -> None:
        """Connect anew after the server was away, and listen to results from here on."""
        self.connection.close()
        self.connection = NatsConnection(self._nats_url, "test").open()
        self._results = self.connection.run(lambda c: c.subscribe("worker.result.visualization"))

    def send(self, *payloads: bytes | dict[str, Any], headers: dict[str, str] | None = None) -> None:
        """Publish job messages."""

        async def publish(client: Client) -> None:
            for payload in payloads:
                body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                await client.jetstream().publish(JOB_SUBJECT, body, headers=headers)

        self.connection.run(publish)

    def tick(self) -> SensorResult | SkipReason:
        """One evaluation of the job_queue sensor."""
        context = build_sensor_context(
            instance=self.instance, repository_def=defs.get_repository_def(), resources=self.resources
        )
        answer = job_queue(context)
        assert isinstance(answer, SensorResult | SkipReason)
        return answer

    def ask(self) -> list[RunRequest]:
        """The runs that one tick asks for."""
        answer = self.tick()
        return list(answer.run_requests or []) if isinstance(answer, SensorResult) else []

    def settle(self) -> None:
        """What a tick does about runs that are there, without waiting for messages."""
        with reconciler(self.instance, self.settings, self.resources["jobs"], "test") as (worker, _):
            reconcile(worker, may_start=False)

    def heard(self) -> list[dict[str, Any]]:
        """Results and progress published since the last call."""
        subscription = self._results
        assert subscription is not None

        async def collect(client: Client) -> list[dict[str, Any]]:
            await client.flush()
            return [json.loads((await subscription.next_msg(timeout=1)).data) for _ in range(subscription.pending_msgs)]

        return self.connection.run(collect)

    def depth(self) -> tuple[int, int]:
        """Messages that wait, and messages handed out but not acknowledged."""
        return self.connection.run(queue_depth)

    def records(self) -> list[JobRecord]:
        """The unfinished jobs."""
        return [held.record for held in self.connection.run(ledger.read_records)]

    def age(self, seconds: float) -> None:
        """Let time pass for the records of jobs, but not for us."""
        for held in self.connection.run(ledger.read_records):
            older = replace(
                held.record,
                requested_at=held.record.requested_at - seconds,
                not_before=held.record.not_before - seconds,
            )
            assert self.connection.run(
                lambda c, older=older, held=held: ledger.replace_record(c, older, held.revision)  # type: ignore[misc]
            )

    def start(self, requests: list[RunRequest], status: DagsterRunStatus) -> list[DagsterRun]:
        """Make the runs that a tick asked for, as Dagster does, in that status."""
        return [
            self.instance.create_run_for_job(
                defs.resolve_job_def("visualization_map"),
                tags=self.tags(request),
                status=status,
                remote_job_origin=ORIGIN,
                job_code_origin=CODE,
            )
            for request in requests
        ]

    def perform(
        self, request: RunRequest, work: Callable[[], None] = lambda: None, stages: Sequence[str] = ()
    ) -> DagsterRun:
        """Make the run that a tick asked for, and let it work, really: these stages of the graph, then a small page."""
        upstream = [stage for stage in ASSETS if stage.key.to_user_string() in stages]

        @asset(
            name="html_map",
            partitions_def=visualization_transforms,
            io_manager_key="pages",
            deps=upstream,
        )
        def small_page(_context: AssetExecutionContext) -> Output[MapPage]:
            work()
            figures: dict[str, Any] = {
                "html_key": PAGE,
                "point_count": 3,
                "cluster_count": 1,
                "stats": {"warnings": []},
            }
            return Output(MapPage(PAGE, b"<html>", {"456_points.zip": b"data"}), metadata=figures)

        tags = self.tags(request)
        result = materialize(
            [*upstream, small_page],
            partition_key=request.partition_key,
            instance=self.instance,
            resources={**self._every, "pages": self._page_io},
            tags=tags,
            raise_on_error=False,
            run_config=QUIET,
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def stored(self, key: str) -> bytes | None:
        """An object of the store; None where there is none."""
        try:
            return open_store(self.settings).read(key)
        except ObjectMissing:
            return None

    def keys(self, prefix: str) -> list[str]:
        """Keys of the objects of the store."""
        return sorted(open_store(self.settings).keys(prefix))

    def tags(self, request: RunRequest) -> dict[str, str]:
        """The tags that Dagster gives to the run of a request, whose partition is there from here on."""
        assert request.partition_key is not None
        assert request.run_key is not None
        self.instance.add_dynamic_partitions(str(visualization_transforms.name), [request.partition_key])
        return {**request.tags, "dagster/partition": request.partition_key, RUN_KEY: request.run_key}
