"""Object stores: one suite over the folder and a real S3 server, then what is special to each."""

import http.server
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.errors import ObjectMissing, PermanentError, StoreUnavailable
from vis_assets.operations.embedded_servers import EmbeddedS3, start_s3
from vis_assets.resources.object_store import FolderStore, ObjectStore, S3Store, check_key, open_store
from vis_assets_tests.resources.conftest import settings_for

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]

HOSTILE_KEYS = [
    "", "/", "..", "../x", "a/../b", "a/..", "./a", "a/.", "/a", "a/", "a//b", ".a", "a/.writing-x", "a\\b", "a b",
    "a\n", "\n", "a/b\n", "a\x00", "é", "\u0661", "a%2e", "a:b", "~", "a/~", "*",
]  # fmt: skip
TYPE = "application/octet-stream"


def test_an_object_is_read_as_it_was_written(store: ObjectStore, tmp_path: Path) -> None:
    """Bytes and files come back as bytes and as a file."""
    big = os.urandom(3_000_000)
    (tmp_path / "source").write_bytes(big)
    store.write("a/bytes", b"hello", TYPE)
    store.write("a/file", tmp_path / "source", TYPE)
    store.write("a/empty", b"", TYPE)
    assert (store.read("a/bytes"), store.read("a/file"), store.read("a/empty")) == (b"hello", big, b"")
    store.download("a/file", tmp_path / "target")
    assert (tmp_path / "target").read_bytes() == big


def test_an_object_can_be_replaced(store: ObjectStore) -> None:
    """Writing again replaces an object, also by a shorter one."""
    store.write("a/b", b"long before", TYPE)
    store.write("a/b", b"after", TYPE)
    assert store.read("a/b") == b"after"
    assert list(store.keys("a/")) == ["a/b"]


def test_keys_are_listed_by_prefix(store: ObjectStore) -> None:
    """Exactly the keys that begin with a prefix are listed, also where it ends inside a name, and there may be none."""
    names = ["a/1", "a/10", "a/2/x", "ab", "b/1"]
    for name in names:
        store.write(name, b"x", TYPE)
    assert sorted(store.keys("")) == sorted(names)
    assert sorted(store.keys("a/")) == ["a/1", "a/10", "a/2/x"]
    assert sorted(store.keys("a/1")) == ["a/1", "a/10"]
    assert sorted(store.keys("a")) == ["a/1", "a/10", "a/2/x", "ab"]
    assert list(store.keys("nothing/")) == []


def test_many_keys_are_listed(store: ObjectStore) -> None:
    """A listing is complete also where the server gives it in pages."""
    for i in range(1050):
        store.write(f"many/{i}", b"", TYPE)
    assert len(set(store.keys("many/"))) == 1050


def test_a_listing_is_in_order_and_goes_on_behind_a_key(store: ObjectStore) -> None:
    """A listing has the keys below a prefix in their order, with when they were written, from behind a key on."""
    before = time.time()
    names = ["a/1-x/q", "a/1.json", "a/1/y", "a/10/x", "a/B", "a/_"]
    for name in [*reversed(names), "a-b", "b/1"]:
        store.write(name, b"x", TYPE)
    found = list(store.listing("a/"))
    assert [one.key for one in found] == names
    assert all(abs(one.modified - before) < 600 for one in found)
    assert [one.key for one in store.listing("a/", "a/1/y")] == ["a/10/x", "a/B", "a/_"]
    assert [one.key for one in store.listing("a/", "a/1/z")] == ["a/10/x", "a/B", "a/_"]
    assert list(store.listing("a/", "a/_")) == []
    assert list(store.listing("nothing/")) == []


def test_a_listing_goes_on_within_many_keys(store: ObjectStore) -> None:
    """A listing that begins in the middle is complete also where the server gives it in pages."""
    names = sorted(f"many/{number}" for number in range(1050))
    for name in names:
        store.write(name, b"", TYPE)
    assert [one.key for one in store.listing("many/")] == names
    assert [one.key for one in store.listing("many/", names[20])] == names[21:]


