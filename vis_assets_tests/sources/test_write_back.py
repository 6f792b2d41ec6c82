"""Topics in the payload of the points they were found for, over every wire."""

import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from qdrant_client import QdrantClient, models

from vis_assets.errors import CollectionMissing, PointsMismatch, SourceRejected, SourceUnavailable, Unauthorized
from vis_assets.sources import qdrant_errors, write_back
from vis_assets.sources.points import SourceRequest
from vis_assets.sources.write_back import PlacedPoints, WriteBackResult
from vis_assets_tests.servers.qdrant_rest import Fault, RestQdrant
from vis_assets_tests.sources.conftest import PLACES, Place

pytestmark = pytest.mark.enable_socket

TWO = models.VectorParams(size=2, distance=models.Distance.DOT)


@pytest.fixture(params=["grpc", "rest", "real"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """Every kind of server in turn; the real one only where QDRANT_TEST_URL is set."""
    yield from PLACES[request.param](tmp_path, tmp_path)


def fill(place: Place, ids: Sequence[int | str]) -> None:
    """A collection of points that have a payload of their own."""
    place.create(TWO, [models.PointStruct(id=one, vector=[1.0, 2.0], payload={"text": f"t{one}"}) for one in ids])


def placed(ids: Sequence[int | str]) -> PlacedPoints:
    """Every third point in no cluster, the others in two clusters of one continent."""
    n = len(ids)
    labels = (np.arange(n) % 3 - 1).astype(np.int32)
    coarse = np.where(labels < 0, -1, 0).astype(np.int32)
    coordinates = np.stack([np.arange(n) / 4, -np.arange(n)], axis=1).astype(np.float32)
    return PlacedPoints([str(one) for one in ids], coordinates, [labels, coarse], [["Invoices", "Reports"], ["Paper"]])


def write(
    place: Place, points: PlacedPoints, transform: str = "123", job: str = "job-1", **more: Any
) -> WriteBackResult:
    """Write back as a job does."""
    progress = more.pop("on_progress", lambda done, total: None)
    request = SourceRequest("qdrant", place.url, place.collection, place.api_key, **more)
    return write_back.write_back(request, place.policy, transform, job, points, progress)


def payloads(place: Place) -> dict[Any, Any]:
    """All payloads by id."""
    found: dict[Any, Any] = {}
    place.change(lambda client: found.update({r.id: r.payload for r in client.scroll(place.collection, limit=9999)[0]}))
    return found


def count(place: Place, key: str, value: Any) -> int:
    """How many points a filter on one payload field lets through."""
    only = models.Filter(must=[models.FieldCondition(key=key, match=models.MatchValue(value=value))])
    counts: list[int] = []
    place.change(lambda client: counts.append(client.count(place.collection, count_filter=only).count))
    return counts[0]


def test_every_point_gets_its_topic(server: Place) -> None:
    """Number and UUID ids alike get cluster, topics and place beside their own payload, and filters find them by it."""
    ids: list[int | str] = [0, 2**63, 7, str(uuid.uuid4()), str(uuid.uuid4()), 12]
    fill(server, ids)
    assert write(server, placed(ids)) == WriteBackResult(6)
    found = payloads(server)
    assert found[2**63] == {
        "text": f"t{2**63}",
        "vis_assets": {
            "123": {
                "cluster": 0, "cluster_name": "Invoices", "cluster_1": 0, "topics": ["Invoices", "Paper"],
                "x": 0.25, "y": -1.0, "job_id": "job-1",
            }
        },
    }  # fmt: skip
    noise = {"cluster": -1, "cluster_1": -1, "topics": [], "x": 0.75, "y": -3.0, "job_id": "job-1"}
    assert found[ids[3]]["vis_assets"] == {"123": noise}
    assert count(server, "vis_assets.123.topics", "Paper") == 4
    assert count(server, "vis_assets.123.cluster", 1) == 2


def test_transforms_do_not_overwrite_each_other(server: Place) -> None:
    """Two transforms over one collection keep an entry each, and writing again changes nothing."""
    fill(server, [1, 2, 3])
    write(server, placed([1, 2, 3]), "123")
    write(server, placed([3, 2, 1]), "124", "job-2")
    once = payloads(server)
    assert all(set(payload["vis_assets"]) == {"123", "124"} for payload in once.values())
    write(server, placed([1, 2, 3]), "123")
    assert payloads(server) == once


def test_points_that_left_the_map_lose_their_topic(server: Place) -> None:
    """A later job of the transform removes the entries of points that are not on its map, and no other entries."""
    fill(server, [1, 2, 3])
    write(server, placed([1, 2, 3]), "123", "job-1")
    write(server, placed([1, 2, 3]), "124", "job-1")
    assert write(server, placed([2, 3]), "123", "job-2").notes == ()
    found = payloads(server)
    assert set(found[1]["vis_assets"]) == {"124"}
    assert found[2]["vis_assets"]["123"]["job_id"] == "job-2"


def test_points_deleted_meanwhile_are_no_error(server: Place) -> None:
    """First, middle and last point may be gone: all others are written."""
    ids = list(range(1, 10))
    fill(server, [2, 3, 4, 6, 7, 8])
    write(server, placed(ids))
    assert {key: payload["vis_assets"]["123"]["x"] for key, payload in payloads(server).items()} == {
        key: (key - 1) / 4 for key in (2, 3, 4, 6, 7, 8)
    }


def test_many_points_go_in_batches(grpc_place: Place) -> None:
    """Progress is told after each 500 points, and all arrive."""
    ids = list(range(1201))
    fill(grpc_place, ids)
    progress: list[tuple[int, int]] = []
    write(grpc_place, placed(ids), on_progress=lambda *numbers: progress.append(numbers))
    assert progress == [(500, 1201), (1000, 1201), (1201, 1201)]
    assert all("123" in payload["vis_assets"] for payload in payloads(grpc_place).values())


def test_the_next_map_does_not_see_what_was_written(server: Place) -> None:
    """Points fetched after writing back are those that were fetched before."""
    fill(server, [1, 2, 3])
    before = server.fetch()
    write(server, placed([1, 2, 3]))
    after = server.fetch()
    assert after.table.equals(before.table)
    assert (after.text_field, after.notes) == (before.text_field, before.notes)


def test_a_passing_trouble_is_tried_again(
    rest_place: tuple[Place, RestQdrant], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that is overloaded for a moment gets the batch again; one that stays so is unavailable."""
    monkeypatch.setattr(qdrant_errors, "FIRST_WAIT_SECONDS", 0.01)
    place, server = rest_place
    fill(place, [1, 2])
    server.faults.extend([Fault(503), Fault(503), Fault(503)])
    with pytest.raises(SourceUnavailable):
        write(place, placed([1, 2]))
    server.faults.extend([Fault(503), Fault(503)])
    assert write(place, placed([1, 2])).points == 2


def test_a_key_that_may_only_read(rest_place: tuple[Place, RestQdrant]) -> None:
    """A refusal to write names the server, the collection and both remedies, and never the key."""
    place, server = rest_place
    fill(place, [1])
    place.api_key = "read-only-canary"
    about = Fault(200, {"Content-Type": "application/json"}, b'{"title":"q","version":"1.15.0"}')
    server.faults.extend([about, Fault(403, body=b"Forbidden: Global write access is required")])
    with pytest.raises(Unauthorized, match=rf"{place.collection}.*api_key.*write_back") as caught:
        write(place, placed([1]))
    assert "canary" not in str(caught.value)


def test_strict_mode_leaves_a_note(rest_place: tuple[Place, RestQdrant]) -> None:
    """Where Qdrant filters by indexed fields only, topics are written, and a note says which index is missing."""
    place, server = rest_place
    fill(place, [1])
    about = Fault(200, {"Content-Type": "application/json"}, b'{"title":"q","version":"1.15.0"}')
    done = Fault(200, {"Content-Type": "application/json"}, b'{"result":[],"status":"ok","time":0}')
    server.faults.extend([about, done, done, Fault(400)])
    (note,) = write(place, placed([1])).notes
    assert "vis_assets.123.job_id" in note


def test_an_old_qdrant_is_left_alone(rest_place: tuple[Place, RestQdrant]) -> None:
    """A version that would write into the wrong place is not written to."""
    place, server = rest_place
    fill(place, [1])
    server.faults.append(Fault(200, {"Content-Type": "application/json"}, b'{"title":"q","version":"1.7.4"}'))
    with pytest.raises(SourceRejected, match=r"1\.7\.4.*update it"):
        write(place, placed([1]))
    assert payloads(place) == {1: {"text": "t1"}}


def test_a_missing_collection(server: Place) -> None:
    """A collection that was deleted meanwhile is named."""
    with pytest.raises(CollectionMissing, match=server.collection):
        write(server, placed([1]))


@pytest.mark.parametrize(("kind", "url"), [("qdrant", "file:///data/qdrant"), ("parquet", "file:///data/x.parquet")])
def test_files_are_not_written(grpc_place: Place, kind: str, url: str) -> None:
    """Neither a folder of the local mode nor a file is written, and it is said what to do."""
    request = SourceRequest(kind, url, "c")
    with pytest.raises(SourceRejected, match=r"leave visualization_config\.write_back off"):
        write_back.write_back(request, grpc_place.policy, "1", "j", placed([1]), lambda done, total: None)


@pytest.mark.parametrize(
    ("labels", "names"),
    [([[0, 1]], [["A"]]), ([[0]], [["A"]]), ([[0, 0], [0, 0]], [["A"]]), ([], [])],
)
def test_tables_that_do_not_fit_are_refused(labels: list[list[int]], names: list[list[str]]) -> None:
    """A label without a name, or layers of other lengths, never reach the points."""
    arrays = [np.array(layer, dtype=np.int32) for layer in labels]
    with pytest.raises(PointsMismatch):
        PlacedPoints(["1", "2"], np.zeros((2, 2), np.float32), arrays, names)


def test_a_payload_field_of_that_name_is_replaced(grpc_place: Place) -> None:
    """`vis_assets` belongs to what is written back: a value that is no object gives way."""
    point = models.PointStruct(id=1, vector=[1.0, 2.0], payload={"vis_assets": "mine", "other": 1})
    grpc_place.create(TWO, [point])
    write(grpc_place, placed([1]))
    found = payloads(grpc_place)[1]
    assert set(found["vis_assets"]) == {"123"}
    assert found["other"] == 1


def test_the_double_refuses_missing_ids_as_a_server_does(grpc_place: Place) -> None:
    """Who waits for a batch that names a missing id is told; that is what the last request has to get around."""
    fill(grpc_place, [1])
    operation = models.SetPayloadOperation(set_payload=models.SetPayload(payload={"a": 1}, points=[2]))
    client = QdrantClient(host="127.0.0.1", port=0, grpc_port=int(grpc_place.url.rpartition(":")[2]), prefer_grpc=True,
                          check_compatibility=False)  # fmt: skip
    client.batch_update_points(grpc_place.collection, [operation], wait=False)
    with pytest.raises(Exception, match="No point with id 2 found"):
        client.batch_update_points(grpc_place.collection, [operation], wait=True)
    client.close()
