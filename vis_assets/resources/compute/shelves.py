"""Where the files lie that a run and its workers exchange: the run's folder, or the object store.

The folder costs nothing, and serves where the workers see it: on the same machine, or on a shared disk. A run finds out
by its mark: a worker that does not see the mark says so, and the run goes on with the store.
"""

import logging
import shutil
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from vis_assets.errors import ComputeFailed, ObjectMissing, StoreUnavailable
from vis_assets.resources.object_store import ObjectStore, open_store
from vis_assets.settings import load_settings

_log = logging.getLogger(__name__)

PREFIX = "compute"
"""Keys of exchanged objects are `compute/{run}/{name}`."""
OLD_SECONDS = 86_400.0
"""What a run left in the store, because it was killed, is removed by the next after this long."""
IDLE_SECONDS = 3600.0
"""What a worker downloaded is removed when a task of another run comes after this long."""
_CONTENT_TYPES = {".npy": "application/octet-stream", ".arrow": "application/vnd.apache.arrow.file"}


@dataclass(frozen=True)
class Place:
    """Where a worker finds a file.

    Attributes:
        name: absolute path, or key in the store.
        in_store: which of the two.
    """

    name: str
    in_store: bool = False


class Shelf(Protocol):
    """The run's side: files that workers can read."""

    def new_file(self, suffix: str) -> Path:
        """Return the path of a file to write, which does not exist yet."""

    def offer(self, file: Path) -> Place:
        """Make a file, which is not written to any more, readable for workers."""

    @property
    def mark(self) -> str | None:
        """A file that whoever can read this shelf sees; None where no file tells."""

    def close(self) -> None:
        """Remove what was written."""


class FolderShelf:
    """Files in a folder that the workers see too."""

    def __init__(self, folder: Path) -> None:
        """Write to this folder of the run's own; it is created."""
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._mark = folder / f"mark-{uuid.uuid4().hex}"
        self._mark.touch()

    def new_file(self, suffix: str) -> Path:
        """See Shelf."""
        return self._folder / f"{uuid.uuid4().hex}{suffix}"

    def offer(self, file: Path) -> Place:
        """See Shelf."""
        return Place(str(file.absolute()))

    @property
    def mark(self) -> str | None:
        """See Shelf."""
        return str(self._mark.absolute())

    def close(self) -> None:
        """See Shelf."""
        shutil.rmtree(self._folder, ignore_errors=True)


class StoreShelf:
    """Objects in the store, `.npy` and Arrow, for workers on other machines."""

    mark = None

    def __init__(self, store: ObjectStore, run: str, folder: Path) -> None:
        """Offer files as objects of this run.

        Args:
            store: which the workers' own settings lead to, too.
            run: name of the run, part of the keys.
            folder: where files lie until they are uploaded; created.
        """
        self._store = store
        self._base = f"{PREFIX}/{run}"
        self._folder = folder
        self._offered: dict[Path, Place] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def new_file(self, suffix: str) -> Path:
        """See Shelf."""
        return self._folder / f"{uuid.uuid4().hex}{suffix}"

    def offer(self, file: Path) -> Place:
        """See Shelf; a file that is offered again is not uploaded again."""
        if file not in self._offered:
            key = f"{self._base}/{uuid.uuid4().hex}{file.suffix}"
            self._store.write(key, file, _CONTENT_TYPES[file.suffix])
            self._offered[file] = Place(key, in_store=True)
            if file.parent == self._folder:
                file.unlink()
        return self._offered[file]

    def close(self) -> None:
        """See Shelf; also removes what runs left that were killed long ago.

        Where the store is away its objects are left, to the next run after `OLD_SECONDS`: the map is made by now.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._remove_objects()
        except StoreUnavailable as error:
            _log.warning("objects of run %s are left in the store: %s", self._base, error)

    def _remove_objects(self) -> None:
        now = time.time()
        for found in list(self._store.listing(f"{PREFIX}/")):
            if found.key.startswith(f"{self._base}/") or now - found.modified > OLD_SECONDS:
                self._store.delete(found.key)


class Reader:
    """The worker's side: files of all shelves."""

    def __init__(self, folder: Path) -> None:
        """Download into this folder of the worker's own."""
        self._folder = folder

    def path_of(self, place: Place) -> Path:
        """Return the file, downloaded where it is an object.

        Raises:
            ComputeFailed: this worker does not find the object, so its store is not that of the run.
            StoreUnavailable: the store cannot be reached.
        """
        if not place.in_store:
            return Path(place.name)
        _, run, name = place.name.split("/")
        target = self._folder / run / name
        if not target.exists():
            self._download(place.name, target)
        return target

    def _download(self, key: str, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        for folder in _others(target.parent):
            shutil.rmtree(folder, ignore_errors=True)
        store = open_store(load_settings())
        partial = target.with_suffix(".partial")
        try:
            store.download(key, partial)
        except ObjectMissing:
            raise ComputeFailed(
                f"a Dask worker finds no {key} in its store, {store.describe()}; start the workers with the S3 "
                "settings of this installation, or let them share its disk"
            ) from None
        partial.rename(target)


def _others(folder: Path) -> Iterator[Path]:
    """The folders of other runs that were not written to for long."""
    limit = time.time() - IDLE_SECONDS
    return (other for other in folder.parent.iterdir() if other != folder and other.stat().st_mtime < limit)
