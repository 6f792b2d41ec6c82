"""Deleting a map, in a folder and with Dagster's own records."""

from pathlib import Path

from dagster import DagsterInstance

from vis_assets.operations.deletion import delete, find
from vis_assets.resources.content_types import HTML
from vis_assets.resources.gallery import update_gallery
from vis_assets.resources.object_store import FolderStore

FILES = ("1.html", "1.json", "1.png", "1.points.parquet")


def test_a_deleted_map_leaves_the_gallery(tmp_path: Path) -> None:
    """All that lies around a page goes with it, and the owner's gallery lists the other maps only."""
    store = FolderStore(tmp_path)
    for transform in ("12", "123"):
        for name in FILES:
            store.write(f"visualizations/ann/{transform}/{name}", b"{}", HTML)
    store.write("visualizations/bob/12/1.html", b"", HTML)
    for owner in ("ann", "bob"):
        update_gallery(store, f"visualizations/{owner}")
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("visualization_transform_id", ["12", "123"])
        delete(find("12", store, instance), store, instance)
        assert instance.get_dynamic_partitions("visualization_transform_id") == ["123"]
    assert sorted(store.keys("")) == [
        *(f"visualizations/ann/123/{name}" for name in FILES),
        "visualizations/ann/index.html",
        "visualizations/ann/index.json",
    ]
    page = store.read("visualizations/ann/index.html")
    assert b'href="./123/1.html"' in page
    assert b"./12/" not in page
