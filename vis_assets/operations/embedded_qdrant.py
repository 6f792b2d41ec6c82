"""A small Qdrant that needs no Docker: Qdrant's gRPC protocol over the in-memory local mode of its Python client.

It serves the demo, and the tests of the wire. It knows what a reader of collections needs (health check, list, get,
exists, create, upsert, count, scroll), and batches of updates; every other call answers UNIMPLEMENTED.
"""

import hmac
import importlib.metadata
import json
import re
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from qdrant_client import QdrantClient

LOOPBACK = "127.0.0.1"
GRPC_PORT = 6334
UPSERT_POINTS = 1000


class EmbeddedQdrant:
    """A gRPC server on 127.0.0.1; use it as a context manager.

    Attributes:
        port: the port it listens on.
        client: the in-memory database behind it, which is not made for several threads.
        lock: hold it to use `client` while requests are served.
    """

    def __init__(self, port: int = 0, api_key: str | None = None, tls: tuple[bytes, bytes] | None = None) -> None:
        """Bind the port (0: a free one).

        Args:
            port: TCP port on 127.0.0.1.
            api_key: what callers must send as `api-key`, None for no check.
            tls: private key and certificate, both PEM, or None for plain text.

        Raises:
            RuntimeError: the port is taken.
        """
        import grpc
        from qdrant_client import QdrantClient

        self.client = QdrantClient(":memory:")
        self.lock = threading.Lock()
        self._scheme = "https" if tls else "http"
        self._server = grpc.server(ThreadPoolExecutor(max_workers=4), options=[("grpc.so_reuseport", 0)])
        self._server.add_generic_rpc_handlers(tuple(_handlers(_Services(self.client, self.lock), api_key)))
        address = f"{LOOPBACK}:{port}"
        if tls:
            self.port: int = self._server.add_secure_port(address, grpc.ssl_server_credentials([tls]))
        else:
            self.port = self._server.add_insecure_port(address)

    @property
    def url(self) -> str:
        """The connection URL, e.g. `http://127.0.0.1:6334`; other ports than 6334 say gRPC in the scheme."""
        if self.port == GRPC_PORT:
            return f"{self._scheme}://{LOOPBACK}:{self.port}"
        return f"{'grpcs' if self._scheme == 'https' else 'grpc'}://{LOOPBACK}:{self.port}"

    def __enter__(self) -> Self:
        """Start to serve."""
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop at once."""
        self._server.stop(grace=None).wait()
        self.client.close()

    def wait(self) -> None:
        """Block until the server stops."""
        self._server.wait_for_termination()

    def load_corpus(self, name: str, vectors: npt.NDArray[np.float32], table: pa.Table) -> None:
        """Create a collection (cosine) from vectors and a table of `POINTS_SCHEMA`; one of that name is replaced.

        Args:
            name: of the collection.
            vectors: (n, d) float32.
            table: n rows: id (a number, a UUID, or any text, which then becomes the row number), text, payload.
        """
        with self.lock:
            self._load(name, vectors, table)

    def _load(self, name: str, vectors: npt.NDArray[np.float32], table: pa.Table) -> None:
        from qdrant_client import models

        if self.client.collection_exists(name):
            self.client.delete_collection(name)
        params = models.VectorParams(size=int(vectors.shape[1]), distance=models.Distance.COSINE)
        self.client.create_collection(name, vectors_config=params)
        for start in range(0, table.num_rows, UPSERT_POINTS):
            rows = table.slice(start, UPSERT_POINTS).to_pylist()
            points = [
                models.PointStruct(
                    id=_point_id(row["id"], start + i),
                    vector=vectors[start + i].tolist(),
                    payload={**json.loads(row["payload"] or "{}"), "text": row["text"]},
                )
                for i, row in enumerate(rows)
            ]
            with warnings.catch_warnings():
                # It warns about collections of more than 20,000 points, which work.
                warnings.simplefilter("ignore", UserWarning)
                self.client.upsert(name, points)


def serve(collection: str, vectors_file: Path, table_file: Path, port: int) -> None:
    """Serve one collection until the process is stopped.

    Args:
        collection: its name.
        vectors_file: `.npy`, (n, d) float32.
        table_file: Parquet of `POINTS_SCHEMA`, n rows.
        port: TCP port on 127.0.0.1.
    """
    server = EmbeddedQdrant(port)
    # Callers that connect while it loads are answered once it is done, and never see half of the collection.
    server.load_corpus(collection, np.load(vectors_file, mmap_mode="r"), pq.read_table(table_file))
    with server:
        server.wait()


def _point_id(text: str, row: int) -> int | str:
    if text.isascii() and text.isdigit():
        return int(text)
    return text if re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) else row


class _Services:
    """The calls by name; each takes a request message and returns the answer's."""

    def __init__(self, client: "QdrantClient", lock: threading.Lock) -> None:
        self._client = client
        self._lock = lock

    def __call__(self, name: str) -> Callable[[Any], Any] | None:
        method: Callable[[Any], Any] | None = getattr(self, name.lower(), None)
        return partial(self._alone, method) if method else None

    def _alone(self, method: Callable[[Any], Any], request: Any) -> Any:
        with self._lock:
            return method(request)

    def qdrant_healthcheck(self, request: Any) -> Any:
        from qdrant_client import grpc

        return grpc.HealthCheckReply(title="embedded", version=importlib.metadata.version("qdrant-client"))

    def collections_list(self, request: Any) -> Any:
        from qdrant_client import grpc

        names = [collection.name for collection in self._client.get_collections().collections]
        return grpc.ListCollectionsResponse(collections=[grpc.CollectionDescription(name=name) for name in names])

    def collections_get(self, request: Any) -> Any:
        from qdrant_client import grpc
        from qdrant_client.conversions.conversion import RestToGrpc

        info = self._client.get_collection(request.collection_name)
        return grpc.GetCollectionInfoResponse(result=RestToGrpc.convert_collection_info(info))

    def collections_collectionexists(self, request: Any) -> Any:
        from qdrant_client import grpc

        exists = self._client.collection_exists(request.collection_name)
        return grpc.CollectionExistsResponse(result=grpc.CollectionExists(exists=exists))

    def collections_create(self, request: Any) -> Any:
        from qdrant_client import grpc
        from qdrant_client.conversions.conversion import GrpcToRest

        vectors = (
            GrpcToRest.convert_vectors_config(request.vectors_config) if request.HasField("vectors_config") else {}
        )
        sparse = GrpcToRest.convert_sparse_vector_config(request.sparse_vectors_config)
        created = self._client.create_collection(
            request.collection_name, vectors_config=vectors, sparse_vectors_config=sparse or None
        )
        return grpc.CollectionOperationResponse(result=created)

    def points_upsert(self, request: Any) -> Any:
        from qdrant_client import grpc
        from qdrant_client.conversions.conversion import GrpcToRest

        points = [GrpcToRest.convert_point_struct(point) for point in request.points]
        self._client.upsert(request.collection_name, points)
        return grpc.PointsOperationResponse(result=grpc.UpdateResult(status=grpc.UpdateStatus.Completed))

    def points_updatebatch(self, request: Any) -> Any:
        from qdrant_client import grpc
        from qdrant_client.conversions.conversion import GrpcToRest

        operations = [GrpcToRest.convert_points_update_operation(operation) for operation in request.operations]
        update_in_order(self._client, request.collection_name, operations, wait=request.wait)
        done = grpc.UpdateStatus.Completed if request.wait else grpc.UpdateStatus.Acknowledged
        return grpc.UpdateBatchResponse(result=[grpc.UpdateResult(status=done) for _ in operations])

    def points_count(self, request: Any) -> Any:
        from qdrant_client import grpc

        count = self._client.count(request.collection_name, count_filter=_filter(request)).count
        return grpc.CountResponse(result=grpc.CountResult(count=count))

    def points_scroll(self, request: Any) -> Any:
        from qdrant_client import grpc
        from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc

        with_payload = GrpcToRest.convert_with_payload_selector(request.with_payload)
        with_vectors = GrpcToRest.convert_with_vectors_selector(request.with_vectors)
        records, next_offset = self._client.scroll(
            request.collection_name,
            scroll_filter=_filter(request),
            limit=request.limit or 10,
            offset=GrpcToRest.convert_point_id(request.offset) if request.HasField("offset") else None,
            with_payload=with_payload if request.HasField("with_payload") else False,
            with_vectors=with_vectors if request.HasField("with_vectors") else False,
        )
        for record in records:
            record.payload = record.payload or {}
        return grpc.ScrollResponse(
            result=[RestToGrpc.convert_retrieved_point(record) for record in records],
            next_page_offset=None if next_offset is None else RestToGrpc.convert_extended_point_id(next_offset),
        )


