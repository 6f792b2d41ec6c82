"""A map of a file, without NATS: the same assets, run in this process, on a folder."""

import json
import tempfile
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagster import DagsterInstance, materialize

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.definitions import ASSETS
from vis_assets.delivery.settle import outcome_of
from vis_assets.errors import InvalidJob, PermanentError
from vis_assets.protocol.job import parse_job
from vis_assets.protocol.result import Outcome, Status
from vis_assets.protocol.stages import Stage
from vis_assets.resources import build_resources
from vis_assets.resources.content_types import CARD, NAMES, POINTS, THUMBNAIL
from vis_assets.resources.name_books import NameBooks
from vis_assets.resources.object_store import open_store
from vis_assets.resources.pages import MapPage
from vis_assets.resources.progress import CallbackProgress
from vis_assets.sensors.ended_runs import describe
from vis_assets.settings import Settings, load_settings

OWNER = "local"
_NUMBER = 1
"""Of the transform and the visualization, which in a folder of one map say nothing."""
_NAMES = {
    f"{_NUMBER}{THUMBNAIL}": "map.png",
    f"{_NUMBER}{POINTS}": "points.parquet",
    f"{_NUMBER}{NAMES}": "names.parquet",
}
_ELSEWHERE = {f"{_NUMBER}{CARD}"}
"""What `stats.json` tells."""


@dataclass(frozen=True)
class FileMap:
    """What `vis-assets map` wrote."""

    html: Path
    points: Path
    stats_file: Path
    point_count: int
    cluster_count: int
    stats: dict[str, Any]


def map_file(source: Path, target: Path, config: dict[str, Any], on_progress: Callable[[Stage, int], None]) -> FileMap:
    """Make the map of a file.

    Args:
        source: `X.parquet` with columns id, text, vector; or `X.npy` with `X.jsonl` beside it.
        target: folder for `map.html`, `map.png`, `points.parquet`, `names.parquet` and `stats.json`; created when
            needed.
        config: a `visualization_config`.
        on_progress: called with stage and percent.

    Raises:
        InvalidJob: the file is of no known kind, or the configuration is invalid.
        PermanentError: whatever stopped the map, in the words of its stage.
    """
    kind = source.suffix.lower().lstrip(".")
    if kind not in {"parquet", "npy"} or not source.is_file():
        what = "is no file" if not source.is_file() else "is of no known kind"
        raise InvalidJob(f"{source} {what}; give a .parquet (id, text, vector) or a .npy with a .jsonl beside it")
    parsed = parse_job(_job(source.resolve(), kind, config))
    with tempfile.TemporaryDirectory(prefix="vis-assets-map-") as folder:
        settings = Settings(
            VIS_ASSETS_HOME=Path(folder),
            VIS_ASSETS_STORE_DIR=Path(folder) / "store",
            VIS_ASSETS_LOCAL_ROOT=source.resolve().parent,
        ).model_copy(update={"s3_bucket_name": None, "compute": "in-process"})
        resources = build_resources(settings, CallbackProgress(on_progress))
        # What a language model is paid for outlives the folder: it lies in the store of the installation.
        resources["name_books"] = NameBooks(open_store(load_settings()))
        resources["specs"].save(parsed)
        page, outcome = _materialize(parsed.job.partition_key, resources)
    return _write(page, outcome, target)


def _job(source: Path, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "job_id": uuid.uuid4().hex,
        "visualization_transform_id": _NUMBER,
        "visualization_id": _NUMBER,
        "owner": OWNER,
        "qdrant_collection_name": source.stem[:255],
        "visualization_config": config,
        "vector_database_config": {"database_type": kind, "connection_url": source.as_uri()},
    }


def _materialize(partition: str, resources: dict[str, Any]) -> tuple[MapPage, Outcome]:
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(str(visualization_transforms.name), [partition])
        result = materialize(
            ASSETS,
            partition_key=partition,
            instance=instance,
            resources=resources,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )
        outcome = outcome_of(describe(instance, result.run_id))
    if outcome.status is not Status.COMPLETED:
        raise PermanentError(outcome.error)
    return result.asset_value("html_map"), outcome


def _write(page: MapPage, outcome: Outcome, target: Path) -> FileMap:
    target.mkdir(parents=True, exist_ok=True)
    for name, body in page.data_files.items():
        if name not in _ELSEWHERE:
            (target / _NAMES.get(name, name)).write_bytes(body)
    made = FileMap(
        html=target / "map.html",
        points=target / "points.parquet",
        stats_file=target / "stats.json",
        point_count=outcome.point_count,
        cluster_count=outcome.cluster_count,
        stats=outcome.stats,
    )
    made.html.write_bytes(page.html)
    made.stats_file.write_text(json.dumps(outcome.stats, indent=2) + "\n")
    return made
