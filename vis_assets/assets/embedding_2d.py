"""The layout: a place on the plane for each point."""

import time

import numpy as np
import pandas as pd
from dagster import AssetExecutionContext, Output, ResourceParam, asset

from vis_assets.assets.partitions import ARTIFACT_IO, GROUP, OWNERS, report_to, visualization_transforms
from vis_assets.mapping.layout import SHARE_OF_NEIGHBORS, lay_out
from vis_assets.mapping.neighbors import SEARCHED, Neighbors, find_neighbors
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.progress import Progress, Report
from vis_assets.resources.specs import Spec
from vis_assets.settings import Settings
from vis_assets.sources.points import PointSet

SEARCHED_TOGETHER_FROM = 50_000
"""Points from which it pays to spread the search for neighbours over several workers."""
SEVERAL = 2


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
    settings: ResourceParam[Settings],
    compute: ResourceParam[Compute],
    progress: ResourceParam[Progress],
) -> Output[pd.DataFrame]:
    """Lay the points out."""
    started = time.perf_counter()
    config = visualization_job.job.visualization_config
    report = report_to(context, progress, visualization_job, Stage.APPLYING_UMAP)
    report(0, 1)
    max_points = min(filter(None, (config.max_points, settings.max_points)), default=None)
    neighbors = None if max_points else _search_together(vectors, config, settings, compute, report)
    layout = compute.run(
        lay_out,
        vectors.vectors,
        n_neighbors=config.n_neighbors,
        min_dist=config.min_dist,
        metric=config.metric,
        on_progress=report,
        random_state=settings.seed,
        engine=settings.layout_engine,
        max_points=max_points,
        neighbors=neighbors,
    )
    report(1, 1)
    seconds = round(time.perf_counter() - started, 3)
    context.log.info("layout (%d, %d) -> (%d, 2) in %.2f s", vectors.count, vectors.dimension, vectors.count, seconds)
    places = layout.coordinates
    table = pd.DataFrame(
        {"id": vectors.table["id"].to_numpy(zero_copy_only=False), "x": places[:, 0], "y": places[:, 1]}
    )
    table.attrs = {"notes": list(layout.notes), "seconds": seconds, "sampled_points": layout.sampled_points}
    return Output(
        table,
        metadata={
            "point_count": len(table),
            "n_neighbors": config.n_neighbors,
            "min_dist": config.min_dist,
            "metric": config.metric,
            "engine": settings.layout_engine,
            "sampled_points": layout.sampled_points or len(table),
            "stage_seconds": {stage: round(spent, 3) for stage, spent in layout.stage_seconds.items()},
            "x_range": [float(v) for v in (np.min(places[:, 0]), np.max(places[:, 0]))],
            "y_range": [float(v) for v in (np.min(places[:, 1]), np.max(places[:, 1]))],
            "notes": list(layout.notes),
            "duration_seconds": seconds,
        },
    )


def _search_together(
    vectors: PointSet, config: VisualizationConfig, settings: Settings, compute: Compute, report: Report
) -> Neighbors | None:
    """Let all workers search the neighbours of a large map; None leaves the search to the layout.

    Where workers share their cores, one of them is as fast as all.
    """
    is_for_all = not compute.shares_cores and settings.layout_engine == "fast" and config.metric in SEARCHED
    if not is_for_all or vectors.count < SEARCHED_TOGETHER_FROM or compute.workers < SEVERAL:
        return None
    return find_neighbors(
        vectors.vectors,
        config.n_neighbors - 1,
        config.metric,
        seed=settings.seed or 0,
        spread=compute.map,
        on_share=lambda share: report(share * SHARE_OF_NEIGHBORS, 1),
    )
