"""Packed data: what comes out is what went in, whatever the number of processors."""

import gzip
import io
import json
import os
import subprocess
import zlib

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.page import packing
from vis_assets.page.packing import gzip_parts, pack_points, pack_texts


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


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=20), max_size=5), max_size=5))
def test_texts_come_out_in_order(batches):
    """Texts of any script, in batches of any size, come out as one list."""
    read = json.loads(gzip.decompress(pack_texts(batches)))
    assert read == {"hover_text": [text for batch in batches for text in batch]}


@pytest.mark.parametrize("count", [1, 1000, packing.BYTES_A_PART // 12 + 7])
def test_points_come_out_as_an_arrow_file(count):
    """Places and colours come out exactly, in columns of the page's types, also beyond one part."""
    generator = np.random.default_rng(0)
    places = generator.normal(size=(count, 2)).astype(np.float32)
    colors = generator.integers(0, 256, (count, 4)).astype(np.uint8)
    table = pd.read_feather(io.BytesIO(gzip.decompress(pack_points(places, colors))))
    assert np.array_equal(table[["x", "y"]].to_numpy(), places)
    assert np.array_equal(table[["r", "g", "b", "a"]].to_numpy(), colors)
    assert {str(kind) for kind in table.dtypes} == {"float32", "uint8"}
