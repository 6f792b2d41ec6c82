"""The map: an interactive HTML page, stored where its owner looks for it."""

import base64
import resource
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import numpy as np
import numpy.typing as npt
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
from vis_assets.mapping.clustering.layers import parents_of
from vis_assets.page.content import ClusterLayer, MapContent, PhraseLists
from vis_assets.page.fields import FieldChoice, PayloadField, choose_fields
from vis_assets.page.names_table import names_table
from vis_assets.page.points_table import names_by_cluster, points_table
from vis_assets.page.preview import draw_pictures
from vis_assets.page.render import RenderedPage, render_page
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets.resources.compute.contract import Compute, InProcess
from vis_assets.resources.pages import MapPage, files_around, page_key, page_metadata
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.resources.vector_database import VectorDatabase
from vis_assets.settings import Settings
from vis_assets.sources.points import OnProgress, PointSet
from vis_assets.sources.write_back import PlacedPoints, WriteBackResult

CHECKS = {"page_not_empty": "The page is HTML and holds, or has beside it, the data of its points."}
MANY_PAYLOADS = 20_000
"""So many payloads are worth the way to a worker."""
SMALLEST_PAGE_BYTES = 10_000
"""A page without data is larger than this."""


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"html"},
    code_version="2",
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
    vector_database: ResourceParam[VectorDatabase],
) -> Iterator[Output[MapPage] | AssetCheckResult]:
    """Render the page."""
    started = time.perf_counter()
    job = visualization_job.job
    report = report_to(context, progress, visualization_job, Stage.GENERATING_HTML)
    report(0, 1)
    choice = _choose_fields(compute, vectors, job.visualization_config)
    content = content_of(vectors, embedding_2d, cluster_labels, cluster_names, choice.fields)
    rendered = compute.run(render_page, content, job.visualization_config, str(job.visualization_id))
    report(0.7, 1)
    preview, thumbnail = compute.run(draw_pictures, content, job.visualization_config)
    around = files_around(
        job,
        thumbnail=thumbnail,
        points_file=points_table(content.ids, embedding_2d, cluster_labels, cluster_names),
        names_file=names_table(cluster_names),
        points=vectors.count,
        clusters=len(content.cluster_names),
        made_at=datetime.now(UTC),
    )
    written = _write_back(
        vector_database,
        visualization_job,
        content,
        cluster_names,
        lambda done, total: report(0.8 + 0.2 * done / total, 1),
    )
    seconds = round(time.perf_counter() - started, 3)
    notes = [*choice.notes, *rendered.notes, *compute.notes, *written.notes]
    stats = {
        **_stats(visualization_job, vectors, content),
        "dimension": vectors.dimension,
        "sampled_points": embedding_2d.attrs.get("sampled_points") or vectors.count,
        "html_bytes": rendered.size_bytes,
        "naming": cluster_names.attrs.get("naming", {}),
        "stage_seconds": _stage_seconds(embedding_2d, cluster_labels, cluster_names) | {"html_map": seconds},
        "warnings": _warnings(visualization_job, vectors, (embedding_2d, cluster_labels, cluster_names), notes),
    }
    page = MapPage(page_key(job), rendered.html, rendered.data_files | around, page_metadata(job.job_id, vectors.count))
    context.log.info("page of %d bytes in %.2f s", rendered.size_bytes, seconds)
    report(1, 1)
    about: dict[str, Any] = {
        "map": MetadataValue.url(f"{settings.public_base}/maps/{quote(page.key.partition('/')[2])}"),
        "preview": MetadataValue.md(f"![map](data:image/png;base64,{base64.b64encode(preview).decode()})"),
        "html_key": page.key,
        "payload_fields": {field.name: field.kind for field in choice.fields},
        "points_written_back": written.points,
        "stats": MetadataValue.json(stats),
        "duration_seconds": seconds,
    }
    yield Output(page, metadata=about | _describe(content))
    yield _check(rendered)


def _describe(content: MapContent) -> dict[str, Any]:
    return {
        "point_count": len(content.labels),
        "cluster_count": len(content.cluster_names),
        "clusters_per_layer": [len(layer.names) for layer in content.layers],
        "peak_memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def _write_back(
    database: VectorDatabase, spec: Spec, content: MapContent, cluster_names: pd.DataFrame, on_progress: OnProgress
) -> WriteBackResult:
    """Write topics and places into the points' payload, where the job asks for it; the map stands without."""
    if not spec.job.visualization_config.write_back:
        return WriteBackResult(0)
    names = [names_by_cluster(cluster_names, layer) for layer in range(len(content.layers))]
    labels = [layer.labels for layer in content.layers]
    return database.write_back(spec, PlacedPoints(content.ids, content.coordinates, labels, names), on_progress)