def update_in_order(client: "QdrantClient", collection: str, operations: Sequence[Any], *, wait: bool) -> None:
    """Carry out a batch of updates as a server does: who waits is told of an id that is missing, nobody else is.

    Raises:
        ValueError: an operation is malformed, or names a point that is not there; what follows it is not carried out.
    """
    if not client.collection_exists(collection):
        raise ValueError(f"Collection {collection} not found")
    for operation in operations:
        try:
            client.batch_update_points(collection, [operation])
        except KeyError as missing:
            if wait:
                raise ValueError(f"No point with id {missing} found") from None


def _filter(request: Any) -> Any:
    from qdrant_client.conversions.conversion import GrpcToRest

    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _handlers(services: _Services, api_key: str | None) -> Iterator[Any]:
    """Build gRPC's handlers for every method of Qdrant's services, from the descriptors of its messages."""
    import grpc
    from google.protobuf.message_factory import GetMessageClass
    from qdrant_client.grpc import collections_service_pb2, points_service_pb2, qdrant_pb2

    for file, service in (
        (qdrant_pb2, "Qdrant"),
        (collections_service_pb2, "Collections"),
        (points_service_pb2, "Points"),
    ):
        descriptor = file.DESCRIPTOR.services_by_name[service]
        methods = {
            method.name: grpc.unary_unary_rpc_method_handler(
                partial(_answer, services(f"{service}_{method.name}"), api_key),
                request_deserializer=GetMessageClass(method.input_type).FromString,
                response_serializer=GetMessageClass(method.output_type).SerializeToString,
            )
            for method in descriptor.methods
        }
        yield grpc.method_handlers_generic_handler(descriptor.full_name, methods)


