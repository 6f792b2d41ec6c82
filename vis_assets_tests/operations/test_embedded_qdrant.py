"""The embedded Qdrant, spoken to with Qdrant's own client over the wire."""

import json
import socket
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from qdrant_client import QdrantClient, models

from vis_assets.errors import SourceUnavailable
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.sources import fetch_points
from vis_assets.sources.points import POINTS_SCHEMA, AccessPolicy, SourceRequest
from vis_assets.sources.qdrant import check_connection

pytestmark = pytest.mark.enable_socket

LOOPBACK_ALLOWED = AccessPolicy(allowed_hosts=frozenset({"127.0.0.1"}))
COSINE = models.VectorParams(size=2, distance=models.Distance.COSINE)


def table_of(count: int) -> pa.Table:
    """`count` rows of POINTS_SCHEMA with numbers as ids."""
    rows = range(count)
    columns = [[str(i) for i in rows], [f"document {i}" for i in rows], [json.dumps({"n": i}) for i in rows]]
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=POINTS_SCHEMA)


@pytest.fixture
def server() -> Iterator[EmbeddedQdrant]:
    """A server on a free port."""
    with EmbeddedQdrant() as server:
        yield server


@pytest.fixture
def client(server: EmbeddedQdrant) -> Iterator[QdrantClient]:
    """Qdrant's client, connected by gRPC."""
    client = QdrantClient(
        host="127.0.0.1", port=server.port, grpc_port=server.port, prefer_grpc=True, check_compatibility=False
    )
    yield client
    client.close()


def test_client_writes_and_reads(client: QdrantClient) -> None:
    """Collections and points written by the client come back to it."""
    assert client.info().title == "embedded"
    assert not client.collection_exists("c")
    client.create_collection("c", vectors_config=COSINE)
    client.upsert("c", [models.PointStruct(id=i, vector=[1.0, float(i)], payload={"i": i}) for i in range(5)])
    assert client.collection_exists("c")
    assert [collection.name for collection in client.get_collections().collections] == ["c"]
    assert client.get_collection("c").config.params.vectors == COSINE
    condition = models.Filter(must=[models.FieldCondition(key="i", range=models.Range(gte=2))])
    assert client.count("c", count_filter=condition).count == 3
    records, following = client.scroll("c", scroll_filter=condition, limit=2, with_vectors=True, with_payload=["i"])
    assert [record.id for record in records] == [2, 3]
    assert records[0].payload == {"i": 2}
    assert records[0].vector == pytest.approx([0.4472, 0.8944], abs=1e-4)
    assert following == 4
    records, following = client.scroll("c", offset=4, with_payload=False)
    assert ([record.payload for record in records], records[0].vector, following) == ([{}], None, None)


def test_named_and_sparse_vectors(client: QdrantClient) -> None:
    """Collections of named and sparse vectors can be made, filled and read."""
    client.create_collection(
        "c", vectors_config={"a": COSINE}, sparse_vectors_config={"s": models.SparseVectorParams()}
    )
    vectors: Any = {"a": [0.0, 1.0], "s": models.SparseVector(indices=[3], values=[2.0])}
    client.upsert("c", [models.PointStruct(id=1, vector=vectors)])
    assert client.scroll("c", with_vectors=["a"])[0][0].vector == {"a": [0.0, 1.0]}
    assert client.scroll("c", with_vectors=True)[0][0].vector == vectors


@pytest.mark.parametrize(
    ("call", "code"),
    [
        (lambda client: client.get_collection("none"), grpc.StatusCode.NOT_FOUND),
        (lambda client: client.count("none"), grpc.StatusCode.NOT_FOUND),
        (lambda client: client.scroll("none"), grpc.StatusCode.NOT_FOUND),
        (lambda client: client.create_collection("", vectors_config=COSINE), grpc.StatusCode.INVALID_ARGUMENT),
        (lambda client: client.delete_collection("none"), grpc.StatusCode.UNIMPLEMENTED),
        (lambda client: client.query_points("none", [1.0, 2.0]), grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_statuses(client: QdrantClient, call: Callable[[QdrantClient], object], code: grpc.StatusCode) -> None:
    """Errors have the statuses of a real server."""
    with pytest.raises(grpc.RpcError) as caught:
        call(client)
    assert caught.value.code() is code


def test_url_says_grpc(server: EmbeddedQdrant) -> None:
    """The URL of a port that is not Qdrant's names the protocol."""
    assert server.url == f"grpc://127.0.0.1:{server.port}"


def test_taken_port(server: EmbeddedQdrant) -> None:
    """Two servers do not share a port."""
    with pytest.raises(RuntimeError, match="bind"):
        EmbeddedQdrant(server.port)


def test_loaded_corpus_is_fetched(server: EmbeddedQdrant, tmp_path: Path) -> None:
    """What is loaded is what a job fetches; loading again replaces it."""
    vectors = np.random.default_rng(0).normal(size=(2500, 2)).astype(np.float32)
    server.load_corpus("c", vectors[:10], table_of(10))
    server.load_corpus("c", vectors, table_of(2500))
    request = SourceRequest("qdrant", server.url, "c")
    points = fetch_points(request, LOOPBACK_ALLOWED, tmp_path, lambda done, total: None)
    assert points.table.equals(table_of(2500).set_column(2, "payload", [[f'{{"n":{i}}}' for i in range(2500)]]))
    np.testing.assert_allclose(points.vectors, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), rtol=1e-5)


def test_ids_that_qdrant_does_not_know(server: EmbeddedQdrant) -> None:
    """Ids that are neither numbers nor UUIDs become row numbers."""
    uuid = "550e8400-e29b-41d4-a716-446655440000"
    table = table_of(3).set_column(0, "id", [["x", uuid, "7"]])
    server.load_corpus("c", np.ones((3, 2), np.float32), table)
    assert {record.id for record in server.client.scroll("c")[0]} == {0, uuid, 7}


def test_process_serves_and_the_fetch_stays_small(tmp_path: Path) -> None:
    """A process of its own serves files, and fetching them keeps only batches of vectors in Python's memory."""
    count, dimension = 20_000, 256
    vectors = np.random.default_rng(0).normal(size=(count, dimension)).astype(np.float32)
    np.save(tmp_path / "corpus.npy", vectors)
    pq.write_table(table_of(count), tmp_path / "corpus.parquet")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    module = "vis_assets.operations.embedded_qdrant"
    files = [str(tmp_path / "corpus.npy"), str(tmp_path / "corpus.parquet")]
    process = subprocess.Popen([sys.executable, "-m", module, "c", *files, "--port", str(port)])
    try:
        request = SourceRequest("qdrant", f"grpc://127.0.0.1:{port}", "c")
        _wait_until_loaded(request)
        tracemalloc.start()
        points = fetch_points(request, LOOPBACK_ALLOWED, tmp_path, lambda done, total: None)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    finally:
        process.terminate()
        process.wait()
    assert points.vectors.shape == (count, dimension)
    assert peak < vectors.nbytes


def _wait_until_loaded(request: SourceRequest) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if check_connection(request, LOOPBACK_ALLOWED).endswith("1 collections"):
                return
        except SourceUnavailable:
            time.sleep(0.2)
    pytest.fail("the embedded Qdrant did not start")
