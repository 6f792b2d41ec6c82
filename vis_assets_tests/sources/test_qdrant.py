"""Collections as they are fetched, the same from every kind of Qdrant."""

import json
import uuid
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from vis_assets.errors import (
    CollectionMissing,
    InvalidJob,
    NoPoints,
    SourceRejected,
    SourceUnavailable,
    VectorUnusable,
)
from vis_assets.sources import qdrant_errors
from vis_assets.sources.points import POINTS_SCHEMA, AccessPolicy
from vis_assets.sources.qdrant import parse_filter
from vis_assets_tests.sources.conftest import Place

pytestmark = pytest.mark.enable_socket

DOT = models.Distance.DOT
FOUR = models.VectorParams(size=4, distance=DOT)


def some_points(count: int, **payload: Any) -> list[models.PointStruct]:
    """Points 0, 1, ... with four numbers, a text and a flag."""
    return [
        models.PointStruct(
            id=i, vector=[float(i), 0.5, -1.0, 2.0], payload={"text": f"document {i}", "even": i % 2 == 0, **payload}
        )
        for i in range(count)
    ]


def test_fetches_points_in_id_order(place: Place) -> None:
    """All points come, ascending by id, with vectors as stored, texts and the rest of the payload."""
    place.create(FOUR, list(reversed(some_points(700, tags=["a", "ä"], nested={"n": None}))))
    progress: list[tuple[int, int]] = []
    points = place.fetch(on_progress=lambda *numbers: progress.append(numbers))
    assert points.table.schema == POINTS_SCHEMA
    assert points.table["id"].to_pylist() == [str(i) for i in range(700)]
    assert points.table["text"].to_pylist() == [f"document {i}" for i in range(700)]
    assert json.loads(points.table["payload"][1].as_py()) == {"even": False, "tags": ["a", "ä"], "nested": {"n": None}}
    expected = np.array([[i, 0.5, -1, 2] for i in range(700)], dtype=np.float32)
    np.testing.assert_array_equal(points.vectors, expected)
    assert points.vectors.dtype == np.float32
    assert points.text_field == "text"
    assert points.notes == ()
    assert progress[-1] == (700, 700)
    assert len(progress) > 1


def test_keeps_uuid_ids(place: Place) -> None:
    """UUIDs stay as they are."""
    ids = sorted(str(uuid.uuid4()) for _ in range(3))
    place.create(FOUR, [models.PointStruct(id=id_, vector=[1.0, 2.0, 3.0, 4.0], payload={"text": "x"}) for id_ in ids])
    assert place.fetch().table["id"].to_pylist() == ids


def test_filter_selects_points(place: Place) -> None:
    """Only points that the filter lets through come."""
    place.create(FOUR, some_points(10))
    points = place.fetch(filter={"must": [{"key": "even", "match": {"value": True}}]})
    assert points.table["id"].to_pylist() == ["0", "2", "4", "6", "8"]


def test_filter_that_matches_nothing(place: Place) -> None:
    """A filter without a match is an error that names the collection and the filter."""
    place.create(FOUR, some_points(3))
    with pytest.raises(NoPoints, match=rf"{place.collection}.*no point that the filter lets through"):
        place.fetch(filter={"must": [{"key": "even", "match": {"value": "maybe"}}]})


def test_empty_collection(place: Place) -> None:
    """A collection without points is an error that names it."""
    place.create(FOUR, [])
    with pytest.raises(NoPoints, match=rf"{place.collection}.*has no points"):
        place.fetch()


def test_missing_collection(place: Place) -> None:
    """A collection that does not exist is a permanent error that names it."""
    place.create(FOUR, [])
    with pytest.raises(CollectionMissing, match="no-such-collection") as caught:
        place.fetch(collection="no-such-collection")
    assert not caught.value.retry