def _answer(method: Callable[[Any], Any] | None, api_key: str | None, request: Any, context: Any) -> Any:
    import grpc

    sent = str(dict(context.invocation_metadata()).get("api-key", ""))
    if api_key is not None and not hmac.compare_digest(sent.encode(), api_key.encode()):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "Invalid API key or JWT")
    if method is None:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "the embedded Qdrant does not know this call")
        raise AssertionError("unreachable: abort raises")
    with _statuses(context):
        return method(request)


@contextmanager
def _statuses(context: Any) -> Iterator[None]:
    """Answer the errors of the local mode with the statuses that a Qdrant server gives."""
    import grpc

    try:
        yield
    except ValueError as error:
        missing = re.fullmatch(r"(Collection|No point with id) .*found", str(error), re.DOTALL) is not None
        context.abort(grpc.StatusCode.NOT_FOUND if missing else grpc.StatusCode.INVALID_ARGUMENT, str(error))
    except NotImplementedError as error:
        context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))


def _main() -> None:
    import argparse

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("collection")
    parser.add_argument("vectors_file", type=Path, help=".npy, float32")
    parser.add_argument("table_file", type=Path, help="Parquet with id, text, payload")
    parser.add_argument("--port", type=int, default=GRPC_PORT)
    arguments = parser.parse_args()
    serve(arguments.collection, arguments.vectors_file, arguments.table_file, arguments.port)


if __name__ == "__main__":
    _main()
