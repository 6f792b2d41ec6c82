"""Points of a Qdrant collection, over gRPC, REST or from a folder of Qdrant's local mode."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from vis_assets.errors import InvalidJob, NoPoints, SourceRejected, VectorUnusable
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest
from vis_assets.sources.qdrant_connection import Connection, connect
from vis_assets.sources.qdrant_errors import Target, call
from vis_assets.sources.qdrant_pages import DEFAULT_VECTOR, Page, Selection, page_limit, read_page
from vis_assets.sources.writer import PointWriter, counted

if TYPE_CHECKING:
    from qdrant_client import models

DATABASE_TYPE = "qdrant"
LARGEST_DIMENSION = 65_536
"""Qdrant's own limit; a server that claims more would make this process run out of memory."""


def fetch_points(request: SourceRequest, policy: AccessPolicy, folder: Path, on_progress: OnProgress) -> PointSet:
    """Scroll through a collection, or what a filter leaves of it, ascending by id.

    Vectors are kept as stored (Qdrant normalises those of cosine collections when they are written). A scroll is no
    snapshot: points are counted before and after, and a difference is noted.

    Raises:
        InvalidJob: malformed URL, collection name or filter.
        VectorUnusable: unknown or ambiguous vector name, sparse or multi-vectors.
        NoPoints: nothing matches, or nothing that matches has the vector.
        SourceRejected, SourceUnavailable: as `qdrant_errors` says.
    """
    _check_collection_name(request.collection)
    payload_filter = parse_filter(request.filter)
    with connect(request, policy) as connection:
        selection = _select(connection, request, payload_filter)
        expected = _count(connection, selection)
        if not expected:
            matching = "no point that the filter lets through" if payload_filter is not None else "no points"
            raise NoPoints(f"the collection {request.collection!r} of {connection.target.server} has {matching}")
        with PointWriter(folder, selection.dimension, request.text_field) as writer:
            without_vector = _scroll(connection, selection, writer, expected, on_progress)
            notes = _notes(connection, selection, expected, without_vector)
            return writer.finish(f"the collection {request.collection!r}", notes)


def check_connection(request: SourceRequest, policy: AccessPolicy) -> str:
    """Ask a Qdrant for its version and collections; the request's collection is not used.

    Returns:
        One line for the user.

    Raises:
        SourceRejected, SourceUnavailable: as `qdrant_errors` says.
    """
    with connect(request, policy) as connection:
        target = Target(connection.target.server, None, connection.target.secret)
        version = call(target, connection.client.info).version
        collections = call(target, connection.client.get_collections).collections
        return f"{target.server}: version {version}, {len(collections)} collections"


def parse_filter(payload_filter: dict[str, Any] | None) -> "models.Filter | None":
    """Validate a filter in Qdrant's JSON form.

    Raises:
        InvalidJob: it is none.
    """
    if payload_filter is None:
        return None
    from pydantic import ValidationError
    from qdrant_client import models

    try:
        return models.Filter.model_validate(payload_filter)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in ("filter", *first["loc"]))
        raise InvalidJob(
            f"filter is no Qdrant filter: {where}: {first['msg']}; it looks like "
            '{"must": [{"key": "lang", "match": {"value": "en"}}]}, see https://qdrant.tech/documentation/concepts/filtering'
        ) from error


def _check_collection_name(collection: str) -> None:
    if not collection or collection in (".", ".."):
        raise InvalidJob(f"qdrant_collection_name is {collection!r}; give the name of a collection")


def _select(connection: Connection, request: SourceRequest, payload_filter: "models.Filter | None") -> Selection:
    params = call(connection.target, lambda: connection.client.get_collection(request.collection)).config.params
    dense: Mapping[str, models.VectorParams]
    dense = params.vectors if isinstance(params.vectors, Mapping) else {}
    if params.vectors is not None and not isinstance(params.vectors, Mapping):
        dense = {DEFAULT_VECTOR: params.vectors}
    name = _vector_name(request, dense, list(params.sparse_vectors or {}))
    if dense[name].multivector_config is not None:
        raise VectorUnusable(
            f"vector_name: the vector {_shown(name)} of the collection {request.collection!r} is a multivector, of "
            f"which a map cannot be made; {_vectors_listed(dense, [])}"
        )
    if not 0 < dense[name].size <= LARGEST_DIMENSION:
        raise VectorUnusable(f"vector_name: {_shown(name)} has {dense[name].size} numbers, a vector 1 to 65,536")
    return Selection(request.collection, name, dense[name].size, payload_filter)


def _vector_name(request: SourceRequest, dense: Mapping[str, "models.VectorParams"], sparse: list[str]) -> str:
    listed = _vectors_listed(dense, sparse)
    if request.vector_name:
        if request.vector_name in dense:
            return request.vector_name
        kind = "is sparse and cannot be mapped" if request.vector_name in sparse else "does not exist"
        raise VectorUnusable(
            f"vector_name: {request.vector_name!r:.200} {kind} in the collection {request.collection!r}; {listed}"
        )
    if DEFAULT_VECTOR in dense:
        return DEFAULT_VECTOR
    if len(dense) == 1:
        return next(iter(dense))
    problem = "has several vectors: say which" if dense else "has no dense vector"
    raise VectorUnusable(f"vector_name: the collection {request.collection!r} {problem}; {listed}")


def _vectors_listed(dense: Mapping[str, "models.VectorParams"], sparse: list[str]) -> str:
    listed = [
        f"{_shown(name)} ({params.size} numbers{', multivector' if params.multivector_config else ''})"
        for name, params in sorted(dense.items())
    ]
    listed += [f"{_shown(name)} (sparse)" for name in sorted(sparse)]
    return f"it has: {', '.join(listed) or 'no vectors at all'}"


def _shown(name: str) -> str:
    return repr(name) if name else "(unnamed)"


def _count(connection: Connection, selection: Selection) -> int:
    count = call(
        connection.target,
        lambda: connection.client.count(selection.collection, count_filter=selection.filter, exact=True),
    )
    return count.count


def _scroll(
    connection: Connection, selection: Selection, writer: PointWriter, expected: int, on_progress: OnProgress
) -> int:
    """Write all pages; return how many points had no vector."""
    seen, without_vector = 0, 0
    page: Page | None = None
    while page is None or page.next_offset is not None:
        offset = page and page.next_offset
        page = read_page(connection, selection, offset, page_limit(page, selection))
        if offset is not None and page.next_offset == offset:
            raise SourceRejected(f"{connection.target.server} sends the same page again and again, at point {offset}")
        writer.add(page.ids, page.vectors, page.payloads)
        without_vector += page.without_vector
        seen += len(page.ids) + page.without_vector
        on_progress(seen, max(seen, expected))
    return without_vector


def _notes(connection: Connection, selection: Selection, before: int, without_vector: int) -> list[str]:
    notes = []
    if without_vector:
        notes.append(f"skipped {counted(without_vector, 'point')} without the vector {_shown(selection.vector_name)}")
    after = _count(connection, selection)
    if after != before:
        notes.append(
            f"the collection changed while it was read (from {before:,} to {after:,} points): "
            "some points may be missing or outdated"
        )
    return notes
