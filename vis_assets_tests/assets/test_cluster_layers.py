"""Several layers of clusters in the tables that the assets write."""

import numpy as np
import pytest

from vis_assets_tests.assets.graph import Graph, checks, metadata
from vis_assets_tests.mapping.clustering.test_layers import world

pytestmark = pytest.mark.timeout(300)

ANIMALS = ("cats", "dogs", "horses", "birds", "whales")


def test_layers_are_columns_of_labels_and_rows_of_names(graph: Graph) -> None:
    """Each layer is a column of `cluster_labels`; its clusters are rows of `cluster_names` with what is theirs."""
    coordinates, continents = world()
    graph.fill(
        np.random.default_rng(0).normal(size=(len(coordinates), 4)).astype(np.float32),
        [
            f"{ANIMALS[continent]} item{row} word{7 * row} thing{row // 2} of{row % 5}"
            for row, continent in enumerate(continents)
        ],
    )
    graph.ask(min_cluster_size=10, samples_per_cluster=4)
    assert graph.run("visualization_job", "vectors").success
    graph.place(coordinates)
    result = graph.run("cluster_labels", "cluster_names")
    labels, names = result.asset_value("cluster_labels"), result.asset_value("cluster_names")
    columns = [name for name in labels.columns if name.startswith("cluster")]
    assert columns == ["cluster", *(f"cluster_{layer}" for layer in range(1, len(columns)))]
    assert len(columns) > 2
    assert all(labels[column].dtype == np.int32 for column in columns)
    assert all(check.passed for check in checks(result).values())

    counts = [int(labels[column].max()) + 1 for column in columns]
    assert metadata(result, "cluster_labels")["clusters_by_layer"] == counts
    assert metadata(result, "cluster_names")["clusters_by_layer"] == counts
    assert metadata(result, "cluster_labels")["cluster_count"] == counts[0]
    assert len(metadata(result, "cluster_names")["clusters"].splitlines()) == 2 + sum(counts)

    expected = [(layer, cluster) for layer, count in enumerate(counts) for cluster in range(count)]
    assert list(zip(names["layer"], names["cluster"], strict=True)) == expected
    assert names["name"].is_unique
    of_point = labels.set_index("id")
    for row in names.to_dict("records"):
        members = of_point[of_point[columns[row["layer"]]] == row["cluster"]]
        assert row["named_by"] == "keyphrases"
        assert row["size"] == len(members)
        assert len(set(row["exemplar_ids"])) == len(row["exemplar_texts"]) == 4
        assert set(row["exemplar_ids"]) <= set(members.index)
        above = columns[row["layer"] + 1 : row["layer"] + 2]
        assert {row["parent"]} == (set(members[above[0]]) if above else {-1})
    for row in names[names["layer"] == len(columns) - 1].to_dict("records"):
        assert row["keyphrases"][0] in ANIMALS


def test_a_map_of_few_clusters_has_one_layer(graph: Graph) -> None:
    """Without coarser layers, `cluster_labels` has no more columns than the finest needs, and no cluster a parent."""
    graph.fill(np.ones((60, 4), dtype=np.float32))
    graph.ask(min_cluster_size=10)
    assert graph.run("visualization_job", "vectors").success
    places = np.repeat([0.0, 50.0], 30) + np.random.default_rng(0).normal(size=60)
    graph.place(np.stack([places, places], axis=1))
    result = graph.run("cluster_labels", "cluster_names")
    assert list(result.asset_value("cluster_labels").columns) == ["id", "cluster", "membership_strength"]
    names = result.asset_value("cluster_names")
    assert (names["layer"].tolist(), names["parent"].tolist()) == ([0, 0], [-1, -1])
    assert metadata(result, "cluster_names")["clusters_by_layer"] == [2]
