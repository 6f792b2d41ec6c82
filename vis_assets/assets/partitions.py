"""What all assets of the graph share: their partitions, group, owners and resources."""

import warnings
from collections.abc import Sequence
from typing import Any

import pandas as pd
from dagster import (
    AssetCheckSpec,
    AssetExecutionContext,
    DynamicPartitionsDefinition,
    TableColumn,
    TableMetadataValue,
    TableRecord,
    TableSchema,
)
from dagster_shared.utils.warnings import PreviewWarning

from vis_assets.errors import PointsMismatch
from vis_assets.protocol.stages import Stage
from vis_assets.resources.progress import Progress, Report
from vis_assets.resources.specs import Spec

visualization_transforms = DynamicPartitionsDefinition(name="visualization_transform_id")
"""One partition per visualization transform: one map, made again as often as its owner asks."""

GROUP = "visualization"
OWNERS = ("team:vis-assets",)
SPEC_IO = "spec_io_manager"
ARTIFACT_IO = "artifact_io_manager"
PAGE_IO = "page_io_manager"


def check_specs(asset: str, descriptions: dict[str, str]) -> Sequence[AssetCheckSpec]:
    """Declare the checks of an asset, partition by partition, so that one map's pass never hides another's failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PreviewWarning)
        return [
            AssetCheckSpec(name, asset=asset, description=text, partitions_def=visualization_transforms)
            for name, text in descriptions.items()
        ]


def report_to(context: AssetExecutionContext, progress: Progress, spec: Spec, stage: Stage) -> Report:
    """Return where this stage of this run reports its progress."""
    return progress.of(context.run, spec, stage)


def require_same_points(ids: Sequence[str], table: pd.DataFrame, asset: str) -> None:
    """Refuse to join two assets that speak of different points.

    Raises:
        PointsMismatch: the asset was made from an earlier fetch.
    """
    if len(ids) != len(table) or not (table["id"].to_numpy() == ids).all():
        raise PointsMismatch(
            f"{asset} was made from other points than the vectors of today; "
            f"materialize {asset} and everything after it again"
        )


def table_metadata(rows: Sequence[dict[str, Any]], columns: dict[str, str]) -> TableMetadataValue:
    """Show rows as a table in the Dagster UI.

    Args:
        rows: one dict a row.
        columns: column name -> "string", "int" or "float".
    """
    schema = TableSchema([TableColumn(name, kind) for name, kind in columns.items()])
    return TableMetadataValue([TableRecord(row) for row in rows], schema)
