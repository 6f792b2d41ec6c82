"""The clusters: which points of the layout belong together."""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from dagster import (
    AssetCheckResult,
    AssetCheckSeverity,
    AssetExecutionContext,
    Output,
    ResourceParam,
    asset,
)

from vis_assets.assets.partitions import (
    ARTIFACT_IO,
    GROUP,
    OWNERS,
    check_specs,
    report_to,
    table_metadata,
    visualization_transforms,
)
from vis_assets.mapping.clustering import Clustering, cluster
from vis_assets.protocol.stages import Stage
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.settings import Settings

MOST_NOISE = 0.5
"""Share of noise above which the check warns: most points then belong to no topic."""
CHECKS = {
    "noise_share": f"At most {MOST_NOISE:.0%} of the points belong to no cluster (warning only).",
    "every_point_labelled": "Every point of the layout has a label, -1 (noise) or that of a cluster.",
}


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"hdbscan", "parquet"},
    code_version="2",
    io_manager_key=ARTIFACT_IO,
    check_specs=check_specs("cluster_labels", CHECKS),
    description=(
        "HDBSCAN clusters of the layout: id, cluster (-1 = noise, 0 = the biggest), membership_strength, "
        "and the coarser layers cluster_1, cluster_2, ... as far as there are."
    ),
)
def cluster_labels(
    context: AssetExecutionContext,
    visualization_job: Spec,
    embedding_2d: pd.DataFrame,
    settings: ResourceParam[Settings],
    compute: ResourceParam[Compute],
    progress: ResourceParam[Progress],
) -> Iterator[Output[pd.DataFrame] | AssetCheckResult]:
    """Cluster the layout."""
    started = time.perf_counter()
    config = visualization_job.job.visualization_config
    report = report_to(context, progress, visualization_job, Stage.CLUSTERING)
    report(0, 1)
    clustering = compute.run(
        cluster,
        embedding_2d[["x", "y"]].to_numpy(dtype=np.float32),
        min_cluster_size=config.min_cluster_size,
        min_samples=config.min_samples,
        engine=settings.clustering_engine,
    )
    report(1, 1)
    seconds = round(time.perf_counter() - started, 3)
    counts = ", ".join(map(str, clustering.counts))
    context.log.info("%s clusters by layer, %d noise points in %.2f s", counts, clustering.noise_count, seconds)
    table = pd.DataFrame(
        {
            "id": embedding_2d["id"],
            "cluster": clustering.labels,
            "membership_strength": clustering.membership_strengths,
            **{f"cluster_{layer}": labels for layer, labels in enumerate(clustering.coarser, start=1)},
        }
    )
    table.attrs = {"notes": list(clustering.notes), "seconds": seconds}
    yield Output(table, metadata=_describe(clustering, seconds))
    yield from _check(clustering, len(embedding_2d))


def _describe(clustering: Clustering, seconds: float) -> dict[str, Any]:
    rows = [{"cluster": label, "points": int(size)} for label, size in enumerate(clustering.sizes)]
    return {
        "cluster_count": clustering.cluster_count,
        "clusters_by_layer": list(clustering.counts),
        "noise_points": clustering.noise_count,
        "noise_share": round(clustering.noise_share, 4),
        "cluster_sizes": table_metadata(rows[:500], {"cluster": "int", "points": "int"}),
        "notes": list(clustering.notes),
        "duration_seconds": seconds,
    }


def _check(clustering: Clustering, point_count: int) -> list[AssetCheckResult]:
    known = all(
        len(labels) == point_count and bool(((labels >= -1) & (labels < clusters)).all())
        for labels, clusters in zip(clustering.layers, clustering.counts, strict=True)
    )
    return [
        AssetCheckResult(
            check_name="noise_share",
            passed=clustering.noise_share <= MOST_NOISE,
            severity=AssetCheckSeverity.WARN,
            metadata={"noise_share": round(clustering.noise_share, 4)},
            description="" if clustering.noise_share <= MOST_NOISE else "try a smaller min_cluster_size or min_samples",
        ),
        AssetCheckResult(check_name="every_point_labelled", passed=known, metadata={"labels": len(clustering.labels)}),
    ]
