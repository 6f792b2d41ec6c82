"""What the map takes from the tables before it."""

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from qdrant_client import models

from vis_assets.assets.html_map import content_of
from vis_assets.errors import PointsMismatch
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.page.content import ClusterLayer, MapContent, PhraseLists
from vis_assets.page.fields import PayloadField
from vis_assets.resources.compute.filing import Filing, unfile
from vis_assets.resources.compute.shelves import FolderShelf, Reader
from vis_assets.sources.points import POINTS_SCHEMA, PointSet
from vis_assets_tests.assets.graph import Graph, groups, metadata, outcome

IDS = ["a", "b", "c", "d"]


def points() -> PointSet:
    table = pa.table({"id": IDS, "text": [f"text {i}" for i in IDS], "payload": ["{}"] * 4}, schema=POINTS_SCHEMA)
    return PointSet(np.zeros((4, 2), dtype=np.float32), table)


def layout() -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "x": [0.0, 1.0, 2.0, 3.0], "y": [0.0] * 4})


def labels(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "cluster": [0, 0, 1, -1], "membership_strength": [1, 0.5, 1, 0], **more})


def names(**more: Any) -> pd.DataFrame:
    return pd.DataFrame({"cluster": [0, 1], "name": ["C 0", "C 1"], "keyphrases": [["p", "q", "r", "s"], []]} | more)


def layered_names() -> pd.DataFrame:
    coarser = pd.DataFrame(
        {"layer": [1, 2], "cluster": [0, 0], "name": ["G 0", "R 0"], "keyphrases": [["t"], ["u"]], "parent": [0, -1]}
    )
    return pd.concat([names(layer=[0, 0], parent=[0, 0]), coarser], ignore_index=True)


def test_everything_of_the_tables_is_on_the_map() -> None:
    """Ids, strengths, keyphrases, fields and every layer of clusters arrive, the finest first."""
    field = PayloadField("n", "number", np.arange(4.0))
    clusters = labels(cluster_1=[0, 0, 0, -1], cluster_2=[0, 0, 0, 0])
    content = content_of(points(), layout(), clusters, layered_names(), (field,))
    assert list(content.ids) == IDS
    assert content.strengths is not None
    assert content.strengths.tolist() == [1, 0.5, 1, 0]
    assert content.fields == (field,)
    assert [list(layer.names) for layer in content.layers] == [["C 0", "C 1"], ["G 0"], ["R 0"]]
    assert [layer.labels.tolist() for layer in content.layers] == [[0, 0, 1, -1], [0, 0, 0, -1], [0, 0, 0, 0]]
    phrases = [[list(one) for one in layer.keyphrases] for layer in content.layers]
    assert phrases == [[["p", "q", "r", "s"], []], [["t"]], [["u"]]]


def test_a_cluster_that_is_all_of_another_is_called_like_it() -> None:
    """On the map a coarse cluster of the same points as a finer one has its name, whatever the table calls it."""
    named = pd.concat(
        [
            names(layer=[0, 0], parent=[0, 1]),
            names(layer=[1, 1], parent=[0, 0], name=["C 0 (group)", "C 1 (group)"]),
            names(layer=[2, 2], parent=[-1, -1], name=["C 0 (region)", "Both"]),
        ]
    )
    clusters = labels(cluster_1=[0, 0, 1, -1], cluster_2=[0, 0, 1, 1])
    content = content_of(points(), layout(), clusters, named)
    assert [list(layer.names) for layer in content.layers] == [["C 0", "C 1"], ["C 0", "C 1"], ["C 0", "Both"]]


@pytest.mark.parametrize(
    ("clusters", "named"),
    [
        (labels(), names()),
        (labels(cluster_1=[0, 0, 0, -1]), names()),
        (labels(), layered_names()),
        (labels(cluster_2=[0, 0, 0, 0]), layered_names()),
    ],
    ids=["both old", "old names", "old labels", "a layer is missing"],
)
def test_tables_of_earlier_versions_have_one_layer(clusters: pd.DataFrame, named: pd.DataFrame) -> None:
    """Where either table has no coarser layers the map has the finest one."""
    content = content_of(points(), layout(), clusters, named)
    assert len(content.layers) == 1
    assert list(content.cluster_names) == ["C 0", "C 1"]


def test_a_cluster_without_a_name_is_refused() -> None:
    """Names that are older than the labels are refused, in a coarser layer too."""
    with pytest.raises(PointsMismatch, match="cluster 1 has no name among 1; materialize cluster_names again"):
        content_of(points(), layout(), labels(cluster_1=[0, 0, 1, 1]), layered_names())


