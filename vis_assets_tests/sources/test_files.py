"""Points from Parquet and NumPy files."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vis_assets.errors import HostNotAllowed, InvalidJob, NoPoints, SourceRejected, VectorUnusable, VisAssetsError
from vis_assets.sources import fetch_points, registered_sources
from vis_assets.sources.points import POINTS_SCHEMA, AccessPolicy, PointSet, SourceRequest


def fetch(path: Path, **request: Any) -> PointSet:
    """Fetch a file below its own folder."""
    asked = SourceRequest(path.suffix[1:], path.as_uri(), "", **request)
    fetched = path.parent / "fetched"
    fetched.mkdir(exist_ok=True)
    return fetch_points(asked, AccessPolicy(local_root=path.parent), fetched, lambda done, total: None)


def parquet(tmp_path: Path, **columns: Any) -> Path:
    """Write a Parquet file."""
    path = tmp_path / "points.parquet"
    pq.write_table(pa.table(columns), path)
    return path


def npy(tmp_path: Path, matrix: Any, lines: list[Any] | None) -> Path:
    """Write a matrix, and the lines beside it: objects as JSON, text as it is."""
    path = tmp_path / "points.npy"
    np.save(path, matrix)
    if lines is not None:
        text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
        path.with_suffix(".jsonl").write_text(text, encoding="utf-8", errors="surrogatepass")
    return path


def test_sources_of_the_folder() -> None:
    """Every file with a database type is a source."""
    assert sorted(registered_sources()) == ["npy", "parquet", "qdrant"]


def test_unknown_source(tmp_path: Path) -> None:
    """An unknown database type is an invalid job that names the field, the value and the known ones."""
    request = SourceRequest("pinecone", "http://x", "c")
    message = r"vector_database_config.database_type is 'pinecone'.*npy, parquet, qdrant"
    with pytest.raises(InvalidJob, match=message):
        fetch_points(request, AccessPolicy(), tmp_path, lambda done, total: None)


@pytest.mark.parametrize(
    "kind", [pa.list_(pa.float32()), pa.list_(pa.float64(), 2), pa.large_list(pa.float16()), pa.list_(pa.int8())]
)
def test_parquet(tmp_path: Path, kind: pa.DataType) -> None:
    """Ids, texts, vectors of any list type and the other columns as payload come in row order."""
    vectors = pa.array([[1, 2], [3, 4]], pa.list_(pa.float64())).cast(kind) if kind != pa.large_list(
        pa.float16()
    ) else pa.array([np.array([1, 2], np.float16), np.array([3, 4], np.float16)], kind)  # fmt: skip
    points = fetch(parquet(tmp_path, id=["a", None], text=["x", "y"], vector=vectors, lang=["en", "de"]))
    assert points.table.schema == POINTS_SCHEMA
    assert points.table.to_pylist() == [
        {"id": "a", "text": "x", "payload": '{"lang":"en"}'},
        {"id": "1", "text": "y", "payload": '{"lang":"de"}'},
    ]
    np.testing.assert_array_equal(points.vectors, np.array([[1, 2], [3, 4]], np.float32))


def test_parquet_without_id_and_text(tmp_path: Path) -> None:
    """Row numbers stand in for ids, and texts may be missing."""
    points = fetch(parquet(tmp_path, vector=[[1.0, 2.0]] * 3, n=[1, 2, 3]))
    assert points.table["id"].to_pylist() == ["0", "1", "2"]
    assert points.text_field is None
    assert points.table["text"].to_pylist() == ["", "", ""]


def test_parquet_rows_without_vector_or_number(tmp_path: Path) -> None:
    """Rows whose vector is null, or holds null or NaN, are skipped and noted."""
    points = fetch(parquet(tmp_path, text=list("abcd"), vector=[None, [1.0, None], [float("nan"), 1.0], [1.0, 2.0]]))
    assert points.table["id"].to_pylist() == ["3"]
    assert points.notes[0] == "skipped 1 row without a vector"
    assert points.notes[1].startswith("skipped 2 points: NaN")


@pytest.mark.parametrize(
    ("columns", "error", "message"),
    [
        ({"text": ["a"]}, InvalidJob, "no column 'vector'.*vector_name"),
        ({"vector": ["a"]}, VectorUnusable, "column 'vector' holds string"),
        ({"vector": [["a"]]}, VectorUnusable, "lists of numbers"),
        ({"vector": [[1.0], [1.0, 2.0]]}, VectorUnusable, "column 'vector': row 1 has a vector of 2 numbers"),
        ({"vector": pa.array([None], pa.list_(pa.float32()))}, NoPoints, "no row has a vector"),
        ({"vector": pa.array([], pa.list_(pa.float32(), 3))}, NoPoints, "has no usable point"),
    ],
)
def test_parquet_errors(tmp_path: Path, columns: dict[str, Any], error: type[VisAssetsError], message: str) -> None:
    """Errors name the file, the column and the row."""
    path = parquet(tmp_path, **columns)
    with pytest.raises(error, match=message) as caught:
        fetch(path)
    assert str(path) in str(caught.value)


def test_file_that_is_no_parquet(tmp_path: Path) -> None:
    """Some other file is refused."""
    path = tmp_path / "x.parquet"
    path.write_text("hello")
    with pytest.raises(SourceRejected, match="cannot be read as Parquet"):
        fetch(path)


def test_filters_are_for_qdrant(tmp_path: Path) -> None:
    """A filter, which file sources cannot apply, is refused rather than ignored."""
    for path in (parquet(tmp_path, vector=[[1.0]]), npy(tmp_path, np.ones((1, 1)), None)):
        with pytest.raises(InvalidJob, match="filter is for the source 'qdrant' only"):
            fetch(path, filter={})


def test_npy(tmp_path: Path) -> None:
    """Rows and lines belong together; ids are the lines' or row numbers."""
    lines = [{"id": 7, "text": "x", "lang": "en"}, {"text": "\ud800 ü"}]
    points = fetch(npy(tmp_path, np.array([[1, 2], [3, 4]], np.float64), lines))
    assert points.table["id"].to_pylist() == ["7", "1"]
    assert points.table["text"].to_pylist() == ["x", "? ü"]
    assert points.table["payload"].to_pylist() == ['{"lang":"en"}', "{}"]
    np.testing.assert_array_equal(points.vectors, np.array([[1, 2], [3, 4]], np.float32))