def test_a_listing_says_when_an_object_was_replaced(folder_store: FolderStore) -> None:
    """An object is as old as its last writing."""
    folder_store.write("a/b", b"x", TYPE)
    os.utime(folder_store.path("a/b"), (1000, 1000))
    assert [one.modified for one in folder_store.listing("a/")] == [1000]
    folder_store.write("a/b", b"x", TYPE)
    assert [one.modified > 1000 for one in folder_store.listing("a/")] == [True]


def test_what_vanishes_during_a_listing_is_left_out(folder_store: FolderStore) -> None:
    """An object that somebody deletes, with its folder, while others are listed, is no error."""
    for key in ("a/1", "a/2/x", "a/3"):
        folder_store.write(key, b"x", TYPE)
    listing = folder_store.listing("a/")
    assert next(listing).key == "a/1"
    folder_store.delete("a/2/x")
    assert [one.key for one in listing] == ["a/3"]


def test_many_may_delete_the_same(store: ObjectStore) -> None:
    """Threads that delete the same objects, with the folders that become empty, do not disturb each other."""
    keys = [f"deep/{number}/{number}/x" for number in range(40)]
    for key in keys:
        store.write(key, b"x", TYPE)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.delete, [key for key in keys for _ in range(4)]))
    assert list(store.keys("")) == []


def test_existence_is_that_of_an_object(store: ObjectStore) -> None:
    """An object exists from its writing to its deletion; a prefix of its key is no object."""
    assert not store.exists("a/b")
    store.write("a/b", b"x", TYPE)
    assert store.exists("a/b")
    assert not store.exists("a")
    store.delete("a/b")
    assert not store.exists("a/b")


def test_deleting_twice_is_harmless(store: ObjectStore) -> None:
    """Deleting removes that object only, and deleting what is not there is no error."""
    store.write("a/b", b"x", TYPE)
    store.write("a/c", b"y", TYPE)
    store.delete("a/b")
    store.delete("a/b")
    store.delete("never/was")
    assert list(store.keys("")) == ["a/c"]


def test_a_missing_object_is_named(store: ObjectStore, tmp_path: Path) -> None:
    """Reading or downloading what is not there is ObjectMissing with the key and the place, and leaves no file."""
    for call in (lambda: store.read("a/b"), lambda: store.download("a/b", tmp_path / "target")):
        with pytest.raises(ObjectMissing, match="a/b") as caught:
            call()
        assert store.describe() in str(caught.value)
    assert not (tmp_path / "target").exists()