def content_of(
    vectors: PointSet,
    embedding_2d: pd.DataFrame,
    cluster_labels: pd.DataFrame,
    cluster_names: pd.DataFrame,
    fields: tuple[PayloadField, ...] = (),
) -> MapContent:
    """Join the tables of the graph; those of earlier versions, with one layer of clusters, too.

    Raises:
        PointsMismatch: a table was made from other points, or a cluster has no name.
    """
    ids = vectors.table["id"].to_numpy(zero_copy_only=False)
    require_same_points(ids, embedding_2d, "embedding_2d")
    require_same_points(ids, cluster_labels, "cluster_labels")
    finest, *coarser = _layers(cluster_labels, cluster_names)
    return MapContent(
        coordinates=embedding_2d[["x", "y"]].to_numpy(dtype=np.float32),
        labels=finest.labels,
        cluster_names=finest.names,
        hover_texts=vectors.table["text"].to_pylist(),
        ids=ids.tolist(),
        strengths=cluster_labels["membership_strength"].to_numpy(dtype=np.float32),
        keyphrases=finest.keyphrases,
        coarser=tuple(coarser),
        fields=fields,
    )


def _layers(cluster_labels: pd.DataFrame, cluster_names: pd.DataFrame) -> list[ClusterLayer]:
    """Read the layers that have both labels and names, the finest first; tables of earlier versions have that only."""
    columns = ["cluster"]
    while f"cluster_{len(columns)}" in cluster_labels and len(_names_of(cluster_names, len(columns))):
        columns.append(f"cluster_{len(columns)}")
    layers: list[ClusterLayer] = []
    for layer, column in enumerate(columns):
        rows = _names_of(cluster_names, layer)
        labels, names = cluster_labels[column].to_numpy(dtype=np.int32), rows["name"].tolist()
        if layers:
            names = _name_like_only_children(labels, names, layers[-1])
        layers.append(ClusterLayer(labels, names, PhraseLists.of(rows["keyphrases"])))
    return layers


def _name_like_only_children(labels: npt.NDArray[np.int32], names: Sequence[str], finer: ClusterLayer) -> list[str]:
    """Call clusters that are all of one finer cluster like that one: to the eye they are one and the same.

    In the table they are told apart, since names are unique there.
    """
    shown = list(names)
    sizes, finer_sizes = np.bincount(labels[labels >= 0]), np.bincount(finer.labels[finer.labels >= 0])
    for child, parent in enumerate(parents_of(finer.labels, labels).tolist()):
        if 0 <= parent < len(shown) and sizes[parent] == finer_sizes[child]:
            shown[parent] = finer.names[child]
    return shown


def _names_of(cluster_names: pd.DataFrame, layer: int) -> pd.DataFrame:
    """Rows of one layer, in the order of its clusters."""
    if "layer" not in cluster_names:
        return cluster_names if layer == 0 else cluster_names.iloc[:0]
    return cluster_names[cluster_names["layer"] == layer]


def _choose_fields(compute: Compute, vectors: PointSet, config: VisualizationConfig) -> FieldChoice:
    """Read the payload, on a worker where there are many points; the document itself is on the map anyway."""
    wanted = None if config.payload_fields is None else [n for n in config.payload_fields if n != vectors.text_field]
    run = compute.run if vectors.count >= MANY_PAYLOADS else InProcess().run
    return run(choose_fields, vectors.table["payload"], wanted, color_by=config.color_by)


def _stats(spec: Spec, vectors: PointSet, content: MapContent) -> dict[str, object]:
    """What the sender is told of the finest clusters, and of how the map was made."""
    config = spec.job.visualization_config
    noise = int((content.labels < 0).sum())
    return {
        "unique_clusters": len(content.cluster_names),
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


def _warnings(spec: Spec, vectors: PointSet, tables: Sequence[pd.DataFrame], notes_on_page: Sequence[str]) -> list[str]:
    notes = [note for table in tables for note in table.attrs.get("notes", ())]
    return list(dict.fromkeys([*spec.warnings, *vectors.notes, *notes, *notes_on_page]))


def _check(rendered: RenderedPage) -> AssetCheckResult:
    is_page = b"<html" in rendered.html[:2000].lower() and b"</html>" in rendered.html[-2000:].lower()
    return AssetCheckResult(
        check_name="page_not_empty",
        passed=is_page and rendered.size_bytes > SMALLEST_PAGE_BYTES,
        metadata={"bytes": rendered.size_bytes},
    )
