"""The table of points beside a page."""

import io

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vis_assets.errors import PointsMismatch
from vis_assets.page.points_table import layer_columns, names_by_cluster, points_table

LAYOUT = pd.DataFrame({"id": ["a", "b", "c"], "x": [1.5, -2, 0], "y": [0.0, 4, 1e-3]})
LABELS = pd.DataFrame({"id": ["a", "b", "c"], "cluster": [1, -1, 0], "membership_strength": [1.0, 0.0, 0.5]})
LAYERS = LABELS.assign(cluster_2=[0, 0, -1], cluster_1=[1, -1, 0], cluster_size=[9, 9, 9])
NAMES = pd.DataFrame({"cluster": [0, 1], "name": ["Zero", "日本語 🎉"]})
LAYERED_NAMES = pd.DataFrame({"layer": [0, 0, 1, 2], "cluster": [0, 1, 0, 0], "name": ["Zero", "One", "G", "R"]})


def read(body: bytes) -> pa.Table:
    return pq.read_table(io.BytesIO(body))


def test_a_point_is_a_row() -> None:
    """Ids, places, clusters, names and strengths come in the order of the points; noise has no name."""
    table = read(points_table(["a", "b", "c"], LAYOUT, LABELS, NAMES))
    assert table.schema.remove_metadata() == pa.schema(
        [
            ("id", pa.string()), ("x", pa.float32()), ("y", pa.float32()), ("cluster", pa.int32()),
            ("name", pa.string()), ("membership_strength", pa.float32()),
        ]
    )  # fmt: skip
    assert table.to_pydict() == {
        "id": ["a", "b", "c"],
        "x": [1.5, -2.0, 0.0],
        "y": [0.0, 4.0, float(np.float32(1e-3))],
        "cluster": [1, -1, 0],
        "name": ["日本語 🎉", None, "Zero"],
        "membership_strength": [1.0, 0.0, 0.5],
    }


def test_coarser_layers_have_columns() -> None:
    """Each layer is a column, from fine to coarse; the name is that of the finest cluster."""
    table = read(points_table(["a", "b", "c"], LAYOUT, LAYERS, LAYERED_NAMES))
    assert table.column_names[3:] == ["cluster", "cluster_1", "cluster_2", "name", "membership_strength"]
    assert table["cluster_2"].to_pylist() == [0, 0, -1]
    assert table["name"].to_pylist() == ["One", None, "Zero"]


def test_equal_tables_make_equal_bytes_and_are_compressed() -> None:
    """The same points give the same file, packed with zstd."""
    body = points_table(["a", "b", "c"], LAYOUT, LAYERS, LAYERED_NAMES)
    assert body == points_table(["a", "b", "c"], LAYOUT.copy(), LAYERS.copy(), LAYERED_NAMES.copy())
    assert pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0).column(1).compression == "ZSTD"


def test_a_map_of_noise() -> None:
    """Where there is no cluster, no point has a name."""
    labels = LABELS.assign(cluster=-1)
    assert read(points_table(["a", "b", "c"], LAYOUT, labels, NAMES[:0]))["name"].to_pylist() == [None] * 3


def test_tables_of_other_points_are_refused() -> None:
    """Lengths that differ, and clusters without a name, are errors that say what to do."""
    with pytest.raises(PointsMismatch, match="materialize"):
        points_table(["a", "b"], LAYOUT, LABELS, NAMES)
    with pytest.raises(PointsMismatch, match="cluster 1 has no name"):
        points_table(["a", "b", "c"], LAYOUT, LABELS, NAMES[:1])


def test_layers_by_their_columns_and_names() -> None:
    """Layers are ordered by number, also beyond 9, and each has its own names."""
    columns = pd.DataFrame({name: [0] for name in ("cluster_10", "cluster_2", "cluster_x", "cluster_0", "cluster")})
    assert layer_columns(columns) == ["cluster_2", "cluster_10"]
    assert [names_by_cluster(LAYERED_NAMES, layer) for layer in range(4)] == [["Zero", "One"], ["G"], ["R"], []]
    assert [names_by_cluster(NAMES, layer) for layer in range(2)] == [["Zero", "日本語 🎉"], []]
