"""The search for secrets in whatever an installation leaves behind, in any form and inside of any container.

A canary is a secret that occurs nowhere else. It is looked for as it is, and as URLs, JSON, base64 and hexadecimal text
write it; in files as they are, and in what gzip, zlib, zip, Parquet and SQLite keep compressed or in cells.
"""

import base64
import io
import json
import os
import re
import sqlite3
import zipfile
import zlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

import pyarrow as pa
import pyarrow.parquet as pq
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from vis_assets.delivery.connection import NatsConnection
from vis_assets.protocol.subjects import JOB_STREAM, JOB_SUBJECT

DEEPEST = 5
"""How many containers inside each other are opened."""
SHORTEST_SECRET = 12
"""Shorter ones would be found everywhere."""
GZIP = b"\x1f\x8b\x08"
BASE64_OF_GZIP = re.compile(rb"H4sI[A-Za-z0-9+/_=-]{20,}")
ZLIB_STARTS = (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")


class Canaries:
    """Secrets by name."""

    def __init__(self, secrets: Mapping[str, str]) -> None:
        assert all(len(secret) >= SHORTEST_SECRET for secret in secrets.values())
        self._forms = {name: forms(secret) for name, secret in secrets.items()}

    def names_in(self, body: bytes) -> set[str]:
        """Names of the secrets that a body holds, in any form, in any container."""
        return {
            name
            for layer in layers(body)
            for name, written in self._forms.items()
            if any(form in layer for form in written)
        }

    def found(self, places: Iterable[tuple[str, bytes]]) -> list[str]:
        """Say which secret stands where; empty where all is well.

        Args:
            places: (name of a place, what it holds).
        """
        return [f"{name} in {place}" for place, body in places for name in sorted(self.names_in(body))]


def forms(secret: str) -> set[bytes]:
    """How a secret may be written."""
    raw = secret.encode()
    texts = {json.dumps(secret)[1:-1], json.dumps(json.dumps(secret))[3:-3], quote(secret, safe=""), quote(secret)}
    written = {raw, raw.hex().encode(), raw.hex().upper().encode(), *(text.encode() for text in texts)}
    written.add(quote_plus(secret).encode())
    for before in range(3):
        # Inside of a longer text its base64 depends on where it begins; what its neighbours share is left out.
        coded = base64.b64encode(b"\0" * before + raw)[-(-before * 4 // 3) :]
        kept = coded[: len(coded) - len(coded) % 4 or None].rstrip(b"=")[:-2]
        written |= {kept, kept.translate(bytes.maketrans(b"+/", b"-_"))}
    return written


def layers(body: bytes, depth: int = 0) -> Iterator[bytes]:
    """Yield a body and everything that is packed in it."""
    yield body
    if depth < DEEPEST:
        for inner in _unpacked(body):
            yield from layers(inner, depth + 1)


def _unpacked(body: bytes) -> Iterator[bytes]:
    if body.startswith(ZLIB_STARTS):
        yield from _inflated(body, zlib.MAX_WBITS)
    for start in _places(body, GZIP):
        yield from _inflated(body[start:], 16 + zlib.MAX_WBITS)
    for match in BASE64_OF_GZIP.finditer(body):
        text = match[0].rstrip(b"=").translate(bytes.maketrans(b"-_", b"+/"))
        yield base64.b64decode(text[: len(text) - (len(text) % 4 == 1)] + b"==")
    if body.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    if body.startswith(b"PAR1"):
        yield from _columns(pq.read_table(io.BytesIO(body)))


def _places(body: bytes, mark: bytes) -> Iterator[int]:
    start = body.find(mark)
    while start >= 0:
        yield start
        start = body.find(mark, start + 1)


def _inflated(body: bytes, window_bits: int) -> Iterator[bytes]:
    try:
        yield zlib.decompressobj(window_bits).decompress(body)
    except zlib.error:
        return  # these bytes only looked like a compressed stream


def _columns(table: pa.Table) -> Iterator[bytes]:
    yield str(table.schema.metadata).encode()
    for column in table.columns:
        for chunk in column.chunks:
            yield from (buffer.to_pybytes() for buffer in chunk.buffers() if buffer is not None)
            if pa.types.is_dictionary(chunk.type):
                yield from (buffer.to_pybytes() for buffer in chunk.dictionary.buffers() if buffer is not None)


def files_below(folder: Path, *, but: Iterable[Path] = ()) -> Iterator[tuple[str, bytes]]:
    """Yield every file below a folder, and the cells of the databases among them.

    Args:
        folder: where to look.
        but: files and folders to leave out.
    """
    left_out = tuple(but)
    # Folders and files come and go while Dagster runs: those of attempts, and journals of databases.
    for path in sorted(Path(parent, name) for parent, _, names in os.walk(folder) for name in names):
        if not path.is_file() or any(path.is_relative_to(one) for one in left_out):
            continue
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            continue
        yield str(path), body
        if body.startswith(b"SQLite format 3\0"):
            yield from ((f"{path}, {table}", cell) for table, cell in cells(path))


def cells(database: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the cells of a SQLite database by table: in its file long ones are compressed, or lie in pieces."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names from the database itself
            yield from ((table, cell) for cell in _cells_of(rows))


def postgres_cells(address: str) -> Iterator[tuple[str, bytes]]:
    """Yield the cells of a Postgres database by table."""
    import psycopg2

    with closing(psycopg2.connect(address)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        for (table,) in cursor.fetchall():
            cursor.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - names from the database itself
            yield from ((f"Postgres, {table}", cell) for cell in _cells_of(cursor.fetchall()))


def _cells_of(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    texts = []
    for row in rows:
        yield from (bytes(cell) for cell in row if isinstance(cell, bytes | memoryview))
        texts += [str(cell) for cell in row if not isinstance(cell, bytes | memoryview)]
    yield "\n".join(texts).encode()


def stored_messages(connection: NatsConnection) -> Iterator[tuple[str, bytes]]:
    """Yield every message of every stream and bucket but the job stream, which is the senders'."""

    async def names(client: Client) -> list[str]:
        return [str(info.config.name) for info in await client.jetstream().streams_info()]

    for stream in connection.run(names):
        if stream != JOB_STREAM:
            yield from connection.run(_reading(stream))


def _reading(stream: str) -> Callable[[Client], Coroutine[Any, Any, list[tuple[str, bytes]]]]:
    async def read(client: Client) -> list[tuple[str, bytes]]:
        state = (await client.jetstream().stream_info(stream)).state
        found = []
        for sequence in range(state.first_seq, state.last_seq + 1) if state.messages else ():
            try:
                message = await client.jetstream().get_msg(stream, sequence)
            except NotFoundError:
                continue
            head = json.dumps([message.subject, message.headers or {}]).encode()
            found.append((f"stream {stream}, message {sequence}", head + b"\n" + (message.data or b"")))
        return found

    return read


class Wiretap:
    """Hears everything that is published on a NATS server but job messages, and their way to who fetched them."""

    def __init__(self, url: str) -> None:
        self._connection = NatsConnection(url, "wiretap")
        self.heard: set[tuple[str, bytes]] = set()

    def __enter__(self) -> Self:
        """Begin to listen."""
        self._connection.open()

        async def listen(client: Client) -> None:
            await client.subscribe(">", cb=self._hear)
            await client.flush()

        self._connection.run(listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._connection.close()

    async def _hear(self, message: Msg) -> None:
        if message.subject != JOB_SUBJECT and not message.subject.startswith("_INBOX."):
            head = json.dumps(message.headers or {}).encode()
            self.heard.add((f"wire, {message.subject}", head + b"\n" + message.data))
