"""What every source returns: the points of one collection, rows in one order."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

OnProgress = Callable[[int, int], None]
"""Called with (points fetched so far, points expected)."""

POINTS_SCHEMA = pa.schema([("id", pa.string()), ("text", pa.string()), ("payload", pa.string())])
"""Columns of `PointSet.table`: point id as text, the document (empty where it has none), its other payload as JSON."""


@dataclass(frozen=True)
class SourceRequest:
    """What a job says about its points.

    Attributes:
        database_type: name of a source in the registry, e.g. "qdrant".
        connection_url: http(s)://host:port (port 6334 means gRPC), grpc(s)://host:port, or file:///path for what lies
            on this machine.
        collection: name of the collection; unused by file sources.
        api_key: secret, or None.
        filter: Qdrant payload filter as its JSON form, or None for all points.
        vector_name: which named vector; None picks the only one there is.
        text_field: payload field that holds the document; None detects it.
    """

    database_type: str
    connection_url: str
    collection: str
    api_key: str | None = field(default=None, repr=False)
    filter: dict[str, Any] | None = None
    vector_name: str | None = None
    text_field: str | None = None


@dataclass(frozen=True)
class AccessPolicy:
    """Which hosts and folders a job may reach (operator's decision, never the job's).

    Attributes:
        allowed_hosts: None = any host but loopback, link-local and metadata addresses; else exactly these, and where
            `*` is among them also whatever None allows.
        local_root: folder under which file:// sources may lie; None = no file sources.
    """

    allowed_hosts: frozenset[str] | None = None
    local_root: Path | None = None


@dataclass(frozen=True)
class PointSet:
    """Points of one collection; row i of `vectors` and of `table` is the same point.

    Attributes:
        vectors: (n, d) float32, usually a read-only memory map of an `.npy` file.
        table: n rows of `POINTS_SCHEMA`.
        text_field: payload field that the text came from; None where no point has text.
        notes: what the user should know, e.g. points skipped for lack of a vector.
    """

    vectors: npt.NDArray[np.float32]
    table: pa.Table
    text_field: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Number of points."""
        return int(self.vectors.shape[0])

    @property
    def dimension(self) -> int:
        """Length of each vector."""
        return int(self.vectors.shape[1])