def test_a_map_travels_to_a_worker_in_files(tmp_path: Path) -> None:
    """Whatever has a part for each point or cluster is a file for a worker, which gets the same map."""
    n = 20_000
    numbers = np.arange(n, dtype=np.int32)
    fields = (
        PayloadField("c", "category", numbers % 60, tuple(f"{i:0200}" for i in range(60))),
        PayloadField("n", "number", numbers * 0.5),
        PayloadField("t", "text", [f"text {i}" for i in range(n)]),
    )
    phrases = PhraseLists.of([f"phrase {i}", "more"] for i in range(n))
    names = [f"C {i}" for i in range(n)]
    content = MapContent(
        np.zeros((n, 2), dtype=np.float32), numbers, names, names, names, np.ones(n, dtype=np.float32), phrases,
        (ClusterLayer(numbers // 2, names, phrases),) * 2, fields,
    )  # fmt: skip
    filed = Filing(FolderShelf(tmp_path / "shelf")).file(content)
    assert len(pickle.dumps(filed)) < 20_000
    there = unfile(filed, Reader(tmp_path))
    assert list(there.ids) == names
    assert there.keyphrases[n - 1] == ["phrase 19999", "more"]
    assert [list(layer.names) for layer in there.layers] == [names] * 3
    assert [field.categories for field in there.fields] == [field.categories for field in fields]
    for field, original in zip(there.fields, fields, strict=True):
        assert list(field.values) == list(original.values)


def fill(graph: Graph, count: int) -> None:
    """A collection of two groups with payload."""
    vectors = groups(count // 2, count // 2)
    table = {
        "id": [str(i) for i in range(count)],
        "text": ["apples and pears"] * (count // 2) + ["wheels of cars"] * (count // 2),
        "vector": pa.array(list(vectors), pa.list_(pa.float32())),
        "year": [2000 + i for i in range(count)],
        "lang": [["de", "en"][i % 2] for i in range(count)],
    }
    pq.write_table(pa.table(table), graph.folder / "points.parquet")


def test_fields_of_the_payload_reach_the_map(graph: Graph) -> None:
    """Payload fields are chosen or those asked for, unknown ones are told, and counts speak of the finest clusters."""
    fill(graph, 60)
    graph.ask(min_cluster_size=10)
    first = graph.run()
    assert metadata(first, "html_map")["payload_fields"] == {"lang": "category", "year": "number"}
    graph.ask("second", min_cluster_size=10, payload_fields=["year", "nothing", "text"], color_by="lang")
    second = graph.run("visualization_job", "html_map")
    said = metadata(second, "html_map")
    assert said["payload_fields"] == {"year": "number", "lang": "category"}
    told = outcome(graph, second)
    warnings = [warning for warning in told.stats["warnings"] if "payload_fields" in warning]
    assert len(warnings) == 1
    assert "no point has a value in 'nothing'; " in warnings[0]
    finest = int(labels_of(first)["cluster"].max()) + 1
    assert told.cluster_count == told.stats["unique_clusters"] == said["clusters_per_layer"][0] == finest
    json.dumps(told.stats, allow_nan=False)


def labels_of(result: Any) -> pd.DataFrame:
    table: pd.DataFrame = result.asset_value("cluster_labels")
    return table


@pytest.mark.enable_socket
def test_write_back_puts_topics_into_the_payload(graph: Graph) -> None:
    """With `write_back` each point's payload says where it lies; a second run writes the same; without, nothing."""
    with EmbeddedQdrant() as server:
        params = models.VectorParams(size=8, distance=models.Distance.COSINE)
        server.client.create_collection("points", vectors_config=params)
        vectors = groups(30, 30)
        points = [models.PointStruct(id=i, vector=row.tolist(), payload={"text": "t"}) for i, row in enumerate(vectors)]
        server.client.upsert("points", points)
        qdrant = {"database_type": "qdrant", "connection_url": server.url}
        graph.ask(database=qdrant, min_cluster_size=5)
        assert metadata(graph.run(), "html_map")["points_written_back"] == 0
        assert written(server) == [None] * 60
        graph.ask(database=qdrant, min_cluster_size=5, write_back=True)
        assert metadata(graph.run(), "html_map")["points_written_back"] == 60
        first = written(server)
        assert {entry["7"]["cluster_name"] for entry in first} == {"Cluster 0", "Cluster 1"}
        graph.run()
        assert written(server) == first


def written(server: EmbeddedQdrant) -> list[Any]:
    """What stands in the payload of the points, by id."""
    found, _ = server.client.scroll("points", limit=100)
    return [(point.payload or {}).get("vis_assets") for point in sorted(found, key=lambda point: int(point.id))]
