"""The names: what each cluster is about."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
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
from vis_assets.mapping.exemplars import select_exemplars
from vis_assets.mapping.keyphrases import extract_keyphrases
from vis_assets.protocol.stages import Stage
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.sources.points import PointSet

ROWS_SHOWN = 500
"""Most clusters that the table in the Dagster UI lists."""
CHECKS = {"names_unique": "No two clusters have the same name."}


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"scikitlearn", "parquet"},
    code_version="1",
    io_manager_key=ARTIFACT_IO,
    check_specs=check_specs("cluster_names", CHECKS),
    description="One row per cluster: its name, keyphrases, size, and ids and texts of its most typical points.",
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
    labels = cluster_labels["cluster"].to_numpy()
    keyphrases = compute.run(extract_keyphrases, texts, labels)
    exemplars = select_exemplars(
        embedding_2d[["x", "y"]].to_numpy(dtype=np.float32),
        labels,
        cluster_labels["membership_strength"].to_numpy(),
        per_cluster=config.samples_per_cluster,
    )
    sizes = np.bincount(labels[labels >= 0], minlength=len(exemplars))
    rows = []
    for first in range(0, len(exemplars), config.llm_batch_size):
        batch = range(first, min(first + config.llm_batch_size, len(exemplars)))
        rows += [
            _name(
                label, int(sizes[label]), keyphrases[label], ids[exemplars[label]], [texts[i] for i in exemplars[label]]
            )
            for label in batch
        ]
        report(len(rows), len(exemplars))
    report(1, 1)
    table = pd.DataFrame(rows, columns=["cluster", "name", "keyphrases", "size", "exemplar_ids", "exemplar_texts"])
    seconds = round(time.perf_counter() - started, 3)
    table.attrs = {"notes": [], "seconds": seconds}
    context.log.info("named %d clusters in %.2f s", len(table), seconds)
    yield Output(table, metadata=_describe(table, seconds))
    yield AssetCheckResult(check_name="names_unique", passed=bool(table["name"].is_unique))


def _name(
    label: int, size: int, keyphrases: Sequence[str], exemplar_ids: Sequence[str], exemplar_texts: Sequence[str]
) -> dict[str, object]:
    return {
        "cluster": label,
        "name": f"Cluster {label}",
        "keyphrases": list(keyphrases),
        "size": size,
        "exemplar_ids": list(exemplar_ids),
        "exemplar_texts": list(exemplar_texts),
    }


def _describe(table: pd.DataFrame, seconds: float) -> dict[str, Any]:
    rows = [
        {
            "name": row["name"],
            "points": row["size"],
            "keyphrases": ", ".join(row["keyphrases"][:6]),
            "example": row["exemplar_texts"][0][:160] if row["exemplar_texts"] else "",
        }
        for row in table.head(ROWS_SHOWN).to_dict("records")
    ]
    columns = {"name": "string", "points": "int", "keyphrases": "string", "example": "string"}
    return {
        "cluster_count": len(table),
        "clusters": table_metadata(rows, columns),
        "duration_seconds": seconds,
    }
