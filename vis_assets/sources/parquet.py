"""Points of a Parquet file: columns `id`, `text` and `vector`, all others are payload."""

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from vis_assets.errors import InvalidJob, NoPoints, SourceRejected, SourceUnavailable, VectorUnusable
from vis_assets.sources.hosts import judge_path
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest
from vis_assets.sources.writer import PointWriter, counted, rows_per_batch

DATABASE_TYPE = "parquet"

ID_COLUMN = "id"
TEXT_COLUMN = "text"
VECTOR_COLUMN = "vector"


def fetch_points(request: SourceRequest, policy: AccessPolicy, folder: Path, on_progress: OnProgress) -> PointSet:
    """Read the file behind a file:// URL, batch by batch, in row order.

    The vector column (lists of numbers, `fixed_size_list` or `list`) is `vector`, or what `vector_name` says. Without
    an `id` column the row number is the id; without a `text` column the text is detected among the others.

    Raises:
        InvalidJob: malformed URL, a filter, or no vector column.
        HostNotAllowed: the file does not lie under the policy's root.
        VectorUnusable: vectors of several lengths, or not of numbers.
        SourceRejected: nothing there, or no Parquet file.
        NoPoints: no row has a vector.
        SourceUnavailable: the file cannot be read.
    """
    if request.filter is not None:
        raise InvalidJob("filter is for the source 'qdrant' only; remove it, or filter the rows of the Parquet file")
    path = judge_path(request.connection_url, policy)
    try:
        with pq.ParquetFile(path) as file:
            return _read(file, path, request, folder, on_progress)
    except pa.ArrowInvalid as error:
        raise SourceRejected(f"{path} cannot be read as Parquet: {error}") from error
    except OSError as error:
        raise SourceUnavailable(f"{path} cannot be read: {error}") from error


def _read(file: pq.ParquetFile, path: Path, request: SourceRequest, folder: Path, on_progress: OnProgress) -> PointSet:
    column = request.vector_name or VECTOR_COLUMN
    dimension = _dimension(file, path, column)
    text_field = request.text_field or (TEXT_COLUMN if TEXT_COLUMN in file.schema_arrow.names else None)
    row, without_vector, total = 0, 0, file.metadata.num_rows
    with PointWriter(folder, dimension, text_field) as writer:
        for batch in file.iter_batches(rows_per_batch(dimension)):
            ids = _ids(batch, row)
            valid = batch.column(column).is_valid()
            rows = np.flatnonzero(valid.to_numpy(zero_copy_only=False))
            vectors = _matrix(batch.column(column), rows, dimension, f"{path}, column {column!r}", row)
            payloads = batch.filter(valid).drop_columns(_present(batch, [ID_COLUMN, column])).to_pylist()
            writer.add([ids[i] for i in rows], vectors, payloads)
            without_vector += batch.num_rows - rows.size
            row += batch.num_rows
            on_progress(row, total)
        notes = [f"skipped {counted(without_vector, 'row')} without a vector"] if without_vector else []
        return writer.finish(str(path), notes)


def _dimension(file: pq.ParquetFile, path: Path, column: str) -> int:
    names = file.schema_arrow.names
    if column not in names:
        raise InvalidJob(
            f"{path} has no column {column!r} for the vectors (it has: {', '.join(map(repr, names[:20]))}); "
            "name the column in vector_name"
        )
    kind = file.schema_arrow.field(column).type
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)
    if not is_list or not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise VectorUnusable(f"{path}, column {column!r} holds {kind}, and vectors are lists of numbers")
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size)
    return _first_length(file, path, column)


def _first_length(file: pq.ParquetFile, path: Path, column: str) -> int:
    for batch in file.iter_batches(64, columns=[column]):
        lengths = pc.list_value_length(batch.column(0)).drop_null()
        if len(lengths):
            return int(lengths[0].as_py())
    raise NoPoints(f"{path}, column {column!r}: no row has a vector")


def _ids(batch: pa.RecordBatch, first_row: int) -> list[str]:
    if ID_COLUMN not in batch.schema.names:
        return [str(row) for row in range(first_row, first_row + batch.num_rows)]
    values = batch.column(ID_COLUMN).to_pylist()
    return [str(first_row + i if value is None else value) for i, value in enumerate(values)]


def _present(batch: pa.RecordBatch, names: list[str]) -> list[str]:
    return [name for name in names if name in batch.schema.names]


def _matrix(
    lists: pa.Array, rows: npt.NDArray[np.intp], dimension: int, where: str, first_row: int
) -> npt.NDArray[np.float32]:
    """Return the lists at `rows` as (m, dimension) float32; a null number becomes NaN."""
    valid = lists.take(pa.array(rows))
    lengths = pc.list_value_length(valid).to_numpy(zero_copy_only=False)
    odd = np.flatnonzero(lengths != dimension)
    if odd.size:
        raise VectorUnusable(
            f"{where}: row {first_row + rows[odd[0]]} has a vector of {lengths[odd[0]]} numbers, "
            f"the rows before have {dimension}; all vectors must be of one length"
        )
    numbers = valid.flatten().cast(pa.float32(), safe=False).to_numpy(zero_copy_only=False)
    matrix: npt.NDArray[np.float32] = np.asarray(numbers, dtype=np.float32).reshape(len(rows), dimension)
    return matrix
