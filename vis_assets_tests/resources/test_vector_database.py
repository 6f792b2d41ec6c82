"""The job's vector database, as the assets use it."""

from pathlib import Path

import numpy as np
import pytest
from qdrant_client import models

from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import Spec, SpecStore
from vis_assets.resources.vector_database import VectorDatabase
from vis_assets.sources.write_back import PlacedPoints, WriteBackResult
from vis_assets_tests.protocol.messages import CANARY, parsed
from vis_assets_tests.resources.conftest import settings_for

pytestmark = pytest.mark.enable_socket
KEY = "fD0l5y1Fh6-nsAahLDcMeHPsSPkzVIkJmkfCxKQyR4M="
PLACED = PlacedPoints(["1"], np.zeros((1, 2), np.float32), [np.zeros(1, np.int32)], [["Invoices"]])


def opened(folder: Path, url: str, api_key: str | None) -> tuple[VectorDatabase, Spec]:
    """The database of an installation that lets jobs reach this machine, and a job for it."""
    specs = SpecStore(FolderStore(folder / "store"), Sealer([KEY]))
    database = {"database_type": "qdrant", "connection_url": url, "api_key": api_key}
    spec = specs.save(parsed(qdrant_collection_name="c", vector_database_config=database))
    settings = settings_for({"VIS_ASSETS_HOME": folder, "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1"})
    return VectorDatabase(settings, specs), spec


def test_topics_are_written_with_the_key_of_the_job(tmp_path: Path) -> None:
    """The sealed key is opened, and the entry stands under the transform and names the job."""
    with EmbeddedQdrant(api_key=CANARY) as server:
        params = models.VectorParams(size=2, distance=models.Distance.DOT)
        server.client.create_collection("c", vectors_config=params)
        server.client.upsert("c", [models.PointStruct(id=1, vector=[1.0, 2.0], payload={})])
        database, spec = opened(tmp_path, server.url, CANARY)
        assert database.write_back(spec, PLACED, lambda done, total: None) == WriteBackResult(1)
        (point,), _ = server.client.scroll("c")
    assert point.payload is not None
    entry = point.payload["vis_assets"]["123"]
    assert (entry["cluster_name"], entry["job_id"]) == ("Invoices", spec.job.job_id)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("grpc://127.0.0.1:{port}", "API key"),
        ("grpc://127.0.0.2:{port}", "VIS_ASSETS_ALLOWED_HOSTS"),
        ("file:///data/qdrant", "leave visualization_config.write_back off"),
    ],
)
def test_what_stops_the_writing_becomes_a_note(url: str, says: str, tmp_path: Path) -> None:
    """A refused key, a host that is not allowed and a folder fail no map: one note says what happened."""
    with EmbeddedQdrant(api_key=CANARY) as server:
        database, spec = opened(tmp_path, url.format(port=server.port), "wrong")
        result = database.write_back(spec, PLACED, lambda done, total: None)
    (note,) = result.notes
    assert result.points == 0
    assert note.startswith("topics were not, or not all, written back: ")
    assert says in note
    assert "wrong" not in note.replace("wrong port", "")


def test_the_key_of_the_installation_does_not_write(tmp_path: Path) -> None:
    """A job without a key of its own cannot write with QDRANT_API_KEY, though it may read with it."""
    with EmbeddedQdrant(api_key=CANARY) as server:
        _, spec = opened(tmp_path, server.url, None)
        settings = settings_for(
            {"VIS_ASSETS_HOME": tmp_path, "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1", "QDRANT_API_KEY": CANARY}
        )
        database = VectorDatabase(settings, SpecStore(FolderStore(tmp_path / "store"), Sealer([KEY])))
        result = database.write_back(spec, PLACED, lambda done, total: None)
    (note,) = result.notes
    assert result.points == 0
    assert "API key" in note
    assert CANARY not in note
