"""Progress: each percent once, over NATS where somebody waits, and never in the way of the job."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dagster import DagsterRun
from nats.aio.client import Client

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.run_tags import tags_for
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets.operations.processes import free_port
from vis_assets.protocol.stages import Stage
from vis_assets.resources.progress import NatsProgress, each_percent
from vis_assets.resources.specs import Spec
from vis_assets_tests.protocol.messages import EXAMPLE, parsed

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]
READ = parsed()
SPEC = Spec(READ.job, READ.dialect)
TAGS = tags_for(JobRecord(READ.job.job_id, READ.job.partition_key, 456, READ.job.owner, (1, 1), "$JS.ACK.x"), "w")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS server."""
    running = start_nats(tmp_path_factory.mktemp("nats"))
    yield running
    running.child.stop()


def published(server: EmbeddedNats, run: DagsterRun) -> list[dict[str, Any]]:
    """What is heard while a stage of that run reports ten steps."""
    with NatsConnection(server.url, "test") as listener:
        subscription = listener.run(_listen)
        progress = NatsProgress(server.url, "worker.result.visualization")
        report = progress.of(run, SPEC, Stage.CLUSTERING)
        for done in range(11):
            report(done, 10)
        progress.close()

        async def collect(client: Client) -> list[dict[str, Any]]:
            await client.flush()
            return [json.loads((await subscription.next_msg(1)).data) for _ in range(subscription.pending_msgs)]

        return listener.run(collect)


async def _listen(client: Client) -> Any:
    subscription = await client.subscribe("worker.result.visualization")
    await client.flush()
    return subscription


def test_a_run_of_a_message_is_followed(server: EmbeddedNats) -> None:
    """A run that serves a message publishes its progress, in order, in the words of 000."""
    heard = published(server, DagsterRun("j", tags=TAGS))
    assert [message["statsJson"]["progress_percent"] for message in heard] == [
        55,
        56,
        58,
        59,
        61,
        62,
        64,
        65,
        67,
        68,
        70,
    ]
    assert {message["statsJson"]["stage"] for message in heard} == {"clustering"}
    assert {message["jobId"] for message in heard} == {EXAMPLE["job_id"]}


@pytest.mark.parametrize(
    "run", [DagsterRun("j"), DagsterRun("j", tags=TAGS, parent_run_id="p", root_run_id="p")], ids=["ui", "copy"]
)
def test_other_runs_report_to_nobody(server: EmbeddedNats, run: DagsterRun) -> None:
    """A launch from the UI and a re-execution publish no progress."""
    assert published(server, run) == []


def test_without_nats_the_job_goes_on() -> None:
    """Where NATS cannot be reached progress is silent, and tried once only."""
    progress = NatsProgress(f"nats://127.0.0.1:{free_port()}", "worker.result.visualization")
    report = progress.of(DagsterRun("j", tags=TAGS), SPEC, Stage.CLUSTERING)
    for done in range(11):
        report(done, 10)
    progress.close()


def test_nats_that_goes_away_does_not_stop_the_job(tmp_path: Path) -> None:
    """When NATS disappears in the middle of a stage, the stage goes on."""
    server = start_nats(tmp_path)
    progress = NatsProgress(server.url, "worker.result.visualization")
    report = progress.of(DagsterRun("j", tags=TAGS), SPEC, Stage.CLUSTERING)
    report(0, 10)
    server.child.stop()
    for done in range(1, 11):
        report(done, 10)
    progress.close()


def test_each_percent_is_told_once() -> None:
    """However often a stage reports, only the first and each higher percent is passed on."""
    told: list[int] = []
    report = each_percent(Stage.NAMING_CLUSTERS, told.append)
    for done in (0, 0, 1, 500, 400, 1000, 1000):
        report(done, 1000)
    assert told == [72, 78, 85]
