"""Places where a Qdrant collection can be: gRPC, REST, a folder, and a real server where QDRANT_TEST_URL names one."""

import os
import uuid
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from qdrant_client import QdrantClient, models

from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.sources import fetch_points
from vis_assets.sources.points import AccessPolicy, PointSet, SourceRequest
from vis_assets_tests.servers.qdrant_rest import RestQdrant

LOOPBACK_ALLOWED = AccessPolicy(allowed_hosts=frozenset({"127.0.0.1"}))


@dataclass
class Place:
    """A Qdrant to fill and to fetch from."""

    url: str
    policy: AccessPolicy
    change: Callable[[Callable[[QdrantClient], Any]], None]
    folder: Path
    api_key: str | None = None
    collection: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex}")

    def create(self, vectors: Any, points: list[models.PointStruct], sparse: Any = None) -> None:
        """Create the place's collection and fill it."""

        def fill(client: QdrantClient) -> None:
            client.create_collection(self.collection, vectors_config=vectors, sparse_vectors_config=sparse)
            if points:
                client.upsert(self.collection, points, wait=True)

        self.change(fill)

    def fetch(self, **request: Any) -> PointSet:
        """Fetch what is there; the keywords are fields of SourceRequest."""
        progress = request.pop("on_progress", lambda fetched, expected: None)
        asked = SourceRequest("qdrant", self.url, **{"collection": self.collection, "api_key": self.api_key, **request})
        return fetch_points(asked, self.policy, self.folder, progress)


@pytest.fixture(params=["grpc", "rest", "folder", "real"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Every kind of Qdrant in turn; the real one only where QDRANT_TEST_URL is set."""
    fetched = tmp_path / "fetched"
    fetched.mkdir()
    yield from PLACES[request.param](tmp_path, fetched)


@pytest.fixture
def grpc_place(tmp_path: Path) -> Iterator[Place]:
    """The embedded Qdrant over gRPC."""
    yield from _grpc(tmp_path, tmp_path)


@pytest.fixture
def rest_place(tmp_path: Path) -> Iterator[tuple[Place, RestQdrant]]:
    """The REST server, and the place it serves."""
    with RestQdrant() as server:
        yield Place(server.url, LOOPBACK_ALLOWED, lambda change: change(server.client), tmp_path), server


def _grpc(tmp_path: Path, fetched: Path) -> Iterator[Place]:
    with EmbeddedQdrant() as server:
        yield Place(server.url, LOOPBACK_ALLOWED, lambda change: change(server.client), fetched)


def _rest(tmp_path: Path, fetched: Path) -> Iterator[Place]:
    with RestQdrant() as server:
        yield Place(server.url, LOOPBACK_ALLOWED, lambda change: change(server.client), fetched)


def _folder(tmp_path: Path, fetched: Path) -> Iterator[Place]:
    path = tmp_path / "qdrant folder"

    def change(action: Callable[[QdrantClient], Any]) -> None:
        client = QdrantClient(path=str(path))
        action(client)
        client.close()

    yield Place(path.as_uri(), AccessPolicy(local_root=tmp_path), change, fetched)


def _real(tmp_path: Path, fetched: Path) -> Iterator[Place]:
    url = os.environ.get("QDRANT_TEST_URL")
    if not url:
        warnings.warn("no test ran against a real Qdrant: QDRANT_TEST_URL is not set", stacklevel=1)
        pytest.skip("QDRANT_TEST_URL is not set")
    api_key = os.environ.get("QDRANT_TEST_API_KEY")
    parts = urlsplit(url)
    client = QdrantClient(
        host=parts.hostname,
        port=parts.port,
        grpc_port=parts.port or 6334,
        prefer_grpc=parts.port == 6334,
        https=parts.scheme == "https",
        api_key=api_key,
    )
    policy = AccessPolicy(allowed_hosts=frozenset({parts.hostname or ""}))
    place = Place(url, policy, lambda change: change(client), fetched, api_key)
    yield place
    client.delete_collection(place.collection)
    client.close()


PLACES = {"grpc": _grpc, "rest": _rest, "folder": _folder, "real": _real}
