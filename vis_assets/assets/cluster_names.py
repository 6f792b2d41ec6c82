"""The names: what each cluster is about."""

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from dagster import AssetCheckResult, AssetExecutionContext, MetadataValue, Output, ResourceParam, asset

from vis_assets.assets.partitions import (
    ARTIFACT_IO,
    GROUP,
    OWNERS,
    check_specs,
    report_to,
    require_same_points,
    visualization_transforms,
)
from vis_assets.llm.ledger import Usage
from vis_assets.mapping.exemplars import gather_evidence
from vis_assets.mapping.keyphrases import extract_layer_keyphrases
from vis_assets.naming.evidence import ClusterEvidence, collect_evidence
from vis_assets.naming.name_clusters import Naming, NamingPlan, OnProgress, name_clusters, number_clusters
from vis_assets.naming.prompt import Style
from vis_assets.naming.report import describe_naming, markdown_table
from vis_assets.page.points_table import layer_columns
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.visualization_config import TopicNames
from vis_assets.resources.compute.contract import Compute
from vis_assets.resources.language_models import Dialogue, LanguageModels
from vis_assets.resources.name_books import NameBooks
from vis_assets.resources.progress import Progress
from vis_assets.resources.specs import Spec
from vis_assets.settings import Settings
from vis_assets.sources.points import PointSet

_log = logging.getLogger(__name__)

MOST_NOTES = 5
EVIDENCE_SHARE = 0.3
"""Of this stage's progress, what is reached when the evidence is gathered."""
CHECKS = {"names_unique": "No two clusters of any layers have the same name."}


@asset(
    partitions_def=visualization_transforms,
    group_name=GROUP,
    owners=OWNERS,
    kinds={"llm", "parquet"},
    code_version="3",
    io_manager_key=ARTIFACT_IO,
    check_specs=check_specs("cluster_names", CHECKS),
    description=(
        "One row per cluster and layer (0 = the finest): its name and who gave it, the cluster of the next layer that "
        "it is in, keyphrases, size, and ids and texts of its most typical points."
    ),
)
def cluster_names(
    context: AssetExecutionContext,
    visualization_job: Spec,
    vectors: PointSet,
    cluster_labels: pd.DataFrame,
    language_models: ResourceParam[LanguageModels],
    name_books: ResourceParam[NameBooks],
    settings: ResourceParam[Settings],
    compute: ResourceParam[Compute],
    progress: ResourceParam[Progress],
) -> Iterator[Output[pd.DataFrame] | AssetCheckResult]:
    """Name the clusters by a language model where there is one, else by their keyphrases."""
    started = time.perf_counter()
    report = report_to(context, progress, visualization_job, Stage.NAMING_CLUSTERS)
    report(0, 1)
    ids = vectors.table["id"].to_numpy(zero_copy_only=False)
    require_same_points(ids, cluster_labels, "cluster_labels")
    mode = visualization_job.job.visualization_config.topic_names or settings.topic_names
    texts: Sequence[str] = vectors.table["text"].to_pylist()
    clusters = _gather(visualization_job, vectors, texts, cluster_labels, compute, with_sketches=mode == "llm")

    def on_progress(done: float, total: float) -> None:
        report(EVIDENCE_SHARE + (1 - EVIDENCE_SHARE) * done / total, 1)

    on_progress(0, 1)
    with language_models.open(visualization_job, is_wanted=mode == "llm") as dialogue:
        naming = _name(visualization_job, clusters, mode, dialogue, name_books, settings, on_progress)
        usage = dialogue.ledger.usage
    table = _table(clusters, naming, ids, texts)
    seconds = round(time.perf_counter() - started, 3)
    told = describe_naming(naming.names, usage)
    notes = [*dialogue.notes, *naming.notes, *_notes_on_models(naming, usage)]
    table.attrs = {"notes": notes, "seconds": seconds, "naming": told}
    context.log.info("named %d clusters in %.2f s: %s", len(table), seconds, told["named_by"])
    report(1, 1)
    yield Output(table, metadata=_describe(table))
    yield AssetCheckResult(check_name="names_unique", passed=bool(table["name"].is_unique))


