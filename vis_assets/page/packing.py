"""Data of a page, packed as the page unpacks them: gzip, made on all processors, the same bytes for the same data."""

import io
import json
import os
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt

BYTES_A_PART = 1 << 22
"""Bytes that are compressed as one piece of work; the result depends on it, but not on the number of processors."""
_LEVEL = 6
_MOST_WORKERS = 8
_HEADER = b"\x1f\x8b\x08" + bytes(5) + b"\x00\xff"  # deflate, no name, no time, no system
_END = b"\x03\x00"  # an empty last block


def gzip_parts(parts: Iterable[bytes]) -> bytes:
    """Compress parts that follow each other as one gzip member, a few at a time.

    A browser's DecompressionStream reads one member only; so each part ends on a byte instead ("sync flush", zlib).

    Args:
        parts: what to compress; taken as they are needed, so that they need not be in memory together.
    """
    workers = min(_MOST_WORKERS, os.cpu_count() or 1)
    packed, checksum, size = [_HEADER], 0, 0
    waiting: deque[Future[bytes]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for part in parts:
            checksum = zlib.crc32(part, checksum)
            size += len(part)
            waiting.append(pool.submit(_deflate, part))
            if len(waiting) > 2 * workers:
                packed.append(waiting.popleft().result())
        packed.extend(done.result() for done in waiting)
    return b"".join([*packed, _END, checksum.to_bytes(4, "little"), (size % 2**32).to_bytes(4, "little")])


def _deflate(part: bytes) -> bytes:
    engine = zlib.compressobj(_LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    return engine.compress(part) + engine.flush(zlib.Z_SYNC_FLUSH)


def pack_texts(batches: Iterable[list[str]]) -> bytes:
    """Pack the texts of the points: JSON in UTF-8, `{"hover_text": [...]}`, gzip.

    Args:
        batches: the texts in order, without lone surrogates.
    """
    return gzip_parts(_write_texts(batches))


def _write_texts(batches: Iterable[list[str]]) -> Iterator[bytes]:
    before = '{"hover_text":['
    for batch in batches:
        if batch:
            yield (before + json.dumps(batch, ensure_ascii=False, separators=(",", ":"))[1:-1]).encode()
            before = ","
    yield b"]}" if before == "," else f"{before}]}}".encode()


def pack_points(places: npt.NDArray[np.float32], colors: npt.NDArray[np.uint8]) -> bytes:
    """Pack the points: an Arrow file with the columns x, y (float32), r, g, b, a (uint8), gzip.

    Args:
        places: (n, 2) places on the map.
        colors: (n, 4) red, green, blue, opacity.
    """
    import pyarrow as pa
    from pyarrow import feather

    columns = [places[:, 0], places[:, 1], *colors.T]
    table = pa.table([pa.array(np.ascontiguousarray(column)) for column in columns], names=list("xyrgba"))
    file = io.BytesIO()
    feather.write_feather(table, file, compression="uncompressed")
    data = file.getbuffer()
    return gzip_parts(bytes(data[start : start + BYTES_A_PART]) for start in range(0, len(data), BYTES_A_PART))