def test_named_vector(place: Place) -> None:
    """The named vector that was asked for comes; points without it are skipped and noted."""
    params = {"small": models.VectorParams(size=2, distance=DOT), "large": models.VectorParams(size=3, distance=DOT)}
    vectors: list[dict[str, list[float]]] = [{"small": [1, 2], "large": [1, 2, 3]}, {"large": [4, 5, 6]}]
    place.create(params, [models.PointStruct(id=i, vector=vector, payload={}) for i, vector in enumerate(vectors)])  # type: ignore[arg-type]
    np.testing.assert_array_equal(place.fetch(vector_name="large").vectors, [[1, 2, 3], [4, 5, 6]])
    points = place.fetch(vector_name="small")
    np.testing.assert_array_equal(points.vectors, [[1, 2]])
    assert "skipped 1 point without the vector 'small'" in points.notes


def test_only_named_vector_needs_no_name(place: Place) -> None:
    """The only dense vector is taken without being named, sparse ones beside it or not."""
    place.create(
        {"only": models.VectorParams(size=2, distance=DOT)},
        [models.PointStruct(id=1, vector={"only": [1.0, 2.0], "words": models.SparseVector(indices=[1], values=[1])})],
        {"words": models.SparseVectorParams()},
    )
    np.testing.assert_array_equal(place.fetch().vectors, [[1, 2]])


def test_unnamed_vector_beside_sparse(place: Place) -> None:
    """The unnamed vector is found among sparse ones."""
    vector: Any = {"": [1, 2, 3, 4], "words": models.SparseVector(indices=[1], values=[1])}
    place.create(FOUR, [models.PointStruct(id=1, vector=vector)], {"words": models.SparseVectorParams()})
    np.testing.assert_array_equal(place.fetch().vectors, [[1, 2, 3, 4]])


def test_ambiguous_and_unknown_vectors_are_listed(place: Place) -> None:
    """Which vectors there are stands in the error about a missing or unknown name."""
    params = {
        "a": models.VectorParams(size=2, distance=DOT),
        "b": models.VectorParams(
            size=3,
            distance=DOT,
            multivector_config=models.MultiVectorConfig(comparator=models.MultiVectorComparator.MAX_SIM),
        ),
    }
    place.create(params, [], {"words": models.SparseVectorParams()})
    listed = r"'a' \(2 numbers\), 'b' \(3 numbers, multivector\), 'words' \(sparse\)"
    with pytest.raises(VectorUnusable, match=f"several vectors: say which; it has: {listed}"):
        place.fetch()
    with pytest.raises(VectorUnusable, match=f"'c' does not exist.*{listed}"):
        place.fetch(vector_name="c")
    with pytest.raises(VectorUnusable, match="sparse and cannot be mapped"):
        place.fetch(vector_name="words")
    with pytest.raises(VectorUnusable, match="multivector, of which a map cannot be made"):
        place.fetch(vector_name="b")


def test_collection_without_dense_vector(place: Place) -> None:
    """A collection of sparse vectors only cannot be mapped."""
    place.create({}, [], {"words": models.SparseVectorParams()})
    with pytest.raises(VectorUnusable, match="has no dense vector"):
        place.fetch()


def test_all_points_lack_the_vector(place: Place) -> None:
    """Points of which none has the vector are no points."""
    params = {"a": models.VectorParams(size=2, distance=DOT), "b": models.VectorParams(size=2, distance=DOT)}
    place.create(params, [models.PointStruct(id=1, vector={"a": [1.0, 2.0]})])
    with pytest.raises(NoPoints, match="skipped 1 point without the vector 'b'"):
        place.fetch(vector_name="b")


def test_text_field_of_the_request(place: Place) -> None:
    """The asked-for field is the document, nested or not, and leaves the payload."""
    place.create(FOUR, some_points(2, other={"inner": "deep", "kept": 1}))
    points = place.fetch(text_field="other.inner")
    assert points.table["text"].to_pylist() == ["deep", "deep"]
    assert json.loads(points.table["payload"][0].as_py()) == {"text": "document 0", "even": True, "other": {"kept": 1}}


def test_text_field_that_no_point_has(place: Place) -> None:
    """A text field that is nowhere leaves the texts empty and names the fields seen."""
    place.create(FOUR, some_points(2))
    points = place.fetch(text_field="tetx")
    assert points.text_field is None
    assert points.table["text"].to_pylist() == ["", ""]
    assert points.notes == ("no point has text in the payload field 'tetx'; fields seen: 'even', 'text'",)


