"""The points of a map as a Parquet table beside the page, for those who want the numbers."""

import io
import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from vis_assets.errors import PointsMismatch
from vis_assets.page.content import NOISE

_COARSER = re.compile(r"cluster_([1-9][0-9]*)")
_FINEST = 0


def points_table(
    ids: Sequence[str], embedding_2d: pd.DataFrame, cluster_labels: pd.DataFrame, cluster_names: pd.DataFrame
) -> bytes:
    """Write where each point lies and which clusters hold it. Row i of the first three is the same point.

    Args:
        ids: of the n points.
        embedding_2d: columns x, y.
        cluster_labels: columns cluster, membership_strength, and cluster_1, ... for coarser layers where there are any.
        cluster_names: columns cluster and name, and layer (0 = finest) where there are several.

    Returns:
        A Parquet file, zstd; equal tables make equal bytes. Columns: id (string), x, y (float32), cluster (int32, -1 =
        noise), cluster_1, ... (int32), name (string, of the finest cluster, null for noise), membership_strength
        (float32).

    Raises:
        PointsMismatch: the tables speak of different numbers of points, or a cluster has no name.
    """
    lengths = {len(ids), len(embedding_2d), len(cluster_labels)}
    if len(lengths) != 1:
        raise PointsMismatch(
            f"{len(ids)} points have {len(embedding_2d)} places and {len(cluster_labels)} labels; "
            "materialize embedding_2d and everything after it again"
        )
    labels = cluster_labels["cluster"].to_numpy(dtype=np.int32)
    columns = {
        "id": pa.array(ids, pa.string()),
        "x": pa.array(embedding_2d["x"].to_numpy(dtype=np.float32)),
        "y": pa.array(embedding_2d["y"].to_numpy(dtype=np.float32)),
        "cluster": pa.array(labels),
        **{name: pa.array(cluster_labels[name].to_numpy(dtype=np.int32)) for name in layer_columns(cluster_labels)},
        "name": _names_of(labels, cluster_names),
        "membership_strength": pa.array(cluster_labels["membership_strength"].to_numpy(dtype=np.float32)),
    }
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", row_group_size=1 << 17)
    return sink.getvalue()


def layer_columns(cluster_labels: pd.DataFrame) -> list[str]:
    """Names of the columns that hold coarser layers, the next coarser first."""
    found = [match for name in cluster_labels.columns if (match := _COARSER.fullmatch(str(name)))]
    return [match[0] for match in sorted(found, key=lambda match: int(match[1]))]


def names_by_cluster(cluster_names: pd.DataFrame, layer: int = _FINEST) -> list[str]:
    """Names of one layer's clusters, index = cluster; "" where a cluster has none."""
    if "layer" in cluster_names.columns:
        cluster_names = cluster_names[cluster_names["layer"] == layer]
    elif layer != _FINEST:
        return []
    name_of = dict(zip(cluster_names["cluster"].tolist(), cluster_names["name"].tolist(), strict=True))
    return [str(name_of.get(cluster, "")) for cluster in range(max(name_of, default=NOISE) + 1)]


def _names_of(labels: npt.NDArray[np.int32], cluster_names: pd.DataFrame) -> pa.Array:
    names = names_by_cluster(cluster_names)
    if labels.size and int(labels.max()) >= len(names):
        raise PointsMismatch(
            f"cluster {int(labels.max())} has no name among {len(names)}; materialize cluster_names again"
        )
    return pa.array(names, pa.string()).take(pa.array(labels, mask=labels <= NOISE))
