"""Writes topics and places back into the points they came from, so that a search can filter by topic.

Every point on the map gets, in the payload key `vis_assets`, one entry for each visualization transform:

    "vis_assets": {
      "123": {                                  the visualization_transform_id: transforms do not touch each other's
        "cluster": 7,                           finest layer, -1 = in no cluster
        "cluster_name": "Invoices",             missing where cluster is -1
        "cluster_1": 2,                         next coarser layer, as many as there are
        "topics": ["Invoices", "Finance"],      names over all layers, the finest first
        "x": -1.25, "y": 3.5,
        "job_id": "6d1c…"                       the job that wrote it
      }
    }

    {"key": "vis_assets.123.topics", "match": {"value": "Finance"}}      all points of a topic, whatever its layer
    {"key": "vis_assets.123.cluster", "match": {"value": 7}}             all points of a cluster

Writing again changes nothing. Points that were on an earlier map of the transform and are not on this one lose their
entry. Nothing else in a payload is touched, and no index is made.
"""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import PointsMismatch, SourceRejected, SourceUnavailable, Unauthorized
from vis_assets.sources.hosts import split_url
from vis_assets.sources.points import AccessPolicy, OnProgress, SourceRequest
from vis_assets.sources.qdrant import DATABASE_TYPE as QDRANT
from vis_assets.sources.qdrant_connection import Connection, connect
from vis_assets.sources.qdrant_errors import call
from vis_assets.sources.texts import WRITTEN_BACK

MOST_SECONDS = 600.0
"""Time that writing back may take: it belongs to the time of the job, whose map waits for it."""
POINTS_PER_REQUEST = 500
COORDINATE_DECIMALS = 5
_FIRST_VERSION_WITH_KEYS = (1, 8)
"""Of Qdrant; older ones overlook into which key a payload goes, and would write it beside the point's own fields."""


@dataclass(frozen=True)
class PlacedPoints:
    """Where n points lie on a map, and in which clusters. Row i of every field is the same point.

    Attributes:
        ids: as the source gave them.
        coordinates: (n, 2) float32.
        labels: one (n,) int32 array a layer, the finest first; -1 = in no cluster.
        names: one list a layer, index = label.

    Raises:
        PointsMismatch: the fields speak of different numbers of points or layers, or a label has no name.
    """

    ids: Sequence[str]
    coordinates: npt.NDArray[np.float32]
    labels: Sequence[npt.NDArray[np.int32]]
    names: Sequence[Sequence[str]]

    def __post_init__(self) -> None:
        """Refuse what would write one point's topic into another."""
        n = len(self.ids)
        if self.coordinates.shape != (n, 2) or any(layer.shape != (n,) for layer in self.labels):
            raise PointsMismatch(f"{n} points have places or labels of another number; materialize html_map again")
        if not self.labels or len(self.labels) != len(self.names):
            raise PointsMismatch(f"{len(self.labels)} layers of clusters have {len(self.names)} lists of names")
        for layer, names in zip(self.labels, self.names, strict=True):
            if layer.max(initial=-1) >= len(names):
                raise PointsMismatch(f"cluster {int(layer.max())} has no name; materialize cluster_names again")


@dataclass(frozen=True)
class WriteBackResult:
    """What was written.

    Attributes:
        points: number of points that were sent; those deleted meanwhile are among them.
        notes: what the user should know.
    """

    points: int
    notes: tuple[str, ...] = ()


def write_back(
    request: SourceRequest,
    policy: AccessPolicy,
    transform_id: str,
    job_id: str,
    placed: PlacedPoints,
    on_progress: OnProgress,
) -> WriteBackResult:
    """Write into each point's payload where it lies, as the module says; points deleted meanwhile are left out.

    Args:
        request: whose points; its filter and vector do not matter.
        policy: which hosts jobs may reach.
        transform_id: visualization_transform_id, digits.
        job_id: the job that made the map.
        placed: what to write.
        on_progress: called after each request, with points written and points there are.

    Raises:
        SourceRejected: the source cannot be written, or this Qdrant is too old.
        Unauthorized: the API key may read only.
        SourceUnavailable: unreachable, overloaded or too slow, after a few retries; what was written stays.
    """
    _require_writable(request)
    with connect(request, policy) as connection:
        _require_keys(connection)
        try:
            _write(connection, request.collection, transform_id, job_id, placed, on_progress)
            notes = _forget_others(connection, request.collection, transform_id, job_id)
        except Unauthorized:
            given = "the API key" if request.api_key else "anyone without an API key"
            raise Unauthorized(
                f"{connection.target.server} does not let {given} write into {request.collection!r:.300}; "
                "set vector_database_config.api_key to one that may, or leave visualization_config.write_back off"
            ) from None
    return WriteBackResult(len(placed.ids), notes)