@pytest.mark.parametrize("wrong", [{"must": [{"key": 1}]}, {"mustt": []}, {"must": "x"}])
def test_filter_must_be_qdrants(wrong: dict[str, Any]) -> None:
    """Something else than a Qdrant filter is an invalid job that names the field."""
    with pytest.raises(InvalidJob, match=r"filter is no Qdrant filter: filter\.must"):
        parse_filter(wrong)


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_collection_name_must_be_one(grpc_place: Place, name: str) -> None:
    """Names that would move a REST path are refused."""
    with pytest.raises(InvalidJob, match="qdrant_collection_name"):
        grpc_place.fetch(collection=name)


def test_collection_name_with_odd_characters(rest_place: tuple[Place, Any]) -> None:
    """A name is one segment of a REST path, whatever it holds."""
    place, _ = rest_place
    place.collection = "a b#c%20ü"
    place.create(FOUR, some_points(1))
    assert place.fetch().count == 1


def test_not_finite_vectors_are_skipped(grpc_place: Place) -> None:
    """Rows with infinite values, which Qdrant does store, are left out and noted."""
    points = some_points(4)
    points[1].vector = [float("-inf"), 0, 0, 0]
    points[2].vector = [float("inf"), 0, 0, 0]
    grpc_place.create(FOUR, points)
    fetched = grpc_place.fetch()
    assert fetched.table["id"].to_pylist() == ["0", "3"]
    assert fetched.notes == ("skipped 2 points: NaN or infinite values in the vector",)


def test_change_during_the_scroll_is_noted(grpc_place: Place) -> None:
    """Points that appear while the collection is read are noted."""
    grpc_place.create(FOUR, some_points(300))
    late = [models.PointStruct(id=10_000, vector=[1.0] * 4, payload={"text": "late"})]

    def add_point(fetched: int, expected: int) -> None:
        grpc_place.change(lambda client: client.upsert(grpc_place.collection, late))

    points = grpc_place.fetch(on_progress=add_point)
    assert points.count == 301
    assert any("from 300 to 301 points" in note for note in points.notes)


def test_error_of_the_progress_callback_stops_the_fetch(grpc_place: Place) -> None:
    """What the caller's callback raises ends the fetch unchanged, so that a job can be canceled."""
    grpc_place.create(FOUR, some_points(3))

    def cancel(fetched: int, expected: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grpc_place.fetch(on_progress=cancel)


def test_cosine_vectors_come_as_stored(grpc_place: Place) -> None:
    """Cosine collections hold normalised vectors, and so they come."""
    grpc_place.create(models.VectorParams(size=2, distance=models.Distance.COSINE), [])
    point = models.PointStruct(id=1, vector=[3.0, 4.0], payload={"text": "x"})
    grpc_place.change(lambda client: client.upsert(grpc_place.collection, [point]))
    np.testing.assert_allclose(grpc_place.fetch().vectors, [[0.6, 0.8]], rtol=1e-6)


def test_folder_is_not_created(tmp_path: Any) -> None:
    """A folder that is no Qdrant folder is refused and left as it was."""
    place = Place((tmp_path / "empty").as_uri(), AccessPolicy(local_root=tmp_path), lambda change: None, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceRejected, match="no folder of Qdrant's local mode"):
        place.fetch()
    assert list((tmp_path / "empty").iterdir()) == []


def test_locked_folder_is_transient(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that another client holds is tried again later."""
    monkeypatch.setattr(qdrant_errors, "FIRST_WAIT_SECONDS", 0.01)
    holder = QdrantClient(path=str(tmp_path / "held"))
    place = Place((tmp_path / "held").as_uri(), AccessPolicy(local_root=tmp_path), lambda change: None, tmp_path)
    with pytest.raises(SourceUnavailable, match="locked") as caught:
        place.fetch()
    assert caught.value.retry
    holder.close()
