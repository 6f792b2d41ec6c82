"""Data of a page, packed as the page unpacks them: gzip, made on all processors, the same bytes for the same data."""

import os
import zlib
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

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


def gzip_array(array: npt.NDArray[Any]) -> bytes:
    """Compress the numbers of an array, little-endian, in C order."""
    data = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8)
    return gzip_parts(data[start : start + BYTES_A_PART].tobytes() for start in range(0, len(data), BYTES_A_PART))
