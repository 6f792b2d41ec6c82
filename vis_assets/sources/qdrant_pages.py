"""Reads one page of a collection, by gRPC messages or by the client's records, into arrays."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import VectorUnusable
from vis_assets.sources.qdrant_connection import TIMEOUT_SECONDS, Connection
from vis_assets.sources.qdrant_errors import call
from vis_assets.sources.texts import Payload
from vis_assets.sources.writer import BATCH_BYTES

if TYPE_CHECKING:
    from qdrant_client import models

SMALLEST_PAGE = 64
LARGEST_PAGE = 2048
FIRST_PAGE = 256
DEFAULT_VECTOR = ""
"""The name under which an unnamed vector appears beside named ones."""


@dataclass(frozen=True)
class Selection:
    """Which points of a collection to read, and which of their vectors.

    Attributes:
        collection: name.
        vector_name: "" for the unnamed one.
        dimension: of that vector.
        filter: None for all points.
    """

    collection: str
    vector_name: str
    dimension: int
    filter: "models.Filter | None"


@dataclass(frozen=True)
class Page:
    """Points of one page that have the vector.

    Attributes:
        ids: m ids as text.
        vectors: (m, d) float32.
        payloads: m payloads.
        without_vector: number of points left out because they lack the vector.
        next_offset: where the next page starts, None after the last one.
    """

    ids: list[str]
    vectors: npt.NDArray[np.float32]
    payloads: list[Payload]
    without_vector: int
    next_offset: Any


def read_page(connection: Connection, selection: Selection, offset: Any, limit: int) -> Page:
    """Read up to `limit` points from `offset` on, ascending by id; transient errors are tried again.

    Raises:
        VectorUnusable: a vector has another dimension than the collection says.
        SourceUnavailable, SourceRejected: as `qdrant_errors` says.
    """
    if connection.over_grpc:
        return _read_over_grpc(connection, selection, offset, limit)
    return _read_records(connection, selection, offset, limit)


def page_limit(page: Page | None, selection: Selection) -> int:
    """Return how many points to ask for so that a page is about 4 MB, judging by the page before."""
    if page is None or not page.ids:
        return FIRST_PAGE
    payload_bytes = sum(_text_length(payload) for payload in page.payloads) / len(page.payloads)
    return int(min(max(BATCH_BYTES / (4 * selection.dimension + payload_bytes + 64), SMALLEST_PAGE), LARGEST_PAGE))


def _text_length(payload: Payload) -> int:
    # Long strings are what makes payloads large; anything else is counted by its few bytes.
    return sum(len(value) if isinstance(value, str) else 16 for value in payload.values())


def _read_over_grpc(connection: Connection, selection: Selection, offset: Any, limit: int) -> Page:
    from qdrant_client import grpc
    from qdrant_client.conversions.conversion import RestToGrpc, grpc_to_payload

    names = [selection.vector_name] if selection.vector_name else None
    message = grpc.ScrollPoints(
        collection_name=selection.collection,
        filter=None if selection.filter is None else RestToGrpc.convert_filter(selection.filter),
        offset=offset,
        limit=limit,
        with_payload=grpc.WithPayloadSelector(enable=True),
        with_vectors=RestToGrpc.convert_with_vectors(names or True),
    )
    answer = call(connection.target, lambda: connection.client.grpc_points.Scroll(message, timeout=TIMEOUT_SECONDS))
    rows = _Rows(selection, len(answer.result))
    for point in answer.result:
        vector = dense_vector(point.vectors, selection.vector_name)
        if vector is not None:
            point_id = point.id.uuid or str(point.id.num)
            rows.append(point_id, vector, grpc_to_payload(point.payload))
    return rows.page(len(answer.result), answer.next_page_offset if answer.HasField("next_page_offset") else None)


def dense_vector(vectors: Any, name: str) -> npt.NDArray[np.float32] | None:
    """Cut one vector out of a point's gRPC message.

    Args:
        vectors: `VectorsOutput`.
        name: of a named vector, "" for the unnamed one.

    Returns:
        (d,) float32, or None if the point has no such vector.
    """
    options = vectors.WhichOneof("vectors_options")
    if options == "vector":
        output = vectors.vector
    elif options == "vectors" and name in vectors.vectors.vectors:
        output = vectors.vectors.vectors[name]
    else:
        return None
    if output.WhichOneof("vector") == "dense":
        # Packed floats are the message's only field: cutting them out of it is seven times faster than reading each.
        size_bytes = 4 * len(output.dense.data)
        message = output.dense.SerializeToString()
        return np.frombuffer(message[len(message) - size_bytes :], dtype="<f4")
    # Older servers fill the field that `dense` has replaced.
    return np.array(output.data[:], dtype=np.float32) if output.data else None


def _read_records(connection: Connection, selection: Selection, offset: Any, limit: int) -> Page:
    names = [selection.vector_name] if selection.vector_name else None
    records, next_offset = call(
        connection.target,
        lambda: connection.client.scroll(
            selection.collection,
            scroll_filter=selection.filter,
            limit=limit,
            offset=offset,
            with_payload=True,
            with_vectors=names or True,
        ),
    )
    rows = _Rows(selection, len(records))
    for record in records:
        named = record.vector
        vector = named.get(selection.vector_name) if isinstance(named, dict) else named
        if vector:
            rows.append(str(record.id), np.asarray(vector, dtype=np.float32), record.payload or {})
    return rows.page(len(records), next_offset)


class _Rows:
    """The points of a page while it is read."""

    def __init__(self, selection: Selection, capacity: int) -> None:
        self._selection = selection
        self._matrix = np.empty((capacity, selection.dimension), dtype=np.float32)
        self._ids: list[str] = []
        self._payloads: list[Payload] = []

    def append(self, point_id: str, vector: npt.NDArray[np.float32], payload: Payload) -> None:
        if vector.shape != (self._selection.dimension,):
            raise VectorUnusable(
                f"point {point_id} of the collection {self._selection.collection!r:.300} has a vector of shape "
                f"{vector.shape}, where the collection says {self._selection.dimension} numbers"
            )
        self._matrix[len(self._ids)] = vector
        self._ids.append(point_id)
        self._payloads.append(payload)

    def page(self, points_read: int, next_offset: Any) -> Page:
        count = len(self._ids)
        return Page(self._ids, self._matrix[:count], self._payloads, points_read - count, next_offset)
