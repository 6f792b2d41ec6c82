"""The search for secrets finds them: in every form, in every container."""

import base64
import functools
import gzip
import io
import json
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vis_assets_tests.canaries import Canaries, files_below

SECRET = 'canary/4f+a0?"b7=c'
CANARIES = Canaries({"the key": SECRET, "another": "canary-of-somebody-else"})
AROUND = "x" * 1000


def zipped(body: bytes) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inner.json", body)
    return sink.getvalue()


def parquet(body: bytes) -> bytes:
    sink = io.BytesIO()
    column = [body.decode("latin-1")] * 3
    pq.write_table(pa.table({"n": [1, 2, 3], "text": column}), sink, compression="zstd")
    return sink.getvalue()


def nested_parquet(body: bytes) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"rows": [[{"text": body.decode("latin-1")}]]}), sink)
    return sink.getvalue()


def page(body: bytes) -> bytes:
    return b'<script>const data = "' + base64.b64encode(gzip.compress(body)) + b'";</script>'


def base64_after(count: int, secret: str) -> str:
    return base64.b64encode(b"." * count + secret.encode() + b"..").decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": lambda secret: secret,
    "JSON": json.dumps,
    "JSON in JSON": lambda secret: json.dumps(json.dumps({"key": secret})),
    "URL": lambda secret: f"https://user:{quote(secret, safe='')}@host",
    "path": quote,
    "form": quote_plus,
    "hex": lambda secret: secret.encode().hex(),
    "HEX": lambda secret: secret.encode().hex().upper(),
    **{f"base64 after {n}": functools.partial(base64_after, n) for n in range(5)},
    "base64url": lambda secret: base64.urlsafe_b64encode(f"user:{secret}".encode()).decode(),
}
CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "bare": lambda body: body,
    "gzip": gzip.compress,
    "behind a gzip": lambda body: gzip.compress(b"first") + b"between" + gzip.compress(body),
    "cut off gzip": lambda body: gzip.compress(body + AROUND.encode())[:-9],
    "zlib": zlib.compress,
    "zip": zipped,
    "parquet": parquet,
    "nested parquet": nested_parquet,
    "page": page,
    "zip of gzip": lambda body: zipped(gzip.compress(body)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_found(form: str) -> None:
    """However a secret is written into a longer text, it is found, and no other."""
    text = f"{AROUND} {FORMS[form](SECRET)} {AROUND}"
    assert CANARIES.names_in(text.encode()) == {"the key"}


@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_is_opened(container: str) -> None:
    """Whatever a secret is packed in, it is found."""
    assert CANARIES.names_in(CONTAINERS[container](f"{AROUND}{SECRET}{AROUND}".encode())) == {"the key"}
    assert CANARIES.names_in(CONTAINERS[container](f"{AROUND}{SECRET[:-1]}{AROUND}".encode())) == set()


def test_every_file_is_read(tmp_path: Path) -> None:
    """Files of any name, below any folder, hidden ones too, are read, and those that were named are left out."""
    for place in ("a.log", "deep/er/.hidden", "left/out.txt", "secret.key"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f"key={SECRET}")
    found = CANARIES.found(files_below(tmp_path, but=[tmp_path / "left", tmp_path / "secret.key"]))
    assert found == [f"the key in {tmp_path / 'a.log'}", f"the key in {tmp_path / 'deep/er/.hidden'}"]


@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_cells_of_a_database_are_opened(tmp_path: Path, journal: str) -> None:
    """A compressed cell of a database is opened, also one that is not yet in the main file while it is in use."""
    connection = sqlite3.connect(tmp_path / "runs.db")
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("CREATE TABLE snapshots (id INTEGER, body BLOB)")
    connection.execute("INSERT INTO snapshots VALUES (1, ?)", [zlib.compress(f"{AROUND}{SECRET}".encode())])
    connection.execute("CREATE TABLE events (body TEXT)")
    connection.executemany("INSERT INTO events VALUES (?)", [(f"{'y' * n}{SECRET * 300}",) for n in range(3)])
    connection.commit()
    found = CANARIES.found(files_below(tmp_path))
    assert {f"the key in {tmp_path / 'runs.db'}, {table}" for table in ("snapshots", "events")} <= set(found)
    connection.close()
