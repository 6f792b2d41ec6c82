"""A real NATS server, a real Dagster instance, and the sensors between them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets_tests.sensors.door import Door


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """One server for all tests that only talk to it."""
    server = start_nats(tmp_path_factory.mktemp("nats"))
    yield server
    server.child.stop()


@pytest.fixture(autouse=True)
def _short_ticks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tick that finds nothing ends sooner than a real one: nobody waits for it here."""
    monkeypatch.setattr("vis_assets.sensors.job_queue.TICK_SECONDS", 1.5)


@pytest.fixture
def door(tmp_path: Path, nats_server: EmbeddedNats) -> Iterator[Door]:
    """An installation with an empty queue."""
    with DagsterInstance.ephemeral() as instance, Door(tmp_path, nats_server.url, instance) as made:
        yield made


@pytest.fixture
def queued_door(tmp_path: Path, nats_server: EmbeddedNats) -> Iterator[Door]:
    """An installation whose Dagster keeps its records on disk and queues runs, as the real one does."""
    home = tmp_path / "dagster"
    home.mkdir()
    queue = {"module": "dagster._core.run_coordinator", "class": "QueuedRunCoordinator"}
    with (
        DagsterInstance.local_temp(str(home), overrides={"run_coordinator": queue}) as instance,
        Door(tmp_path, nats_server.url, instance) as made,
    ):
        yield made
