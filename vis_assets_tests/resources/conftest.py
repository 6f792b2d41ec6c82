"""Object stores: a folder, and a bucket on a real S3 server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vis_assets.operations.embedded_servers import EmbeddedS3, start_s3
from vis_assets.resources.object_store import FolderStore, ObjectStore, S3Store, open_store
from vis_assets.settings import Settings


def settings_for(environment: dict[str, Any]) -> Settings:
    """Settings of these variables."""
    return Settings(**environment)


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedS3]:
    """One `rclone serve s3` for all tests that only talk to it."""
    server = start_s3(tmp_path_factory.mktemp("s3"))
    yield server
    server.child.stop()


@pytest.fixture
def s3_store(s3_server: EmbeddedS3) -> S3Store:
    """The bucket, empty."""
    store = open_store(settings_for(s3_server.environment))
    assert isinstance(store, S3Store)
    for key in list(store.keys("")):
        store.delete(key)
    return store


@pytest.fixture
def folder_store(tmp_path: Path) -> FolderStore:
    """A folder that does not exist yet."""
    return FolderStore(tmp_path / "store")


@pytest.fixture(params=["folder_store", "s3_store"])
def store(request: pytest.FixtureRequest) -> ObjectStore:
    """Each kind of store in turn."""
    chosen: ObjectStore = request.getfixturevalue(request.param)
    return chosen
