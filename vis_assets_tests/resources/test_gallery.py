"""Galleries: what lies in the store is what is listed, whoever else publishes meanwhile."""

import json
import os
import threading
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from vis_assets.errors import StoreUnavailable
from vis_assets.page.gallery import MapCard
from vis_assets.resources import gallery
from vis_assets.resources.content_types import HTML, JSON
from vis_assets.resources.gallery import RETRY_SECONDS, Galleries, update_gallery
from vis_assets.resources.object_store import FolderStore, ObjectStore, StoredObject

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
ANN = "visualizations/ann"
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def publish(store: ObjectStore, number: int, folder: str = ANN, title: str = "") -> None:
    """Store a map and what belongs to it, as a publisher does before it writes the gallery."""
    made_at = NOON + timedelta(seconds=number)
    card = MapCard(title=title or f"Map no. {number}", points=7, clusters=2, made_at=made_at, job_id="j")
    store.write(f"{folder}/{number}/1.png", b"png", "image/png")
    store.write(f"{folder}/{number}/1.points.parquet", b"parquet", "application/vnd.apache.parquet")
    store.write(f"{folder}/{number}/1.json", card.to_json(), JSON)
    store.write(f"{folder}/{number}/1.html", b"<html>", HTML)


def shown(store: ObjectStore, folder: str = ANN) -> list[int]:
    """Numbers of the maps on a gallery, in their order."""
    page = store.read(f"{folder}/index.html").decode()
    return [int(part.split("/", 1)[0]) for part in page.split('class="map" href="./')[1:]]


class BusyStore(FolderStore):
    """A folder that counts what is read, and lets another publisher act right after a listing."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: list[str] = []
        self.listings = 0
        self.then_publish: Iterator[int] = iter(())

    def read(self, key: str) -> bytes:
        self.reads.append(key)
        return super().read(key)

    def listing(self, prefix: str, after: str = "") -> Iterator[StoredObject]:
        self.listings += 1
        yield from super().listing(prefix, after)
        for number in self.then_publish:
            publish(self, number)
            return


class BrokenStore(FolderStore):
    """A folder in which no gallery can be written while it is broken."""

    broken = True

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        if self.broken and key.endswith("index.html"):
            raise StoreUnavailable("the disk is full")
        super().write(key, source, content_type, metadata)


def test_all_maps_of_an_owner_are_listed(store: ObjectStore) -> None:
    """In a folder and in a bucket, the newest comes first, with its picture and its table."""
    for number in (1, 3, 2):
        publish(store, number)
    assert update_gallery(store, ANN)
    assert shown(store) == [3, 2, 1]
    page = store.read(f"{ANN}/index.html").decode()
    for told in ("Maps of ann", "Map no. 2", 'src="./2/1.png"', 'href="./2/1.points.parquet"', "7 points"):
        assert told in page


def test_no_other_owner_is_listed(store: ObjectStore) -> None:
    """Owners whose names begin alike have a gallery each, with their own maps only."""
    publish(store, 1)
    publish(store, 2, "visualizations/ann2")
    publish(store, 3, "visualizations/an")
    store.write(f"{ANN}/9.html", b"too high", HTML)
    store.write(f"{ANN}/8/1/1.html", b"too deep", HTML)
    for folder, number in ((ANN, 1), ("visualizations/ann2", 2), ("visualizations/an", 3)):
        update_gallery(store, folder)
        assert shown(store, folder) == [number]


def test_deleted_maps_disappear_and_the_last_takes_the_gallery_along(folder_store: FolderStore) -> None:
    """A map without page is not listed; an owner without maps has no gallery."""
    for number in (1, 2):
        publish(folder_store, number)
    update_gallery(folder_store, ANN)
    folder_store.delete(f"{ANN}/2/1.html")
    update_gallery(folder_store, ANN)
    assert shown(folder_store) == [1]
    folder_store.delete(f"{ANN}/1/1.html")
    update_gallery(folder_store, ANN)
    assert not {f"{ANN}/index.html", f"{ANN}/index.json"} & set(folder_store.keys(""))


def test_a_map_that_is_published_meanwhile_is_not_lost(tmp_path: Path) -> None:
    """Another publisher's map that came between listing and writing is there in the end."""
    store = BusyStore(tmp_path)
    publish(store, 1)
    store.then_publish = iter((2, 3))
    assert update_gallery(store, ANN)
    assert shown(store) == [3, 2, 1]