def _require_writable(request: SourceRequest) -> None:
    if request.database_type != QDRANT or split_url(request.connection_url).scheme == "file":
        raise SourceRejected(
            "topics can be written back to a Qdrant server only, not into files or a folder; "
            "leave visualization_config.write_back off"
        )


def _require_keys(connection: Connection) -> None:
    version = call(connection.target, connection.client.info).version
    numbers = re.match(r"v?(\d+)\.(\d+)", version)
    if numbers and (int(numbers[1]), int(numbers[2])) < _FIRST_VERSION_WITH_KEYS:
        raise SourceRejected(
            f"{connection.target.server} has version {version}, which cannot write into a part of a payload; "
            "update it to 1.8 or later, or leave visualization_config.write_back off"
        )


def _write(
    connection: Connection, collection: str, transform_id: str, job_id: str, placed: PlacedPoints, progress: OnProgress
) -> None:
    from qdrant_client import models

    def operation(entry: dict[str, Any], **which: Any) -> models.SetPayloadOperation:
        payload = {transform_id: entry | {"job_id": job_id}}
        return models.SetPayloadOperation(set_payload=models.SetPayload(payload=payload, key=WRITTEN_BACK, **which))

    count = len(placed.ids)
    until = time.monotonic() + MOST_SECONDS
    for start in range(0, count, POINTS_PER_REQUEST):
        if time.monotonic() > until:
            raise SourceUnavailable(f"{start} of {count} points were written in {MOST_SECONDS:.0f} s, and no more")
        stop = min(start + POINTS_PER_REQUEST, count)
        entries = _entries(placed, start, stop)
        operations = [operation(entry, points=[point_id]) for point_id, entry in entries]
        _send(connection, collection, operations, wait=False)
        progress(stop, count)
    # A server that is waited for gives a request up at the first id that is gone, but not at a filter that lets nothing
    # through. It does things in order: what is waited for last says that all is done.
    for point_id, entry in _entries(placed, count - 1, count):
        only = models.Filter(must=[models.HasIdCondition(has_id=[point_id])])
        _send(connection, collection, [operation(entry, filter=only)], wait=True)


def _send(connection: Connection, collection: str, operations: Sequence[Any], *, wait: bool) -> None:
    call(connection.target, lambda: connection.client.batch_update_points(collection, operations, wait=wait))


def _entries(placed: PlacedPoints, start: int, stop: int) -> Iterator[tuple[int | str, dict[str, Any]]]:
    """Give id and entry of these rows, as the module says, without the job."""
    places = np.round(placed.coordinates[start:stop].astype(np.float64), COORDINATE_DECIMALS).tolist()
    labels = [layer[start:stop].tolist() for layer in placed.labels]
    for i, (x, y) in enumerate(places):
        clusters = [layer[i] for layer in labels]
        entry: dict[str, Any] = {"cluster" if not k else f"cluster_{k}": found for k, found in enumerate(clusters)}
        topics = [names[found] for names, found in zip(placed.names, clusters, strict=True) if found >= 0]
        if clusters[0] >= 0:
            entry["cluster_name"] = topics[0]
        yield point_id_of(placed.ids[start + i]), entry | {"topics": topics, "x": x, "y": y}


def point_id_of(text: str) -> int | str:
    """Turn an id as the sources write it into Qdrant's own: a number, or a UUID as text."""
    return int(text) if text.isascii() and text.isdigit() else text


def _forget_others(connection: Connection, collection: str, transform_id: str, job_id: str) -> tuple[str, ...]:
    """Remove what other jobs of the transform wrote: of points that are no longer on its map."""
    from qdrant_client import models

    writer = f"{WRITTEN_BACK}.{transform_id}.job_id"
    others = models.Filter(
        must_not=[
            models.IsEmptyCondition(is_empty=models.PayloadField(key=writer)),
            models.FieldCondition(key=writer, match=models.MatchValue(value=job_id)),
        ]
    )
    removal = models.DeletePayload(keys=[f"{WRITTEN_BACK}.{transform_id}"], filter=others)
    try:
        _send(connection, collection, [models.DeletePayloadOperation(delete_payload=removal)], wait=True)
    except Unauthorized:
        raise
    except (SourceRejected, SourceUnavailable) as error:
        # Large collections take long without an index, and in strict mode Qdrant filters by indexed fields only.
        return (
            f"topics of an earlier map may remain in points that are not on this one ({error}); "
            f"a keyword index on {writer} lets them be removed",
        )
    return ()