def _gather(
    spec: Spec,
    vectors: PointSet,
    texts: Sequence[str],
    cluster_labels: pd.DataFrame,
    compute: Compute,
    *,
    with_sketches: bool,
) -> list[ClusterEvidence]:
    """Collect what the names are made of."""
    config = spec.job.visualization_config
    columns = ("cluster", *layer_columns(cluster_labels))
    layers = tuple(cluster_labels[name].to_numpy(dtype=np.int32) for name in columns)
    keyphrases = compute.run(extract_layer_keyphrases, texts, layers)
    found = compute.run(
        gather_evidence,
        vectors.vectors,
        layers,
        texts,
        metric=config.metric,
        per_cluster=config.samples_per_cluster,
    )
    return collect_evidence(layers, texts, keyphrases, found, with_sketches=with_sketches)


def _name(
    spec: Spec,
    clusters: Sequence[ClusterEvidence],
    mode: TopicNames | str,
    dialogue: Dialogue,
    name_books: NameBooks,
    settings: Settings,
    on_progress: OnProgress,
) -> Naming:
    if mode == "numbers":
        return number_clusters(clusters)
    if dialogue.chain is None:
        return name_clusters(clusters)
    config = spec.job.visualization_config
    style = Style(
        prompt=config.topic_naming_prompt,
        language=config.topic_language,
        sample_tokens=config.llm_sample_tokens,
        samples=config.samples_per_cluster,
    )
    plan = NamingPlan(style, config.llm_batch_size, dialogue.max_input_tokens, settings.llm_concurrency)
    opened = name_books.open(spec.job)
    book = opened.book if config.reuse_names else None
    try:
        return name_clusters(clusters, dialogue.chain, plan, book, on_progress, opened.remember)
    except Exception as error:  # noqa: BLE001 - logged and told; no job may fail for a defect in naming by models
        _log.exception("job %s: clusters are named by keyphrases", spec.job.job_id)
        told = f"clusters are named by keyphrases, since asking a language model ended with {type(error).__name__}"
        return replace(name_clusters(clusters), notes=(told,))


def _notes_on_models(naming: Naming, usage: Usage) -> list[str]:
    """Say which models did not answer, where others did: nobody sees that by the names."""
    if naming.notes:
        return []
    return [
        f"language model {fallback.model} left {fallback.requests} requests to others: {fallback.reason}"
        for fallback in usage.fallbacks[:MOST_NOTES]
        if fallback.model in usage.by_model
    ]


def _table(clusters: Sequence[ClusterEvidence], naming: Naming, ids: Any, texts: Sequence[str]) -> pd.DataFrame:
    columns = {
        "layer": np.array([cluster.layer for cluster in clusters], dtype=np.int32),
        "cluster": np.array([cluster.label for cluster in clusters], dtype=np.int32),
        "parent": np.array([cluster.parent for cluster in clusters], dtype=np.int32),
        "name": [name.name for name in naming.names],
        "keyphrases": [list(cluster.keyphrases) for cluster in clusters],
        "size": np.array([cluster.size for cluster in clusters], dtype=np.int64),
        "exemplar_ids": [[ids[row] for row in cluster.exemplars] for cluster in clusters],
        "exemplar_texts": [[texts[row] for row in cluster.exemplars] for cluster in clusters],
        "named_by": [name.named_by for name in naming.names],
        "is_remembered": np.array([name.is_remembered for name in naming.names], dtype=bool),
    }
    return pd.DataFrame(columns)


def _describe(table: pd.DataFrame) -> dict[str, Any]:
    told = table.attrs["naming"]
    counts = table["layer"].value_counts().sort_index()
    return {
        "cluster_count": int(counts.get(0, 0)),
        "clusters_by_layer": [int(count) for count in counts] or [0],
        "clusters": MetadataValue.md(markdown_table(table)),
        "named_by": told["named_by"],
        "llm_calls": told["calls"],
        "llm_tokens": told["input_tokens"] + told["output_tokens"],
        "llm_cost_usd": told["cost_usd"] if told["cost_usd"] is not None else "unknown",
        "llm_fallbacks": [f"{one['model']} ({one['requests']} requests): {one['reason']}" for one in told["fallbacks"]],
        "names_remembered": told["cache_hits"],
        "llm_usage": MetadataValue.json(told),
        "notes": table.attrs["notes"],
        "duration_seconds": table.attrs["seconds"],
    }