def test_publishers_at_once_converge(tmp_path: Path) -> None:
    """Whoever of many publishers writes last, the gallery holds the maps of all."""
    store = FolderStore(tmp_path)

    def work(first: int) -> None:
        for number in range(first, first + 5):
            publish(store, number)
            while not update_gallery(store, ANN):
                pass

    threads = [threading.Thread(target=work, args=(10 * i,)) for i in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(shown(store)) == sorted(10 * i + k for i in range(1, 5) for k in range(5))


def test_constant_change_does_not_hold_anybody_up(tmp_path: Path) -> None:
    """Where maps come faster than galleries are written, it ends after a few rounds and says that it is not done."""
    store = BusyStore(tmp_path)
    publish(store, 1)
    store.then_publish = iter(range(2, 1000))
    assert not update_gallery(store, ANN)
    assert store.listings == gallery.MOST_ROUNDS + 1


def test_cards_are_read_once(tmp_path: Path) -> None:
    """Cards that were read before are not read again, those that have changed are."""
    store = BusyStore(tmp_path)
    for number in range(1, 21):
        publish(store, number)
        for path in tmp_path.glob(f"{ANN}/{number}/*"):
            os.utime(path, (1000.0 * number, 1000.0 * number))
    update_gallery(store, ANN)
    store.reads.clear()
    publish(store, 21)
    publish(store, 5, title="another title")
    update_gallery(store, ANN)
    assert sorted(store.reads) == sorted([f"{ANN}/index.json", f"{ANN}/21/1.json", f"{ANN}/5/1.json"])
    assert "another title" in store.read(f"{ANN}/index.html").decode()


def test_a_young_card_is_read_again(tmp_path: Path) -> None:
    """A card that is replaced within the second, and so listed with the same time, is read again."""
    store = BusyStore(tmp_path)
    for title in ("before", "after"):
        publish(store, 1, title=title)
        for path in tmp_path.glob(f"{ANN}/1/*"):
            os.utime(path, (1000.0, 1000.0))
        update_gallery(store, ANN)
    assert "after" in store.read(f"{ANN}/index.html").decode()


@pytest.mark.parametrize("body", [b"", b"[]", b'{"maps": []}', b'{"maps": {"1/1": 5}}', b'{"maps": {"1/1": {}}}'])
def test_a_damaged_index_is_built_anew(folder_store: FolderStore, body: bytes) -> None:
    """Whatever became of the index, the gallery is right."""
    publish(folder_store, 1)
    folder_store.write(f"{ANN}/index.json", body, JSON)
    assert update_gallery(folder_store, ANN)
    assert "Map no. 1" in folder_store.read(f"{ANN}/index.html").decode()
    assert json.loads(folder_store.read(f"{ANN}/index.json"))["maps"]["1/1"]["card"]["points"] == 7


@pytest.mark.parametrize("body", [b"", b"{}", b'{"title": "<script>"}'])
def test_a_damaged_card_hides_no_map(folder_store: FolderStore, body: bytes) -> None:
    """A map whose card cannot be read is listed by its address."""
    publish(folder_store, 1)
    folder_store.write(f"{ANN}/1/1.json", body, JSON)
    for _ in range(2):
        assert update_gallery(folder_store, ANN)
        assert "Map 1/1" in folder_store.read(f"{ANN}/index.html").decode()


def test_only_the_newest_are_shown(folder_store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many maps the newest are listed, and the page says how many there are."""
    monkeypatch.setattr(gallery, "MAX_SHOWN", 3)
    for number in range(1, 6):
        publish(folder_store, number)
        path = folder_store.path(f"{ANN}/{number}/1.html")
        os.utime(path, (1000.0 * number, 1000.0 * number))
    update_gallery(folder_store, ANN)
    assert shown(folder_store) == [5, 4, 3]
    assert "The newest 3 of 5 maps." in folder_store.read(f"{ANN}/index.html").decode()


def test_a_gallery_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    """The failure is told by the return value alone, and the gallery is written later, not at once."""
    store, clock = BrokenStore(tmp_path), [0.0]
    publish(store, 1)
    galleries = Galleries(store, clock=lambda: clock[0])
    galleries.touch(ANN)
    galleries.update()
    store.broken = False
    galleries.update()
    assert not store.exists(f"{ANN}/index.html")
    clock[0] = RETRY_SECONDS + 1
    galleries.update()
    assert shown(store) == [1]


def test_galleries_that_take_long_are_written_less_often(tmp_path: Path) -> None:
    """After a gallery took a second, nine more pass until it is written again; what was touched is not forgotten."""
    store, now = BusyStore(tmp_path), [0.0]

    def clock() -> float:
        now[0] += 1.0
        return now[0]

    galleries = Galleries(store, clock)
    publish(store, 1)
    galleries.touch(ANN)
    galleries.update()
    publish(store, 2)
    galleries.touch(ANN)
    galleries.update()
    assert shown(store) == [1]
    now[0] += 20
    galleries.update()
    assert shown(store) == [2, 1]
    listings = store.listings
    galleries.update()
    assert store.listings == listings, "nothing was touched"
