"""The layout: a place on the plane for each point."""

import time

import numpy as np
import pandas as pd
from dagster import AssetExecutionContext, Output, ResourceParam, asset

from vis_assets.assets.partitions import ARTIFACT_IO, GROUP, OWNERS, report_to, visualization_transforms
from vis_assets.mapping.layout import lay_out
from vis_assets.protocol.stages import Stage
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.sources.points import PointSet


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"umap", "parquet"},
    code_version="1",
    io_manager_key=ARTIFACT_IO,
    description="UMAP layout: columns id, x, y (float32, no unit), one row per point in the order of `vectors`.",
)
def embedding_2d(
    context: AssetExecutionContext,
    visualization_job: Spec,
    vectors: PointSet,
    progress: ResourceParam[Progress],
) -> Output[pd.DataFrame]:
    """Lay the points out."""
    started = time.perf_counter()
    config = visualization_job.job.visualization_config
    report = report_to(context, progress, visualization_job, Stage.APPLYING_UMAP)
    report(0, 1)
    layout = lay_out(
        vectors.vectors,
        n_neighbors=config.n_neighbors,
        min_dist=config.min_dist,
        metric=config.metric,
        on_epoch=report,
    )
    report(1, 1)
    seconds = round(time.perf_counter() - started, 3)
    context.log.info("layout (%d, %d) -> (%d, 2) in %.2f s", vectors.count, vectors.dimension, vectors.count, seconds)
    places = layout.coordinates
    table = pd.DataFrame(
        {"id": vectors.table["id"].to_numpy(zero_copy_only=False), "x": places[:, 0], "y": places[:, 1]}
    )
    table.attrs = {"notes": list(layout.notes), "seconds": seconds}
    return Output(
        table,
        metadata={
            "point_count": len(table),
            "n_neighbors": config.n_neighbors,
            "min_dist": config.min_dist,
            "metric": config.metric,
            "x_range": [float(v) for v in (np.min(places[:, 0]), np.max(places[:, 0]))],
            "y_range": [float(v) for v in (np.min(places[:, 1]), np.max(places[:, 1]))],
            "notes": list(layout.notes),
            "duration_seconds": seconds,
        },
    )
