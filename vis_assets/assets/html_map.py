"""The map: an interactive HTML page, stored where its owner looks for it."""

import base64
import resource
import time
from collections.abc import Iterator, Sequence
from urllib.parse import quote

import numpy as np
import pandas as pd
from dagster import AssetCheckResult, AssetExecutionContext, MetadataValue, Output, ResourceParam, asset

from vis_assets.assets.partitions import (
    GROUP,
    OWNERS,
    PAGE_IO,
    check_specs,
    report_to,
    require_same_points,
    visualization_transforms,
)
from vis_assets.page.content import MapContent
from vis_assets.page.preview import draw_preview
from vis_assets.page.render import RenderedPage, render_page
from vis_assets.protocol.stages import Stage
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.pages import MapPage, page_key, page_metadata
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.settings import Settings
from vis_assets.sources.points import PointSet

CHECKS = {"page_not_empty": "The page is HTML and holds, or has beside it, the data of its points."}
KEYPHRASES_IN_LABEL = 3
SMALLEST_PAGE_BYTES = 10_000
"""A page without data is larger than this."""


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html", "datamapplot"},
    code_version="1",
    io_manager_key=PAGE_IO,
    check_specs=check_specs("html_map", CHECKS),
    description="The interactive map, one self-contained HTML page.",
)
def html_map(
    context: AssetExecutionContext,
    visualization_job: Spec,
    vectors: PointSet,
    embedding_2d: pd.DataFrame,
    cluster_labels: pd.DataFrame,
    cluster_names: pd.DataFrame,
    settings: ResourceParam[Settings],
    compute: ResourceParam[Compute],
    progress: ResourceParam[Progress],
) -> Iterator[Output[MapPage] | AssetCheckResult]:
    """Render the page."""
    started = time.perf_counter()
    job = visualization_job.job
    report = report_to(context, progress, visualization_job, Stage.GENERATING_HTML)
    report(0, 1)
    content = _content(vectors, embedding_2d, cluster_labels, cluster_names)
    rendered = compute.run(render_page, content, job.visualization_config, str(job.visualization_id))
    report(0.7, 1)
    preview = compute.run(draw_preview, content, job.visualization_config)
    seconds = round(time.perf_counter() - started, 3)
    notes = [*rendered.notes, *compute.notes]
    stats = {
        **_stats(visualization_job, vectors, cluster_labels, cluster_names),
        "dimension": vectors.dimension,
        "sampled_points": embedding_2d.attrs.get("sampled_points") or vectors.count,
        "html_bytes": rendered.size_bytes,
        "stage_seconds": _stage_seconds(embedding_2d, cluster_labels, cluster_names) | {"html_map": seconds},
        "warnings": _warnings(visualization_job, vectors, embedding_2d, cluster_labels, notes),
    }
    page = MapPage(page_key(job), rendered.html, rendered.data_files, page_metadata(job.job_id, vectors.count))
    context.log.info("page of %d bytes in %.2f s", rendered.size_bytes, seconds)
    report(1, 1)
    yield Output(
        page,
        metadata={
            "map": MetadataValue.url(f"{settings.public_base}/maps/{quote(page.key.partition('/')[2])}"),
            "preview": MetadataValue.md(f"![map](data:image/png;base64,{base64.b64encode(preview).decode()})"),
            "html_key": page.key,
            "point_count": vectors.count,
            "cluster_count": len(cluster_names),
            "stats": MetadataValue.json(stats),
            "duration_seconds": seconds,
            "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        },
    )
    yield _check(rendered)


def _content(
    vectors: PointSet, embedding_2d: pd.DataFrame, cluster_labels: pd.DataFrame, cluster_names: pd.DataFrame
) -> MapContent:
    ids = vectors.table["id"].to_numpy(zero_copy_only=False)
    require_same_points(ids, embedding_2d, "embedding_2d")
    require_same_points(ids, cluster_labels, "cluster_labels")
    return MapContent(
        coordinates=embedding_2d[["x", "y"]].to_numpy(dtype=np.float32),
        labels=cluster_labels["cluster"].to_numpy(dtype=np.int32),
        cluster_names=[
            label_text(name, keyphrases)
            for name, keyphrases in zip(cluster_names["name"], cluster_names["keyphrases"], strict=True)
        ],
        hover_texts=vectors.table["text"].to_pylist(),
    )


def label_text(name: str, keyphrases: Sequence[str]) -> str:
    """What the map writes over a cluster: its name and what sets it apart."""
    return f"{name}: {', '.join(keyphrases[:KEYPHRASES_IN_LABEL])}" if len(keyphrases) else name


def _stats(
    spec: Spec, vectors: PointSet, cluster_labels: pd.DataFrame, cluster_names: pd.DataFrame
) -> dict[str, object]:
    config = spec.job.visualization_config
    noise = int((cluster_labels["cluster"] < 0).sum())
    return {
        "unique_clusters": len(cluster_names),
        "noise_points": noise,
        "noise_share": round(noise / vectors.count, 4),
        "umap_n_neighbors": config.n_neighbors,
        "umap_min_dist": config.min_dist,
        "umap_metric": config.metric,
        "hdbscan_min_cluster_size": config.min_cluster_size,
        "hdbscan_min_samples": config.min_samples,
    }


def _stage_seconds(*tables: pd.DataFrame) -> dict[str, float]:
    names = ("embedding_2d", "cluster_labels", "cluster_names")
    return {name: table.attrs.get("seconds", 0.0) for name, table in zip(names, tables, strict=True)}


def _warnings(
    spec: Spec,
    vectors: PointSet,
    embedding_2d: pd.DataFrame,
    cluster_labels: pd.DataFrame,
    notes_on_page: Sequence[str],
) -> list[str]:
    notes = [table.attrs.get("notes", ()) for table in (embedding_2d, cluster_labels)]
    return list(dict.fromkeys([*spec.warnings, *vectors.notes, *notes[0], *notes[1], *notes_on_page]))


def _check(rendered: RenderedPage) -> AssetCheckResult:
    is_page = b"<html" in rendered.html[:2000].lower() and b"</html>" in rendered.html[-2000:].lower()
    return AssetCheckResult(
        check_name="page_not_empty",
        passed=is_page and rendered.size_bytes > SMALLEST_PAGE_BYTES,
        metadata={"bytes": rendered.size_bytes},
    )