def test_a_prefix_is_no_object(store: ObjectStore) -> None:
    """Reading a key under which there are only further keys is ObjectMissing."""
    store.write("a/b/c", b"x", TYPE)
    with pytest.raises(ObjectMissing):
        store.read("a/b")


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_refused(store: ObjectStore, tmp_path: Path, key: str) -> None:
    """A key that could leave its prefix, or mean another file, is refused by every method and touches nothing."""
    before = sorted(tmp_path.rglob("*"))
    for call in (
        lambda: store.write(key, b"x", TYPE),
        lambda: store.read(key),
        lambda: store.download(key, tmp_path / "target"),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(PermanentError, match="is not allowed") as caught:
            call()
        assert not isinstance(caught.value, ObjectMissing)
    assert sorted(tmp_path.rglob("*")) == before


@given(st.text(alphabet=st.sampled_from("a.b/-@\n \\\0é%"), max_size=12))
def test_a_key_that_passes_stays_below_its_root(key: str) -> None:
    """Whatever key passes, its path is below the root and is spelt as the key is."""
    try:
        check_key(key)
    except PermanentError:
        return
    path = Path(os.path.normpath(Path("/root") / key))
    assert path.relative_to("/root").as_posix() == key


def test_place_is_described_without_secrets(store: ObjectStore, s3_server: EmbeddedS3) -> None:
    """The description names the folder or bucket and no credential."""
    assert s3_server.environment["AWS_SECRET_ACCESS_KEY"] not in store.describe()
    assert s3_server.environment["AWS_ACCESS_KEY_ID"] not in store.describe()
    assert store.describe().startswith(("folder ", "bucket "))


# What is special to S3.


def test_s3_is_sent_type_and_metadata(s3_store: S3Store, tmp_path: Path) -> None:
    """Content type and metadata go with bytes and with files; the type comes back (this server forgets metadata)."""
    sent: list[dict[str, str]] = []

    def note(request: Any, **_: Any) -> None:
        sent.append({name: _text(value) for name, value in request.headers.items()})

    s3_store.client.meta.events.register("before-send.s3.PutObject", note)
    (tmp_path / "source").write_bytes(b"<html>")
    for key, source in (("a/b.html", b"<html>"), ("a/c.html", tmp_path / "source")):
        s3_store.write(key, source, "text/html; charset=utf-8", {"job-id": "j1"})
        head = s3_store.client.head_object(Bucket=s3_store.bucket, Key=key)
        assert head["ContentType"].startswith("text/html")
    assert [(h["Content-Type"], h["x-amz-meta-job-id"]) for h in sent] == [("text/html; charset=utf-8", "j1")] * 2


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def test_s3_that_is_down_is_unavailable(tmp_path: Path) -> None:
    """When the server has gone, every method says that the store is unavailable, with a hint and without a secret."""
    server = start_s3(tmp_path)
    store = open_store(settings_for(server.environment))
    store.write("a/b", b"x", TYPE)
    server.child.stop()
    (tmp_path / "source").write_bytes(b"x")
    for call in (
        lambda: store.write("a/b", b"x", TYPE),
        lambda: store.write("a/b", tmp_path / "source", TYPE),
        lambda: store.read("a/b"),
        lambda: store.download("a/b", tmp_path / "target"),
        lambda: store.exists("a/b"),
        lambda: list(store.keys("a/")),
        lambda: store.delete("a/b"),
    ):
        with pytest.raises(StoreUnavailable, match="AWS_ENDPOINT_URL") as caught:
            call()
        assert server.environment["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


@pytest.mark.parametrize("change", [{"S3_BUCKET_NAME": "nobodys"}, {"AWS_SECRET_ACCESS_KEY": "wrong"}])
def test_s3_that_refuses_is_unavailable(s3_server: EmbeddedS3, change: dict[str, str], tmp_path: Path) -> None:
    """A bucket that is not there, or credentials that are wrong, are told when something is written or read."""
    store = open_store(settings_for(s3_server.environment | change))
    (tmp_path / "source").write_bytes(b"x")
    for call in (lambda: store.write("a/b", b"x", TYPE), lambda: store.write("a/b", tmp_path / "source", TYPE)):
        with pytest.raises(StoreUnavailable, match="check the bucket"):
            call()
    with pytest.raises(StoreUnavailable):
        store.read("a/b")


class _HalfAnswer(http.server.BaseHTTPRequestHandler):
    """Promises ten bytes and gives three."""

    def do_HEAD(self) -> None:
        self._head()

    def do_GET(self) -> None:
        self._head()
        self.wfile.write(b"123")

    def _head(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "10")
        self.send_header("ETag", '"x"')
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def breaking_store(s3_server: EmbeddedS3) -> Iterator[ObjectStore]:
    """A store on a server whose connections break in the middle of each object."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _HalfAnswer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    yield open_store(settings_for(s3_server.environment | {"AWS_ENDPOINT_URL": url}))
    server.shutdown()
    server.server_close()


def test_s3_that_breaks_off_is_unavailable(breaking_store: ObjectStore, tmp_path: Path) -> None:
    """A connection that breaks in the middle of an object is an unavailable store, and never a short object."""
    with pytest.raises(StoreUnavailable):
        breaking_store.read("a/b")
    with pytest.raises(StoreUnavailable):
        breaking_store.download("a/b", tmp_path / "target")
    assert not (tmp_path / "target").exists()


# What is special to a folder.


def test_folder_shows_no_half_written_object(folder_store: FolderStore) -> None:
    """A writer that is killed in the middle leaves the old object, and nothing that is listed."""
    folder_store.write("a/b", b"old", TYPE)
    script = (
        "import sys, pathlib, os, threading\n"
        "from vis_assets.resources.object_store import FolderStore\n"
        "os.mkfifo(sys.argv[2])\n"
        "FolderStore(pathlib.Path(sys.argv[1])).write('a/b', pathlib.Path(sys.argv[2]), 'x')\n"
    )
    fifo = folder_store.root.parent / "endless"
    writer = subprocess.Popen([sys.executable, "-c", script, str(folder_store.root), str(fifo)])
    try:
        while not fifo.exists():
            assert writer.poll() is None
            time.sleep(0.01)
        with fifo.open("wb") as source:
            source.write(b"n" * 3_000_000)
            source.flush()
            while not list((folder_store.root / "a").glob(".*")):
                assert writer.poll() is None
            assert folder_store.read("a/b") == b"old"
            assert list(folder_store.keys("")) == ["a/b"]
            writer.kill()
            writer.wait()
    except BrokenPipeError:
        pass
    finally:
        writer.kill()
        writer.wait()
    assert folder_store.read("a/b") == b"old"
    assert list(folder_store.keys("")) == ["a/b"]
    folder_store.write("a/b", b"new", TYPE)
    assert folder_store.read("a/b") == b"new"


def test_folder_keeps_nothing_of_a_write_that_fails(folder_store: FolderStore, tmp_path: Path) -> None:
    """A source that cannot be read leaves no file aside."""
    folder_store.write("a/b", b"old", TYPE)
    with pytest.raises((StoreUnavailable, ObjectMissing)):
        folder_store.write("a/b", tmp_path, TYPE)
    assert [path.name for path in (folder_store.root / "a").iterdir()] == ["b"]


def test_folder_readers_see_whole_objects(folder_store: FolderStore) -> None:
    """While one thread replaces an object again and again, every reader sees one of the values whole."""
    values = [bytes([i]) * 200_000 for i in range(2)]
    folder_store.write("a/b", values[0], TYPE)
    stop = threading.Event()

    def replace() -> None:
        while not stop.is_set():
            for value in values:
                folder_store.write("a/b", value, TYPE)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        assert all(folder_store.read("a/b") in values for _ in range(300))
    finally:
        stop.set()
        writer.join()


@pytest.mark.parametrize("where", ["root", "above root", "inside"])
def test_folder_that_cannot_be_written_is_unavailable(tmp_path: Path, where: str) -> None:
    """A file where a folder should be is told as a store that cannot be written, never as a missing object."""
    place = {"root": "store", "above root": "store", "inside": "store/a"}[where]
    (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / place).write_bytes(b"in the way")
    store = FolderStore(tmp_path / "store" / ("deeper" if where == "above root" else ""))
    with pytest.raises(StoreUnavailable, match="check the disk"):
        store.write("a/b", b"x", TYPE)


def test_folder_on_a_full_disk_is_unavailable(tmp_path: Path) -> None:
    """A disk that takes no more is told as such, and the old object stays."""
    import resource

    store = FolderStore(tmp_path / "store")
    store.write("a/b", b"old", TYPE)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    import signal

    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(StoreUnavailable, match="check the disk"):
            store.write("a/b", b"x" * 1_000_000, TYPE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert store.read("a/b") == b"old"
    assert list(store.keys("")) == ["a/b"]


def test_folder_listing_bears_deletions_meanwhile(folder_store: FolderStore) -> None:
    """Objects that vanish while a listing runs do not break it."""
    for i in range(30):
        folder_store.write(f"{i}/x/y", b"x", TYPE)
    listing = folder_store.keys("")
    seen = [next(listing)]
    for key in list(folder_store.keys("")):
        folder_store.delete(key)
    seen.extend(listing)
    assert len(set(seen)) == len(seen)


def test_folder_objects_are_readable_by_others(folder_store: FolderStore) -> None:
    """The server of maps, perhaps another user, may read an object."""
    folder_store.write("a/b", b"x", TYPE)
    assert folder_store.path("a/b").stat().st_mode & 0o777 == 0o644


def test_folder_deletes_empty_folders(folder_store: FolderStore) -> None:
    """Deleting the last object of a folder removes the folder, and never the root."""
    folder_store.write("a/b/c", b"x", TYPE)
    folder_store.delete("a/b/c")
    assert folder_store.root.is_dir()
    assert list(folder_store.root.iterdir()) == []
