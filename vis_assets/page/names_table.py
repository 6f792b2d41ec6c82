"""The clusters of a map as a Parquet table beside the page, for those who want the names."""

import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

_TEXTS = pa.list_(pa.string())
_SCHEMA = pa.schema(
    [
        ("layer", pa.int32()),
        ("cluster", pa.int32()),
        ("parent", pa.int32()),
        ("name", pa.string()),
        ("size", pa.int64()),
        ("keyphrases", _TEXTS),
        ("exemplar_ids", _TEXTS),
        ("exemplar_texts", _TEXTS),
        ("named_by", pa.string()),
    ]
)


def names_table(cluster_names: pd.DataFrame) -> bytes:
    """Write one row per cluster and layer.

    Args:
        cluster_names: with the columns of the result; in tables of earlier versions some are missing.

    Returns:
        A Parquet file, zstd; equal tables make equal bytes. Columns: layer (int32, 0 = the finest), cluster (int32),
        parent (int32, cluster of the next layer, -1 = none), name (string), size (int64, points), keyphrases (the best
        first), exemplar_ids and exemplar_texts (lists of strings, the most typical point first), named_by (string: a
        language model, "keyphrases" or "numbers").
    """
    missing = pa.nulls(len(cluster_names))
    columns = [
        pa.array(cluster_names[field.name].tolist(), field.type)
        if field.name in cluster_names
        else missing.cast(field.type)
        for field in _SCHEMA
    ]
    sink = io.BytesIO()
    pq.write_table(pa.table(columns, schema=_SCHEMA), sink, compression="zstd")
    return sink.getvalue()
