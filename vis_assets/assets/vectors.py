"""The points: vectors, texts and payloads of the job's collection."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from dagster import AssetCheckResult, AssetExecutionContext, Output, ResourceParam, asset

from vis_assets.assets.partitions import ARTIFACT_IO, GROUP, OWNERS, check_specs, report_to, visualization_transforms
from vis_assets.protocol.stages import Stage
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.resources.vector_database import VectorDatabase
from vis_assets.sources.points import PointSet

CHECKS = {
    "vectors_present": "The collection gave at least one vector.",
    "vectors_finite": "Every number of every vector is finite.",
    "vectors_of_one_dimension": "There is one vector of one and the same dimension for each point.",
}
ROWS_AT_A_TIME = 10_000


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"qdrant", "numpy"},
    code_version="1",
    io_manager_key=ARTIFACT_IO,
    check_specs=check_specs("vectors", CHECKS),
    description="Vectors (n, d) float32 with the id, text and payload of each point, as the collection holds them.",
)
def vectors(
    context: AssetExecutionContext,
    visualization_job: Spec,
    vector_database: ResourceParam[VectorDatabase],
    scratch: ResourceParam[Path],
    progress: ResourceParam[Progress],
) -> Iterator[Output[PointSet] | AssetCheckResult]:
    """Fetch the collection."""
    started = time.perf_counter()
    report = report_to(context, progress, visualization_job, Stage.FETCHING_VECTORS)
    report(0, 1)
    points = vector_database.fetch(visualization_job, scratch, report)
    report(1, 1)
    seconds = time.perf_counter() - started
    context.log.info("fetched %d vectors of %d dimensions in %.2f s", points.count, points.dimension, seconds)
    texts = points.table["text"].to_pylist()
    yield Output(
        points,
        metadata={
            "point_count": points.count,
            "dimension": points.dimension,
            "points_with_text": sum(1 for text in texts if text),
            "text_field": points.text_field or "(none)",
            "notes": list(points.notes),
            "duration_seconds": round(seconds, 3),
        },
    )
    yield from _check(points)


def _check(points: PointSet) -> list[AssetCheckResult]:
    bad_rows = sum(
        int((~np.isfinite(points.vectors[start : start + ROWS_AT_A_TIME]).all(axis=1)).sum())
        for start in range(0, points.count, ROWS_AT_A_TIME)
    )
    same = points.vectors.shape == (points.table.num_rows, points.dimension)
    return [
        AssetCheckResult(check_name="vectors_present", passed=points.count > 0, metadata={"points": points.count}),
        AssetCheckResult(check_name="vectors_finite", passed=bad_rows == 0, metadata={"bad_rows": bad_rows}),
        AssetCheckResult(
            check_name="vectors_of_one_dimension", passed=same, metadata={"shape": str(points.vectors.shape)}
        ),
    ]
