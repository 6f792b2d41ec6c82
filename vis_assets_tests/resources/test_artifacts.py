"""The IO managers, through real materializations: what is kept, how, and what is read back."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from dagster import DagsterInstance, DynamicPartitionsDefinition, asset, materialize

from vis_assets.errors import ObjectMissing
from vis_assets.resources.artifacts import read_points, write_points
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.run_scope import artifact_io_manager, scratch_resource
from vis_assets.sources.points import POINTS_SCHEMA, PointSet

parts = DynamicPartitionsDefinition(name="part")
PICKLE = b"\x80\x04"


class CountingStore(FolderStore):
    """A folder that counts what is read from it, and shows each write before it is made."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.reads: Counter[str] = Counter()
        self.before_write = lambda key: None

    def read(self, key: str) -> bytes:
        self.reads[key] += 1
        return super().read(key)

    def download(self, key: str, target: Path) -> None:
        self.reads[key] += 1
        super().download(key, target)

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.before_write(key)
        super().write(key, source, content_type, metadata)


def point_set(count: int = 3, value: float = 1.0) -> PointSet:
    """Points with ids, texts of several scripts and payloads."""
    table = pa.table(
        [[f"id-{i}" for i in range(count)], ["text", "", "日本語 🎉"][:count], ["{}"] * count], schema=POINTS_SCHEMA
    )
    return PointSet(np.full((count, 4), value, dtype=np.float32), table, "body", ("a note",))


def frame(value: float = 1.0) -> pd.DataFrame:
    """A table with attributes, a list column and float32."""
    table = pd.DataFrame(
        {"id": ["a", "é"], "x": np.array([value, 2], dtype=np.float32), "words": [["a", "b"], []], "n": [1, 2]}
    )
    table.attrs = {"notes": ["n"], "seconds": 0.5}
    return table


@asset(partitions_def=parts, io_manager_key="io")
def points() -> PointSet:
    """A point set."""
    return point_set()


@asset(partitions_def=parts, io_manager_key="io")
def table(points: PointSet) -> pd.DataFrame:
    """A table."""
    return frame()


SEEN: list[tuple[PointSet, pd.DataFrame]] = []


@asset(partitions_def=parts, io_manager_key="io")
def reader(points: PointSet, table: pd.DataFrame) -> pd.DataFrame:
    """Keeps what it was given."""
    SEEN.append((points, table))
    return pd.DataFrame({"id": pd.Series([], dtype=str), "words": pd.Series([], dtype=object)})


@pytest.fixture
def store(tmp_path: Path) -> CountingStore:
    """A store that counts reads."""
    SEEN.clear()
    return CountingStore(tmp_path / "store")


@pytest.fixture
def instance() -> Iterator[DagsterInstance]:
    """Dagster in memory, with two partitions."""
    with DagsterInstance.ephemeral() as made:
        made.add_dynamic_partitions("part", ["1", "2"])
        yield made


def run(
    store: FolderStore, instance: DagsterInstance, *selection: str, partition: str = "1", raise_on_error: bool = True
) -> Any:
    """Materialize these assets of the graph."""
    return materialize(
        [points, table, reader],
        selection=list(selection),
        partition_key=partition,
        instance=instance,
        resources={"io": artifact_io_manager(store), "scratch": scratch_resource()},
        raise_on_error=raise_on_error,
    )


def assert_equal_points(left: PointSet, right: PointSet) -> None:
    """Same vectors, rows, and what is said about them."""
    assert left.vectors.dtype == np.float32
    assert np.array_equal(left.vectors, right.vectors)
    assert left.table.equals(right.table)
    assert left.table.schema == right.table.schema
    assert (left.text_field, left.notes) == (right.text_field, right.notes)


def test_one_run_reads_nothing_back(store: CountingStore, instance: DagsterInstance) -> None:
    """Within one run values are handed on as they are: the store is written, and never read."""
    run(store, instance, "points", "table", "reader")
    assert store.reads == {}
    assert_equal_points(SEEN[0][0], point_set())
    assert SEEN[0][1].attrs == frame().attrs


def test_values_come_back_in_a_later_run(store: CountingStore, instance: DagsterInstance) -> None:
    """A later run reads points and tables, attributes and all, as they were."""
    run(store, instance, "points", "table")
    run(store, instance, "reader")
    kept_points, kept_table = SEEN[0]
    assert_equal_points(kept_points, point_set())
    assert kept_table.attrs == frame().attrs
    assert [list(words) for words in kept_table.pop("words")] == [["a", "b"], []]
    pd.testing.assert_frame_equal(kept_table, frame().drop(columns="words"))
    assert set(store.reads) >= {"assets/points/1/current.json", "assets/table/1/current.json"}


