"""Keeping the names that language models gave, so that a cluster that is still there costs nothing in the next run.

    names/{owner}/{collection}/{visualization_transform_id}.parquet

All maps that an owner has of one collection share what they know: each writes a file of its own, so that no two
processes write the same, and reads the files of all.
"""

import hashlib
import io
import logging
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from vis_assets.errors import ObjectMissing, StoreUnavailable
from vis_assets.naming.book import Book, BookEntry, turn_page
from vis_assets.naming.sketch import Sketch
from vis_assets.protocol.job import VisualizationTransformJob
from vis_assets.resources.content_types import content_type
from vis_assets.resources.object_store import ObjectStore, check_key

_log = logging.getLogger(__name__)

NAMES = "names"
_SUFFIX = ".parquet"
_SCHEMA = pa.schema(
    [
        ("layer", pa.int32()),
        ("asked", pa.string()),
        ("model", pa.string()),
        ("name", pa.string()),
        ("keyphrases", pa.list_(pa.string())),
        ("content", pa.string()),
        ("hashes", pa.list_(pa.uint64())),
    ]
)


class NameBooks:
    """Reads and writes books of names; what goes wrong is logged, and costs a few questions more."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep books in `store`."""
        self._store = store

    def read(self, job: VisualizationTransformJob) -> Book:
        """Return what is known of the job's collection: names of this map first."""
        own = _key(job)
        try:
            others = sorted(key for key in self._store.keys(f"{_folder(job)}/") if key != own)
        except StoreUnavailable as error:
            _log.warning("names of earlier runs are not known: %s", error)
            return Book()
        return Book([entry for key in (own, *others) for entry in self._entries(key)])

    def write(self, job: VisualizationTransformJob, entries: Sequence[BookEntry]) -> None:
        """Keep these names of the job's map, and older ones of clusters that it does not have now."""
        key = _key(job)
        kept = turn_page(entries, self._entries(key))
        if not kept:
            return
        try:
            self._store.write(key, _encode(kept), content_type(key))
        except StoreUnavailable as error:
            _log.warning("names are not remembered: %s", error)

    def _entries(self, key: str) -> list[BookEntry]:
        try:
            return _decode(self._store.read(key))
        except ObjectMissing:
            return []
        except (StoreUnavailable, pa.ArrowException, OSError, KeyError, ValueError, TypeError) as error:
            _log.warning("%s cannot be read, so its clusters are asked for again: %s", key, type(error).__name__)
            return []


def _folder(job: VisualizationTransformJob) -> str:
    """Where the books of a collection lie; its server does not count: documents are compared, whatever served them."""
    digest = hashlib.sha256(job.qdrant_collection_name.encode()).hexdigest()
    return check_key(f"{NAMES}/{job.owner}/{digest[:24]}")


def _key(job: VisualizationTransformJob) -> str:
    return f"{_folder(job)}/{job.partition_key}{_SUFFIX}"


def _encode(entries: Sequence[BookEntry]) -> bytes:
    columns = {
        "layer": [entry.layer for entry in entries],
        "asked": [entry.asked for entry in entries],
        "model": [entry.model for entry in entries],
        "name": [entry.name for entry in entries],
        "keyphrases": [list(entry.keyphrases) for entry in entries],
        "content": [entry.sketch.content for entry in entries],
        "hashes": [entry.sketch.hashes for entry in entries],
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=_SCHEMA), sink, compression="zstd")
    return sink.getvalue()


def _decode(body: bytes) -> list[BookEntry]:
    rows = pq.read_table(io.BytesIO(body), schema=_SCHEMA).to_pylist()
    return [
        BookEntry(
            row["layer"],
            row["asked"],
            row["model"],
            row["name"],
            tuple(row["keyphrases"]),
            Sketch(np.array(row["hashes"], dtype=np.uint64), row["content"]),
        )
        for row in rows
    ]
