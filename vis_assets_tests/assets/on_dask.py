"""Makes one map in this process, as a run does; prints what it imported and what came out."""

import json
import sys
from pathlib import Path

from dagster import DagsterInstance

from vis_assets_tests.assets.graph import Graph, groups, metadata, outcome

HEAVY = {"umap", "hdbscan", "datamapplot", "numba", "pynndescent", "sklearn", "scipy", "matplotlib"}


def main(folder: Path) -> None:
    """Make the map."""
    with DagsterInstance.ephemeral() as instance:
        graph = Graph(folder, instance)
        graph.fill(groups(40, 30, 30))
        graph.ask(min_cluster_size=10)
        result = graph.run()
        said = {
            "status": outcome(graph, result).status,
            "imported": sorted((HEAVY | {"distributed"}) & set(sys.modules)),
            "clusters": metadata(result, "html_map")["cluster_count"],
            "warnings": metadata(result, "html_map")["stats"]["warnings"],
            "percents": [percent for _, percent in graph.steps],
        }
    print(json.dumps(said))  # noqa: T201 - for the test that started this process


if __name__ == "__main__":
    main(Path(sys.argv[1]))