def test_nothing_is_pickled(store: CountingStore, instance: DagsterInstance) -> None:
    """Arrays are .npy, tables Parquet, pointers JSON, an empty table too; nothing is a pickle."""
    run(store, instance, "points", "table", "reader")
    names = {key.rpartition("/")[2] for key in store.keys("")}
    assert names == {"vectors.npy", "points.parquet", "table.parquet", "current.json"}
    for key in store.keys(""):
        body = store.read(key)
        assert not body.startswith(PICKLE)
        assert body[:4] in {b"\x93NUM", b"PAR1"} or json.loads(body)
    assert {path.name for path in (store.root / "assets").iterdir()} == {"points", "table", "reader"}


def test_partitions_are_apart(store: CountingStore, instance: DagsterInstance) -> None:
    """What one partition keeps is not what another reads."""
    run(store, instance, "points", "table")
    failed = run(store, instance, "reader", partition="2", raise_on_error=False)
    assert not failed.success


def test_a_new_value_replaces_the_old_at_once(store: CountingStore, instance: DagsterInstance) -> None:
    """Until the pointer moves a reader gets the old value whole; then the new one, and the old one is removed."""
    run(store, instance, "points", "table")
    old = json.loads(store.path("assets/points/1/current.json").read_text())["generation"]
    watched = []

    def look(key: str) -> None:
        if key.startswith("assets/points/"):
            run(FolderStore(store.root), instance, "reader")
            watched.append(key.rpartition("/")[2])

    store.before_write = look
    again = run(store, instance, "points")
    assert watched == ["points.parquet", "vectors.npy", "current.json"]
    assert len(SEEN) == len(watched)
    generations = {key.split("/")[3] for key in store.keys("assets/points/1/")}
    assert generations == {"current.json", again.run_id}
    assert old not in generations


def test_a_failed_write_leaves_the_old_value(store: CountingStore, instance: DagsterInstance) -> None:
    """A run that dies before the pointer moves leaves the old value current."""
    run(store, instance, "points", "table")

    def die(key: str) -> None:
        if key.endswith("current.json"):
            raise OSError("killed")

    store.before_write = die
    assert not run(store, instance, "points", raise_on_error=False).success
    store.before_write = lambda key: None
    run(store, instance, "reader")
    assert_equal_points(SEEN[0][0], point_set())


def test_a_missing_upstream_says_what_to_materialize(store: CountingStore, instance: DagsterInstance) -> None:
    """Materializing an asset whose upstream was never made tells which asset of which partition is missing."""
    with pytest.raises(ObjectMissing, match="points was never materialized for partition 1; materialize it first"):
        run(store, instance, "reader")


def test_what_is_kept_is_told(store: CountingStore, instance: DagsterInstance) -> None:
    """The materialization says where the value lies and how big it is."""
    result = run(store, instance, "points")
    metadata = result.asset_materializations_for_node("points")[0].metadata
    assert metadata["stored_at"].value == "assets/points/1"
    files = [store.path(key) for key in store.keys("assets/points/1/") if not key.endswith("current.json")]
    assert metadata["size_bytes"].value == sum(file.stat().st_size for file in files)


def test_memory_mapped_points_round_trip(tmp_path: Path) -> None:
    """Points whose vectors are a memory map are kept, and read back as a memory map that is not written to."""
    np.save(tmp_path / "vectors.npy", point_set().vectors)
    mapped = PointSet(np.load(tmp_path / "vectors.npy", mmap_mode="r"), point_set().table)
    (tmp_path / "out").mkdir()
    write_points(mapped, tmp_path / "out")
    read = read_points(tmp_path / "out")
    assert isinstance(read.vectors, np.memmap)
    assert not read.vectors.flags.writeable
    assert np.array_equal(read.vectors, mapped.vectors)


@pytest.mark.parametrize("part", [slice(1, 3), slice(None, None, -1), slice(0, 0)])
def test_a_part_of_a_memory_map_round_trips(tmp_path: Path, part: slice) -> None:
    """Points that are a part of a memory map are kept as that part, not as the file behind it."""
    np.save(tmp_path / "all.npy", np.arange(12, dtype=np.float32).reshape(3, 4))
    some = PointSet(np.load(tmp_path / "all.npy", mmap_mode="r")[part], point_set().table)
    (tmp_path / "out").mkdir()
    write_points(some, tmp_path / "out")
    assert np.array_equal(read_points(tmp_path / "out").vectors, some.vectors)


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    """An array that only pickle could keep is not written."""
    bad = PointSet(np.array([[{}]], dtype=object), point_set(1).table)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="allow_pickle"):
        write_points(bad, tmp_path)