def test_npy_alone(tmp_path: Path) -> None:
    """A matrix without lines has neither texts nor payloads, and a note says so."""
    points = fetch(npy(tmp_path, np.ones((2, 2), np.float32), None))
    assert points.text_field is None
    assert points.notes[0].startswith("there is no points.jsonl beside points.npy")


@pytest.mark.parametrize(
    ("matrix", "lines", "error", "message"),
    [
        (np.ones((2, 2)), [{}], SourceRejected, "has 2 rows and points.jsonl has only 1 lines"),
        (np.ones((1, 2)), [{}, {}], SourceRejected, "has 1 rows and points.jsonl has more lines"),
        (np.ones((1, 2)), ["[1]\n"], SourceRejected, "line 1 is no JSON object"),
        (np.ones((2, 2)), ["{}\n", "{"], SourceRejected, "line 2 cannot be read"),
        (np.ones(3), None, VectorUnusable, r"float64 of shape \(3,\)"),
        (np.array([["a"]]), None, VectorUnusable, "must be a matrix of numbers"),
        (np.array([[{}]], dtype=object), None, SourceRejected, "no .npy file of numbers"),
        (np.ones((0, 2)), None, NoPoints, "no usable point"),
    ],
)
def test_npy_errors(
    tmp_path: Path, matrix: Any, lines: list[Any] | None, error: type[VisAssetsError], message: str
) -> None:
    """Errors name the file and the line, and nothing is unpickled."""
    path = npy(tmp_path, matrix, lines)
    with pytest.raises(error, match=message) as caught:
        fetch(path)
    assert str(path.with_suffix("")) in str(caught.value)


def test_lines_must_lie_under_the_root(tmp_path: Path) -> None:
    """A link beside an allowed matrix does not lead out."""
    (tmp_path / "root").mkdir()
    path = npy(tmp_path / "root", np.ones((1, 1)), None)
    (tmp_path / "secret.jsonl").write_text("{}\n")
    path.with_suffix(".jsonl").symlink_to(tmp_path / "secret.jsonl")
    with pytest.raises(HostNotAllowed, match="does not lie under"):
        fetch(path)


@pytest.mark.parametrize("kind", ["npy", "parquet"])
def test_memory_does_not_grow_with_the_file(tmp_path: Path, kind: str) -> None:
    """Python's peak memory stays a fraction of the matrix."""
    matrix = np.zeros((30_000, 256), np.float32)
    if kind == "npy":
        path = npy(tmp_path, matrix, None)
    else:
        lists = pa.FixedSizeListArray.from_arrays(matrix.reshape(-1), 256)
        path = parquet(tmp_path, vector=lists)
    tracemalloc.start()
    points = fetch(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert points.vectors.shape == (30_000, 256)
    assert peak < matrix.nbytes / 2
