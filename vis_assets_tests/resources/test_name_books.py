"""Names are remembered in the store, for all maps of an owner's collection, and never stop a map."""

from pathlib import Path
from typing import Any

import pytest

from vis_assets.errors import StoreUnavailable
from vis_assets.naming.book import BookEntry
from vis_assets.operations.deletion import find
from vis_assets.protocol.job import VisualizationTransformJob
from vis_assets.resources.name_books import NameBooks
from vis_assets.resources.object_store import FolderStore, ObjectStore
from vis_assets_tests.naming.test_book import ABOUT, ASKED, MODELS, entry, sketch_of
from vis_assets_tests.protocol.messages import parsed

pytestmark = pytest.mark.enable_socket


def job_of(**changes: Any) -> VisualizationTransformJob:
    return parsed(**changes).job


def known(books: NameBooks, job: VisualizationTransformJob, first: int = 0, last: int = 400) -> str | None:
    found = books.open(job).book.take(0, sketch_of(first, last), ABOUT, ASKED, MODELS)
    return found.name if found else None


def test_what_is_written_is_read(store: ObjectStore) -> None:
    """Names come back with their sketches, from a folder and from a bucket; "*" and "日本" are names too."""
    books, job = NameBooks(store), job_of()
    assert known(books, job) is None
    books.open(job).remember([entry("日本 *", 0, 400), entry("B", 500, 510, layer=1)])
    assert known(books, job) == "日本 *"
    assert [one.layer for one in books.open(job).book.entries] == [0, 1]
    books.open(job).remember([entry("C", 600, 700)])
    assert [one.name for one in books.open(job).book.entries] == ["C", "日本 *", "B"]


def test_maps_of_one_collection_share_names(folder_store: FolderStore) -> None:
    """Another map of the same owner's collection knows the names, whatever server has it; its own come first."""
    books, first = NameBooks(folder_store), job_of()
    books.open(first).remember([entry("first", 0, 400)])
    moved = {"connection_url": "http://other:6333"}
    second = job_of(visualization_transform_id=9, vector_database_config=moved)
    assert known(books, second) == "first"
    books.open(second).remember([entry("second", 0, 400)])
    assert known(books, second) == "second"
    assert known(books, first) == "first"


@pytest.mark.parametrize("other", [{"owner": "eve@example.com"}, {"qdrant_collection_name": "another"}])
def test_nobody_else_learns_names(folder_store: FolderStore, other: dict[str, Any]) -> None:
    """Another owner, and another collection, know nothing of these names, though the documents be the same."""
    books = NameBooks(folder_store)
    books.open(job_of()).remember([entry("secret", 0, 400)])
    assert known(books, job_of(**other)) is None


def test_nothing_to_remember_writes_nothing(folder_store: FolderStore) -> None:
    """A map without names by a model leaves no object."""
    NameBooks(folder_store).open(job_of()).remember([])
    assert list(folder_store.keys("")) == []


@pytest.mark.parametrize("body", [b"", b"no parquet", b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_damaged_book_is_an_empty_one(folder_store: FolderStore, body: bytes) -> None:
    """A file that cannot be read costs questions, no map; the next names replace it."""
    books, job = NameBooks(folder_store), job_of()
    books.open(job).remember([entry("A", 0, 400)])
    (key,) = folder_store.keys("")
    folder_store.write(key, body, "application/octet-stream")
    assert known(books, job) is None
    books.open(job).remember([entry("A again", 0, 400)])
    assert known(books, job) == "A again"


def test_a_store_that_is_away_costs_names_only(tmp_path: Path) -> None:
    """Where the store cannot be written or read, nothing is remembered and nothing is raised."""
    (tmp_path / "store").write_text("a file where the folder should be")
    store = FolderStore(tmp_path / "store")
    with pytest.raises(StoreUnavailable):
        store.require_writable()
    NameBooks(store).open(job_of()).remember([entry("A", 0, 400)])
    assert NameBooks(store).open(job_of()).book.entries == []


def test_a_deleted_map_takes_its_names_along(folder_store: FolderStore) -> None:
    """Deleting a map finds its book of names, and not those of other maps."""
    from dagster import DagsterInstance

    books = NameBooks(folder_store)
    books.open(job_of()).remember([entry("A", 0, 400)])
    books.open(job_of(visualization_transform_id=9)).remember([entry("A", 0, 400)])
    with DagsterInstance.ephemeral() as instance:
        (key,) = find("123", folder_store, instance).keys
    assert key.endswith("/123.parquet")


def test_entries_survive_as_they_were(folder_store: FolderStore) -> None:
    """Every field of an entry is the same after reading."""
    books, job, written = NameBooks(folder_store), job_of(), entry("A", 0, 400, layer=2, asked="f00", model="x/y")
    books.open(job).remember([written])
    (read,) = books.open(job).book.entries
    assert isinstance(read, BookEntry)
    assert (read.layer, read.asked, read.model, read.name) == (2, "f00", "x/y", "A")
    assert read.keyphrases == ABOUT
    assert read.sketch.content == written.sketch.content
    assert read.sketch.hashes.tolist() == written.sketch.hashes.tolist()
