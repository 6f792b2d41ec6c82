"""Keeps each owner's gallery, `visualizations/{owner}/index.html`, in step with the maps that lie in the store.

The gallery is built from a listing of the owner's folder, never from what a publisher believes: what lies there is the
truth. After it is written the folder is listed again, and built anew if it has changed meanwhile. So of two publishers
at once, whichever writes last has seen the maps of both.

What it costs for n maps: 2 listings of 5n objects (1,000 a request in a bucket), one read of `index.json`, one read for
each shown map whose card is not in there yet (one, usually), and two writes.
"""

import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from vis_assets.errors import ObjectMissing, VisAssetsError
from vis_assets.page.gallery import MAX_SHOWN, GalleryEntry, MapCard, read_card, render_gallery
from vis_assets.resources.content_types import CARD, INDEX_PAGE, JSON, PAGE, POINTS, THUMBNAIL, content_type
from vis_assets.resources.object_store import ObjectStore

_log = logging.getLogger(__name__)

INDEX = "index.json"
"""The cards of the maps shown, so that they are not read one by one each time; where it is lost it is built anew."""
MOST_ROUNDS = 5
UNSETTLED_SECONDS = 5.0
"""An object this young may be replaced without a change of the time that a store with whole seconds lists."""
READERS = 8
SHARE_OF_TIME = 0.1
"""At most this much of a reconciler's time goes into the gallery of one owner, however many maps it has."""
MOST_SECONDS = 2.0
"""Time in one call after which no further gallery is begun."""
RETRY_SECONDS = 60.0
_FILE = re.compile(rf"([0-9]+/[0-9]+)({'|'.join(map(re.escape, (PAGE, THUMBNAIL, CARD, POINTS)))})")

Files = Mapping[str, Mapping[str, float]]
"""`{transform}/{visualization}` -> suffix of a file -> when it was written; only maps that have a page."""


def update_gallery(store: ObjectStore, folder: str) -> bool:
    """Bring a gallery up to date; what goes wrong is logged and stops nobody.

    Args:
        store: where the maps are.
        folder: key prefix of all maps of an owner, without the last slash.

    Returns:
        Whether it is up to date now.
    """
    try:
        return _update(store, folder)
    except VisAssetsError as error:
        _log.warning("the gallery %s/%s was not written: %s", folder, INDEX_PAGE, error)
    except Exception:  # noqa: BLE001 - logged; no job may fail for a defect in the list of its owner's maps
        _log.exception("the gallery %s/%s was not written", folder, INDEX_PAGE)
    return False


class Galleries:
    """The galleries that are to be brought up to date, of one process."""

    def __init__(self, store: ObjectStore, clock: Callable[[], float] = time.monotonic) -> None:
        """Write to `store`; `clock` gives seconds."""
        self._store = store
        self._clock = clock
        self._touched: set[str] = set()
        self._not_before: dict[str, float] = {}

    def touch(self, folder: str) -> None:
        """Note that the maps below a folder have changed."""
        self._touched.add(folder)

    def update(self) -> None:
        """Bring up to date what was touched, save galleries that took long a short time ago; those wait for a call."""
        began = self._clock()
        self._not_before = {folder: due for folder, due in self._not_before.items() if due > began}
        for folder in sorted(self._touched - self._not_before.keys()):
            if self._clock() - began > MOST_SECONDS:
                break  # the others have their turn in the next call
            self._touched.discard(folder)
            started = self._clock()
            done = update_gallery(self._store, folder)
            ended = self._clock()
            if not done:
                self._touched.add(folder)
            self._not_before[folder] = ended + ((ended - started) / SHARE_OF_TIME if done else RETRY_SECONDS)


def _update(store: ObjectStore, folder: str) -> bool:
    files = _look(store, folder)
    for _ in range(MOST_ROUNDS):
        _write(store, folder, files)
        now = _look(store, folder)
        if now == files:
            return True
        files = now
    _log.warning("%s changes faster than its gallery can be written", folder)
    return False


def _look(store: ObjectStore, folder: str) -> Files:
    found: dict[str, dict[str, float]] = {}
    prefix = f"{folder}/"
    for one in store.listing(prefix):
        match = _FILE.fullmatch(one.key.removeprefix(prefix))
        if match:
            found.setdefault(match[1], {})[match[2]] = one.modified
    return {name: suffixes for name, suffixes in found.items() if PAGE in suffixes}


def _write(store: ObjectStore, folder: str, files: Files) -> None:
    if not files:
        for name in (INDEX_PAGE, INDEX):
            store.delete(f"{folder}/{name}")
        return
    newest = sorted(files, key=lambda name: (-files[name][PAGE], name))[:MAX_SHOWN]
    cards = _cards(store, folder, {name: files[name][CARD] for name in newest if CARD in files[name]})
    entries = [_entry(name, files[name], cards.get(name)) for name in newest]
    page = render_gallery(folder.rpartition("/")[2], entries, len(files))
    store.write(f"{folder}/{INDEX_PAGE}", page, content_type(INDEX_PAGE))
    store.write(f"{folder}/{INDEX}", _index_of(cards), JSON)


def _entry(name: str, suffixes: Mapping[str, float], kept: "_KeptCard | None") -> GalleryEntry:
    return GalleryEntry(
        page=name + PAGE,
        card=kept.card if kept else None,
        stored_at=suffixes[PAGE],
        thumbnail=name + THUMBNAIL if THUMBNAIL in suffixes else None,
        points_file=name + POINTS if POINTS in suffixes else None,
    )


@dataclass(frozen=True)
class _KeptCard:
    """A card, and when it was written; None in the place of one that cannot be read."""

    card: MapCard | None
    modified: float


def _cards(store: ObjectStore, folder: str, wanted: Mapping[str, float]) -> dict[str, _KeptCard]:
    """Read the cards of these maps, from the index where it has them as they are now."""
    settled_before = max(wanted.values(), default=0.0) - UNSETTLED_SECONDS
    kept = {
        name: one
        for name, one in _read_index(store, folder).items()
        if wanted.get(name) == one.modified and one.modified < settled_before
    }
    missing = [name for name in wanted if name not in kept]
    keys = [f"{folder}/{name}{CARD}" for name in missing]
    return kept | {
        name: _KeptCard(card, wanted[name]) for name, card in zip(missing, _read_all(store, keys), strict=True)
    }


def _read_all(store: ObjectStore, keys: Sequence[str]) -> list[MapCard | None]:
    def read(key: str) -> MapCard | None:
        try:
            return read_card(store.read(key))
        except ObjectMissing:
            return None

    with ThreadPoolExecutor(READERS) as readers:
        return list(readers.map(read, keys))


def _index_of(cards: Mapping[str, _KeptCard]) -> bytes:
    maps = {
        name: {"modified": kept.modified, "card": json.loads(kept.card.to_json()) if kept.card else None}
        for name, kept in sorted(cards.items())
    }
    return json.dumps({"maps": maps}, indent=1).encode()


def _read_index(store: ObjectStore, folder: str) -> dict[str, _KeptCard]:
    try:
        maps: dict[str, Any] = json.loads(store.read(f"{folder}/{INDEX}"))["maps"]
        return {
            name: _KeptCard(read_card(json.dumps(one["card"])), float(one["modified"])) for name, one in maps.items()
        }
    except (ObjectMissing, ValueError, KeyError, TypeError, AttributeError):
        return {}
