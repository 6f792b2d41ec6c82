"""The IO manager: what assets return, as objects in the store. Arrays as .npy, tables as Parquet, never pickle.

Each materialization writes its files under a generation of its own and then swings one small pointer,
`assets/{asset}/{partition}/current.json`, so a reader sees the old value or the whole new one.
"""

import json
import mmap
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import InputContext, IOManager, OutputContext

from vis_assets.errors import ObjectMissing
from vis_assets.resources.object_store import ObjectStore
from vis_assets.sources.points import PointSet

CONTENT_TYPES = {
    ".npy": "application/octet-stream",
    ".parquet": "application/vnd.apache.parquet",
    ".json": "application/json",
}


def write_points(points: PointSet, folder: Path) -> None:
    """Write points as `vectors.npy` (n, d) float32 and `points.parquet` (id, text, payload), rows in one order."""
    vectors = points.vectors
    source = Path(str(getattr(vectors, "filename", "")))
    if isinstance(vectors.base, mmap.mmap) and source.suffix == ".npy":  # the whole file, not a part of it
        shutil.copyfile(source, folder / "vectors.npy")
    else:
        np.save(folder / "vectors.npy", vectors, allow_pickle=False)
    about = {"text_field": points.text_field, "notes": list(points.notes)}
    table = points.table.replace_schema_metadata({"vis_assets": json.dumps(about)})
    pq.write_table(table, folder / "points.parquet", compression="zstd")


def read_points(folder: Path) -> PointSet:
    """Read what `write_points` wrote; vectors stay on disk, memory-mapped."""
    table = pq.read_table(folder / "points.parquet")
    about = json.loads((table.schema.metadata or {}).get(b"vis_assets", b"{}"))
    vectors = np.load(folder / "vectors.npy", mmap_mode="r", allow_pickle=False)
    return PointSet(
        vectors, table.replace_schema_metadata(None), about.get("text_field"), tuple(about.get("notes", ()))
    )


def write_table(table: pd.DataFrame, folder: Path) -> None:
    """Write a table as `table.parquet`; `table.attrs` goes into the file's metadata."""
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    arrow = arrow.replace_schema_metadata({"vis_assets": json.dumps(table.attrs)})
    pq.write_table(arrow, folder / "table.parquet", compression="zstd")


def read_table(folder: Path) -> pd.DataFrame:
    """Read what `write_table` wrote."""
    arrow = pq.read_table(folder / "table.parquet")
    table: pd.DataFrame = arrow.replace_schema_metadata(None).to_pandas()
    table.attrs = json.loads((arrow.schema.metadata or {}).get(b"vis_assets", b"{}"))
    return table


_Writer = Callable[[Any, Path], None]
_FORMATS: dict[str, tuple[type, _Writer, Callable[[Path], Any]]] = {
    "points": (PointSet, write_points, read_points),
    "table": (pd.DataFrame, write_table, read_table),
}


class ArtifactIOManager(IOManager):
    """Keeps asset values in the object store; within one run a value is handed on, not read back."""

    def __init__(self, store: ObjectStore, scratch: Path) -> None:
        """Keep values in `store`; files on their way lie in `scratch`."""
        self._store = store
        self._scratch = scratch
        self._values: dict[str, Any] = {}

    def handle_output(self, context: OutputContext, obj: object) -> None:
        """Write a value as a new generation and make it the current one."""
        base, generation = _base(context.asset_key.path[-1], context.partition_key), context.run_id
        form, write = next((name, write) for name, (kind, write, _) in _FORMATS.items() if isinstance(obj, kind))
        folder = self._scratch / "out" / base
        folder.mkdir(parents=True, exist_ok=True)
        write(obj, folder)
        files = sorted(folder.iterdir())
        for file in files:
            self._store.write(f"{base}/{generation}/{file.name}", file, CONTENT_TYPES[file.suffix])
        pointer = {"generation": generation, "format": form, "files": [file.name for file in files]}
        self._store.write(f"{base}/current.json", json.dumps(pointer).encode(), CONTENT_TYPES[".json"])
        self._values[f"{generation}:{base}"] = obj
        context.add_output_metadata({"size_bytes": sum(file.stat().st_size for file in files), "stored_at": base})
        shutil.rmtree(folder)
        self._forget_older(base, generation)

    def load_input(self, context: InputContext) -> Any:
        """Return the value of this run, or the current one of the partition.

        Raises:
            ObjectMissing: the upstream asset was never materialized for this partition.
        """
        asset, partition = context.asset_key.path[-1], context.asset_partition_key
        base = _base(asset, partition)
        value = self._values.get(f"{context.step_context.run_id}:{base}")
        return value if value is not None else self._load(asset, partition, base)

    def _load(self, asset: str, partition: str, base: str) -> Any:
        try:
            pointer = json.loads(self._store.read(f"{base}/current.json"))
        except ObjectMissing:
            raise ObjectMissing(
                f"{asset} was never materialized for partition {partition}; materialize it first, or from {asset} on"
            ) from None
        folder = self._scratch / "in" / base
        folder.mkdir(parents=True, exist_ok=True)
        for name in pointer["files"]:
            self._store.download(f"{base}/{pointer['generation']}/{name}", folder / name)
        return _FORMATS[pointer["format"]][2](folder)

    def _forget_older(self, base: str, generation: str) -> None:
        for key in list(self._store.keys(f"{base}/")):
            if not key.startswith(f"{base}/{generation}/") and not key.endswith("/current.json"):
                self._store.delete(key)


def _base(asset: str, partition: str) -> str:
    return f"assets/{asset}/{partition}"
