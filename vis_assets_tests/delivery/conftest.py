"""A real NATS server for the tests of delivery."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vis_assets.delivery.connection import NatsConnection
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets_tests.servers.nats_streams import forget_streams


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """One server for all tests that only talk to it."""
    server = start_nats(tmp_path_factory.mktemp("nats"))
    yield server
    server.child.stop()


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[EmbeddedNats]:
    """A server that the test may stop."""
    server = start_nats(tmp_path)
    yield server
    server.child.stop()


@pytest.fixture
def nats(nats_server: EmbeddedNats) -> Iterator[NatsConnection]:
    """A connection to a server without any stream."""
    with NatsConnection(nats_server.url, "test") as connection:
        connection.run(forget_streams)
        yield connection
