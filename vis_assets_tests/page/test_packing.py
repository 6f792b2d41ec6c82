"""Packed data: what comes out is what went in, whatever the number of processors."""

import gzip
import os
import subprocess
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.page import packing
from vis_assets.page.packing import gzip_array, gzip_parts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.binary(max_size=300), max_size=20))
def test_parts_come_out_as_one(parts):
    """Any parts, empty ones and none at all included, come out joined, with a correct checksum and length."""
    packed = gzip_parts(parts)
    assert gzip.decompress(packed) == b"".join(parts)
    engine = zlib.decompressobj(zlib.MAX_WBITS | 16)
    engine.decompress(packed)
    assert engine.eof
    assert engine.unused_data == b""  # one member, as browsers want it


def test_no_time_and_no_name_is_in_the_header():
    """The header says nothing of when and where."""
    assert gzip_parts([b"x"])[:10] == b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"


def test_number_of_processors_changes_nothing(monkeypatch):
    """One processor writes the same bytes as many."""
    parts = [os.urandom(1000) * 50 for _ in range(40)]
    written = set()
    for count in (1, 2, 64, None):
        monkeypatch.setattr(os, "cpu_count", lambda count=count: count)
        written.add(gzip_parts(parts))
    assert len(written) == 1


def test_gzip_itself_reads_it(tmp_path):
    """The gzip program reads many parts as one file."""
    file = tmp_path / "data.gz"
    file.write_bytes(gzip_parts(bytes([i]) * 100_000 for i in range(30)))
    shown = subprocess.run(["gzip", "-dc", file], capture_output=True, check=True).stdout
    assert len(shown) == 3_000_000


@pytest.mark.parametrize("kind", ["float32", "int32", "uint8", "float64", ">f4"])
@pytest.mark.parametrize("count", [0, 1, 1000, packing.BYTES_A_PART // 8 + 7])
def test_arrays_come_out_little_endian_and_in_order(kind, count):
    """Numbers of any type come out exactly, row by row, also beyond one part and whatever their order in memory."""
    array = np.asfortranarray(np.random.default_rng(0).integers(0, 200, (count, 2)).astype(kind))
    read = np.frombuffer(gzip.decompress(gzip_array(array)), array.dtype.newbyteorder("<"))
    assert np.array_equal(read.reshape(-1, 2), array)
