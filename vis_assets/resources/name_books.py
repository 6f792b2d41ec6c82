"""Keeping the names that language models gave, so that a cluster that is still there costs nothing in the next run.

    names/{owner}/{collection}/{visualization_transform_id}.parquet

All maps that an owner has of one collection share what they know: each writes a file of its own, so that no two
processes write the same, and reads the files of all.
"""

import hashlib
import io
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
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
MOST_READ = 10_000
"""Entries that a run looks at: its own map's, then those of the maps that were made last."""
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


@dataclass
class OpenBook:
    """What is known of the clusters of one map, for one run.

    Attributes:
        book: names to take from.
        remember: keeps these names of the map, and older ones of clusters that it does not have now.
    """

    book: Book
    remember: Callable[[Sequence[BookEntry]], None]


class NameBooks:
    """Reads and writes books of names; what goes wrong is logged, and costs a few questions more."""

    def __init__(self, store: ObjectStore) -> None:
        """Keep books in `store`."""
        self._store = store

    def open(self, job: VisualizationTransformJob) -> OpenBook:
        """Return what is known of the job's collection, names of this map first."""
        key = _key(job)
        own = self._entries(key)

        def remember(entries: Sequence[BookEntry]) -> None:
            kept = turn_page(entries, own)
            if kept:
                self._write(key, kept)

        return OpenBook(Book([*own, *self._of_others(job, key, MOST_READ - len(own))]), remember)

    def _of_others(self, job: VisualizationTransformJob, own_key: str, most: int) -> list[BookEntry]:
        """Entries of the owner's other maps of the collection, those of the latest maps first."""
        found: list[BookEntry] = []
        try:
            books = [one for one in self._store.listing(f"{_folder(job)}/") if one.key != own_key]
        except StoreUnavailable as error:
            _log.warning("names of other maps are not known: %s", error)
            return found
        for one in sorted(books, key=lambda one: (-one.modified, one.key)):
            if len(found) >= most:
                break
            found += self._entries(one.key)
        return found[: max(most, 0)]

    def _write(self, key: str, entries: Sequence[BookEntry]) -> None:
        try:
            self._store.write(key, _encode(entries), content_type(key))
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
    table = pq.read_table(io.BytesIO(body), schema=_SCHEMA).combine_chunks()
    if any(column.null_count for column in table.columns):
        raise ValueError("a book has no gaps")
    rows = zip(*(table[name].to_pylist() for name in _SCHEMA.names[:-1]), _lists(table["hashes"]), strict=True)
    return [
        BookEntry(layer, asked, model, name, tuple(keyphrases), Sketch(numbers, content))
        for layer, asked, model, name, keyphrases, content, numbers in rows
    ]


def _lists(column: pa.ChunkedArray) -> Iterator[npt.NDArray[np.uint64]]:
    """The lists of numbers of a column, as arrays."""
    for chunk in column.chunks:
        numbers = chunk.values.to_numpy(zero_copy_only=False)
        for start, end in pairwise(chunk.offsets.to_numpy().tolist()):
            yield numbers[start:end]
