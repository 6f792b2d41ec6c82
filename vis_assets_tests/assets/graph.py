"""The real graph on files: resources over a folder, and which assets of it to run."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from dagster import AssetCheckEvaluation, DagsterInstance, ExecuteInProcessResult, materialize

from vis_assets.definitions import ASSETS
from vis_assets.delivery.settle import outcome_of
from vis_assets.protocol.job import parse_job
from vis_assets.protocol.result import Outcome
from vis_assets.protocol.stages import Stage
from vis_assets.resources import build_resources
from vis_assets.resources.progress import CallbackProgress
from vis_assets.sensors.ended_runs import describe
from vis_assets.settings import Settings

PARTITION = "7"
ALL = ("visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map")


def groups(*sizes: int, seed: int = 0, dimension: int = 8) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Well separated groups of vectors of these sizes."""
    rng = np.random.default_rng(seed)
    centres = np.repeat(rng.normal(size=(len(sizes), dimension)), sizes, axis=0)
    return (centres + 0.02 * rng.normal(size=centres.shape)).astype(np.float32)


@dataclass
class Graph:
    """One installation with one map, whose points lie in a Parquet file."""

    folder: Path
    instance: DagsterInstance
    steps: list[tuple[Stage, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Build the resources and make the partition."""
        settings = Settings(
            VIS_ASSETS_HOME=self.folder / "home",
            VIS_ASSETS_STORE_DIR=self.folder / "store",
            VIS_ASSETS_LOCAL_ROOT=self.folder,
            VIS_ASSETS_PUBLIC_URL="https://maps.example.com",
            VIS_ASSETS_ALLOWED_HOSTS="127.0.0.1",
            # Too short to wait for a model that is away.
            VIS_ASSETS_LLM_TOTAL_SECS=10.0,
        ).model_copy(update={"s3_bucket_name": None})
        self.resources = build_resources(
            settings, CallbackProgress(lambda stage, step: self.steps.append((stage, step)))
        )
        self.instance.add_dynamic_partitions("visualization_transform_id", [PARTITION])

    def fill(self, vectors: Any, texts: Sequence[str | None] | None = None, first_id: int = 0) -> None:
        """Write the collection."""
        count = len(vectors)
        table = {
            "id": [str(first_id + i) for i in range(count)],
            "text": list(texts) if texts is not None else [f"text about topic {i % 7}" for i in range(count)],
            "vector": pa.array(list(vectors), pa.list_(pa.float32())),
        }
        pq.write_table(pa.table(table), self.folder / "points.parquet")

    def ask(self, job_id: str = "job", database: Any = None, llm_config: Any = None, **config: Any) -> None:
        """Store the spec of a job, on the file unless another database is given."""
        job = {
            "job_id": job_id,
            "visualization_transform_id": int(PARTITION),
            "visualization_id": 8,
            "owner": "o",
            "qdrant_collection_name": "points",
            "visualization_config": config,
            "llm_config": llm_config,
            "vector_database_config": database
            or {
                "database_type": "parquet",
                "connection_url": (self.folder / "points.parquet").as_uri(),
            },
        }
        self.resources["specs"].save(parse_job(job))

    def run(self, *selection: str) -> ExecuteInProcessResult:
        """Materialize these assets, or all."""
        self.steps.clear()
        return materialize(
            ASSETS,
            selection=list(selection or ALL),
            partition_key=PARTITION,
            instance=self.instance,
            resources=self.resources,
            raise_on_error=False,
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        )

    def place(self, coordinates: Any) -> None:
        """Put a layout of our own in the place of UMAP's: the stages after it start from there."""
        from dagster import asset

        from vis_assets.assets.partitions import ARTIFACT_IO, visualization_transforms

        places = np.asarray(coordinates, dtype=np.float32)

        @asset(name="embedding_2d", partitions_def=visualization_transforms, io_manager_key=ARTIFACT_IO)
        def given_layout() -> pd.DataFrame:
            table = pd.DataFrame({"id": [str(i) for i in range(len(places))], "x": places[:, 0], "y": places[:, 1]})
            table.attrs = {"notes": [], "seconds": 0.0}
            return table

        materialize([given_layout], partition_key=PARTITION, instance=self.instance, resources=self.resources)

    def steps_of(self, stage: Stage) -> list[int]:
        """Percents that a stage reported in the last run."""
        return [percent for reported, percent in self.steps if reported is stage]


def checks(result: ExecuteInProcessResult) -> dict[str, AssetCheckEvaluation]:
    """The checks of a run by name."""
    return {check.check_name: check for check in result.get_asset_check_evaluations()}


def outcome(graph: Graph, result: ExecuteInProcessResult) -> Outcome:
    """What the sender would be told."""
    return outcome_of(describe(graph.instance, result.run_id))


def metadata(result: ExecuteInProcessResult, asset: str) -> dict[str, Any]:
    """What an asset's materialization says."""
    (materialization,) = result.asset_materializations_for_node(asset)
    return {name: value.value for name, value in materialization.metadata.items()}
