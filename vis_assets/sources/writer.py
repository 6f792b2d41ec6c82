"""Collects batches of points on disk, so that memory holds one batch of vectors and never the collection."""

from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vis_assets.errors import NoPoints
from vis_assets.sources.points import POINTS_SCHEMA, PointSet
from vis_assets.sources.texts import Payload, detect_text_field, field_names, other_fields_json, text_of

VECTORS_FILE = "vectors.npy"
BATCH_BYTES = 4 * 2**20


def counted(number: int, noun: str) -> str:
    """Return e.g. "1 point" or "12,000 points"."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def rows_per_batch(dimension: int) -> int:
    """Return how many float32 rows make a batch of about 4 MB, between 64 and 2048."""
    return min(max(BATCH_BYTES // (4 * max(dimension, 1)), 64), 2048)


class MatrixWriter:
    """Writes rows of a float32 matrix, whose number is unknown until the end, to an `.npy` file."""

    def __init__(self, path: Path, dimension: int) -> None:
        """Create the file at `path` for rows of `dimension` numbers."""
        self.path = path
        self.dimension = dimension
        self.rows = 0
        self._file: BinaryIO = path.open("wb")
        self._header_bytes = self._write_header()

    def append(self, rows: npt.NDArray[np.float32]) -> None:
        """Append (m, dimension) float32 rows."""
        self._file.write(np.ascontiguousarray(rows, dtype="<f4").data)
        self.rows += rows.shape[0]

    def close(self) -> None:
        """Write the number of rows into the header and close the file."""
        if self._file.closed:
            return
        self._file.seek(0)
        # numpy pads the header so that the number of rows can grow in place.
        header_bytes = self._write_header()
        self._file.close()
        if header_bytes != self._header_bytes:
            raise RuntimeError(f"numpy wrote a header of {header_bytes} bytes over one of {self._header_bytes}")

    def _write_header(self) -> int:
        header: dict[str, Any] = {"descr": "<f4", "fortran_order": False, "shape": (self.rows, self.dimension)}
        np.lib.format.write_array_header_1_0(self._file, header)
        return self._file.tell()


class PointWriter:
    """Turns batches of points into a PointSet, whose vectors lie in `vectors.npy` of the folder.

    Use as a context manager, which closes the file also when fetching fails.
    """

    def __init__(self, folder: Path, dimension: int, text_field: str | None) -> None:
        """Start an empty set of points of one dimension; `text_field` None detects it from the first batch."""
        self._matrix = MatrixWriter(folder / VECTORS_FILE, dimension)
        self._batches: list[pa.RecordBatch] = []
        self._asked_field = text_field
        self._text_field = text_field
        self._fields_seen: str = "none"
        self._with_text = 0
        self._not_finite = 0

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._matrix.close()

    @property
    def count(self) -> int:
        """Points kept so far."""
        return self._matrix.rows

    def add(self, ids: list[str], vectors: npt.NDArray[np.float32], payloads: list[Payload]) -> None:
        """Add a batch of m points: m ids, (m, d) float32 vectors, m payloads; rows with NaN or infinity are skipped."""
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            kept = np.flatnonzero(finite)
            self._not_finite += len(ids) - kept.size
            ids, payloads, vectors = [ids[i] for i in kept], [payloads[i] for i in kept], vectors[kept]
        if not ids:
            return
        if not self._batches:
            self._text_field = self._asked_field or detect_text_field(payloads)
            self._fields_seen = field_names(payloads)
        texts = [_encodable(text_of(payload, self._text_field)) for payload in payloads]
        others = [_encodable(other_fields_json(payload, self._text_field)) for payload in payloads]
        self._with_text += sum(1 for text in texts if text)
        self._batches.append(pa.record_batch([pa.array(ids, pa.string()), texts, others], schema=POINTS_SCHEMA))
        self._matrix.append(vectors)

    def finish(self, described_as: str, notes: list[str]) -> PointSet:
        """Close the file and return the points, with the notes given and those of the writer.

        Raises:
            NoPoints: no point was kept.
        """
        self._matrix.close()
        if self._not_finite:
            notes = [*notes, f"skipped {counted(self._not_finite, 'point')}: NaN or infinite values in the vector"]
        if not self.count:
            raise NoPoints(f"{described_as} has no usable point: {'; '.join(notes) or 'it is empty'}")
        return PointSet(
            vectors=np.load(self._matrix.path, mmap_mode="r"),
            table=pa.Table.from_batches(self._batches, POINTS_SCHEMA),
            text_field=self._text_field if self._with_text else None,
            notes=(*notes, *self._text_notes()),
        )

    def _text_notes(self) -> list[str]:
        if self._with_text == self.count:
            return []
        if self._with_text:
            return [
                f"no text in the payload field {self._text_field!r} of {counted(self.count - self._with_text, 'point')}"
            ]
        if self._asked_field is not None:
            return [f"no point has text in the payload field {self._asked_field!r}; fields seen: {self._fields_seen}"]
        return [f"no payload field holds text; fields seen: {self._fields_seen}"]


def _encodable(text: str) -> str:
    # JSON may carry half a surrogate pair, which no UTF-8 file can hold.
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
