"""The names: what each cluster is about."""

import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from dagster import AssetCheckResult, AssetExecutionContext, Output, ResourceParam, asset

from vis_assets.assets.partitions import (
    ARTIFACT_IO,
    GROUP,
    OWNERS,
    check_specs,
    report_to,
    require_same_points,
    table_metadata,
    visualization_transforms,
)
from vis_assets.mapping.clustering.layers import parents_of
from vis_assets.mapping.exemplars import select_exemplars, select_of_children
from vis_assets.mapping.keyphrases import extract_layer_keyphrases
from vis_assets.page.points_table import layer_columns
from vis_assets.protocol.stages import Stage
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.sources.points import PointSet

ROWS_SHOWN = 500
"""Most clusters that the table in the Dagster UI lists."""
NAMES = ("Cluster", "Group", "Region", "Continent")
"""What a cluster is called before its number, by layer, the finest first."""
COLUMNS = ("layer", "cluster", "parent", "name", "keyphrases", "size", "exemplar_ids", "exemplar_texts")
CHECKS = {"names_unique": "No two clusters of any layers have the same name."}

Labels = npt.NDArray[np.int32]


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"scikitlearn", "parquet"},
    code_version="2",
    io_manager_key=ARTIFACT_IO,
    check_specs=check_specs("cluster_names", CHECKS),
    description=(
        "One row per cluster and layer (0 = the finest): its name, the cluster of the next layer that it is in, "
        "keyphrases, size, and ids and texts of its most typical points."
    ),
)
def cluster_names(
    context: AssetExecutionContext,
    visualization_job: Spec,
    vectors: PointSet,
    embedding_2d: pd.DataFrame,
    cluster_labels: pd.DataFrame,
    compute: ResourceParam[Compute],
    progress: ResourceParam[Progress],
) -> Iterator[Output[pd.DataFrame] | AssetCheckResult]:
    """Name the clusters by number and describe them by keyphrases and examples."""
    started = time.perf_counter()
    config = visualization_job.job.visualization_config
    report = report_to(context, progress, visualization_job, Stage.NAMING_CLUSTERS)
    report(0, 1)
    ids = vectors.table["id"].to_numpy(zero_copy_only=False)
    require_same_points(ids, cluster_labels, "cluster_labels")
    require_same_points(ids, embedding_2d, "embedding_2d")
    texts: Sequence[str] = vectors.table["text"].to_pylist()
    layers = tuple(
        cluster_labels[name].to_numpy(dtype=np.int32) for name in ("cluster", *layer_columns(cluster_labels))
    )
    keyphrases = compute.run(extract_layer_keyphrases, texts, layers)
    exemplars = _select_exemplars(embedding_2d, cluster_labels, layers, config.samples_per_cluster)
    sizes, parents = [np.bincount(labels[labels >= 0]) for labels in layers], _parents(layers)
    clusters = [(layer, label) for layer, of_layer in enumerate(sizes) for label in range(len(of_layer))]
    rows = []
    for first in range(0, len(clusters), config.llm_batch_size):
        rows += [
            {
                **_name(layer, label, int(parents[layer][label]), int(sizes[layer][label])),
                "keyphrases": list(keyphrases[layer][label]),
                "exemplar_ids": list(ids[exemplars[layer][label]]),
                "exemplar_texts": [texts[row] for row in exemplars[layer][label]],
            }
            for layer, label in clusters[first : first + config.llm_batch_size]
        ]
        report(len(rows), len(clusters))
    report(1, 1)
    table = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(("layer", "cluster", "parent"), np.int32))
    seconds = round(time.perf_counter() - started, 3)
    table.attrs = {"notes": [], "seconds": seconds}
    context.log.info("named %d clusters of %d layers in %.2f s", len(table), len(layers), seconds)
    yield Output(table, metadata=_describe(table, len(layers), seconds))
    yield AssetCheckResult(check_name="names_unique", passed=bool(table["name"].is_unique))


def _select_exemplars(
    embedding_2d: pd.DataFrame, cluster_labels: pd.DataFrame, layers: Sequence[Labels], per_cluster: int
) -> list[list[npt.NDArray[np.int64]]]:
    """Rows that speak for each cluster of each layer."""
    exemplars = [
        select_exemplars(
            embedding_2d[["x", "y"]].to_numpy(dtype=np.float32),
            layers[0],
            cluster_labels["membership_strength"].to_numpy(),
            per_cluster=per_cluster,
        )
    ]
    for finer, coarser in pairwise(layers):
        exemplars.append(select_of_children(exemplars[-1], parents_of(finer, coarser), per_cluster=per_cluster))
    return exemplars


def _parents(layers: Sequence[Labels]) -> list[Labels]:
    """Parents of the clusters of each layer; those of the coarsest have none, -1."""
    coarsest = np.full(int(layers[-1].max(initial=-1)) + 1, -1, dtype=np.int32)
    return [*(parents_of(finer, coarser) for finer, coarser in pairwise(layers)), coarsest]


def _name(layer: int, label: int, parent: int, size: int) -> dict[str, object]:
    return {"layer": layer, "cluster": label, "parent": parent, "name": f"{NAMES[layer]} {label}", "size": size}


def _describe(table: pd.DataFrame, layer_count: int, seconds: float) -> dict[str, Any]:
    finest = table["layer"] == 0
    about = {"clusters": _rows(table[finest])}
    if layer_count > 1:
        about["coarser_clusters"] = _rows(table[~finest])
    columns = {"name": "string", "points": "int", "keyphrases": "string", "example": "string"}
    return {
        "cluster_count": int(finest.sum()),
        "clusters_by_layer": [int((table["layer"] == layer).sum()) for layer in range(layer_count)],
        **{name: table_metadata(rows, columns) for name, rows in about.items()},
        "duration_seconds": seconds,
    }


def _rows(clusters: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            "name": row["name"],
            "points": row["size"],
            "keyphrases": ", ".join(row["keyphrases"][:6]),
            "example": row["exemplar_texts"][0][:160] if row["exemplar_texts"] else "",
        }
        for row in clusters.head(ROWS_SHOWN).to_dict("records")
    ]
