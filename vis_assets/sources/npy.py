"""Points of a NumPy matrix `X.npy`, with their texts and payloads in `X.jsonl` beside it, one object a line."""

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.errors import InvalidJob, SourceRejected, SourceUnavailable, VectorUnusable
from vis_assets.sources.hosts import judge_path, require_local
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest
from vis_assets.sources.texts import Payload
from vis_assets.sources.writer import PointWriter, rows_per_batch

DATABASE_TYPE = "npy"

ID_KEY = "id"
TEXT_KEY = "text"
MATRIX_AXES = 2


def fetch_points(request: SourceRequest, policy: AccessPolicy, folder: Path, on_progress: OnProgress) -> PointSet:
    """Read the matrix behind a file:// URL and the lines beside it, in row order.

    A line holds `text`, optionally `id` (else the row number), and any other keys as payload. Without the `.jsonl`
    points have neither text nor payload.

    Raises:
        InvalidJob: malformed URL, or a filter.
        HostNotAllowed: a file does not lie under the policy's root.
        VectorUnusable: no matrix of numbers.
        SourceRejected: nothing there, no `.npy`, a line that is no object, or not as many lines as rows.
        NoPoints: the matrix has no rows.
        SourceUnavailable: a file cannot be read.
    """
    if request.filter is not None:
        raise InvalidJob("filter is for the source 'qdrant' only; remove it, or filter the rows of the matrix")
    path = judge_path(request.connection_url, policy)
    try:
        matrix = _open_matrix(path)
        writer = PointWriter(folder, matrix.shape[1], request.text_field or TEXT_KEY)
        return _read(path, matrix, _lines(path, policy), writer, on_progress)
    except OSError as error:
        raise SourceUnavailable(f"{path} or the .jsonl beside it cannot be read: {error}") from error


def _open_matrix(path: Path) -> npt.NDArray[Any]:
    try:
        matrix: npt.NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise SourceRejected(f"{path} is no .npy file of numbers: {error}") from error
    if not isinstance(matrix, np.ndarray) or matrix.ndim != MATRIX_AXES or matrix.dtype.kind not in "fiu":
        shape = f"{matrix.dtype} of shape {matrix.shape}" if isinstance(matrix, np.ndarray) else "an archive"
        raise VectorUnusable(f"{path} holds {shape}; it must be a matrix of numbers, one row a point")
    return matrix


def _read(
    path: Path, matrix: npt.NDArray[Any], lines: Iterator[Payload] | None, writer: PointWriter, on_progress: OnProgress
) -> PointSet:
    total, dimension = matrix.shape
    alone = f"there is no {path.stem}.jsonl beside {path.name}, so the points have neither text nor payload"
    with writer:
        for start in range(0, total, rows_per_batch(dimension)):
            vectors = np.asarray(matrix[start : start + rows_per_batch(dimension)], dtype=np.float32)
            payloads = list(islice(lines, len(vectors))) if lines is not None else [{} for _ in vectors]
            if len(payloads) < len(vectors):
                raise _unequal(path, total, f"only {start + len(payloads)}")
            ids = [str(payload.pop(ID_KEY, start + i)) for i, payload in enumerate(payloads)]
            writer.add(ids, vectors, payloads)
            on_progress(start + len(vectors), total)
        if lines is not None and next(lines, None) is not None:
            raise _unequal(path, total, "more")
        return writer.finish(str(path), [alone] if lines is None else [])


def _lines(path: Path, policy: AccessPolicy) -> Iterator[Payload] | None:
    beside = path.with_suffix(".jsonl")
    if policy.local_root is None or not (beside.is_symlink() or beside.exists()):
        return None
    return _parse_lines(require_local(beside, policy.local_root))


def _parse_lines(path: Path) -> Iterator[Payload]:
    with path.open(encoding="utf-8") as file:
        number = 0
        try:
            for number, line in enumerate(file, start=1):
                payload = json.loads(line)
                if not isinstance(payload, dict):
                    raise SourceRejected(f"{path}, line {number} is no JSON object; write one object a line")
                yield payload
        except (ValueError, RecursionError) as error:
            raise SourceRejected(
                f"{path}, line {number or 1} cannot be read: {error}; write one object a line"
            ) from error


def _unequal(path: Path, rows: int, lines: str) -> SourceRejected:
    return SourceRejected(
        f"{path} has {rows} rows and {path.with_suffix('.jsonl').name} has {lines} lines; write one line a row"
    )
