"""Where the files of a run lie."""

import logging
from pathlib import Path

import pytest

from vis_assets.resources.compute.shelves import StoreShelf
from vis_assets.resources.object_store import FolderStore


def test_a_store_that_is_away_keeps_no_run_from_ending(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run's folder is removed, and what is left in the store is told."""
    store = FolderStore(tmp_path / "store")
    shelf = StoreShelf(store, "run", tmp_path / "folder")
    shelf.new_file(".npy").touch()
    unreadable = store.path("compute/run/loop.npy")
    unreadable.parent.mkdir(parents=True)
    unreadable.symlink_to(unreadable)
    with caplog.at_level(logging.WARNING):
        shelf.close()
    assert not (tmp_path / "folder").exists()
    assert "left in the store" in caplog.text
