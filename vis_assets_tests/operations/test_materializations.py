"""What is read from Dagster's own records."""

from pathlib import Path
from typing import Any

from dagster import AssetMaterialization, DagsterInstance, MetadataValue

from vis_assets.operations.materializations import Materializations
from vis_assets.operations.naming_totals import ModelTotals

USED = {"calls": 4, "failed_calls": 1, "input_tokens": 900, "output_tokens": 80, "cost_usd": 0.02}
TOLD = {"named_by": {"openai/gpt-4": 7, "keyphrases": 1}, "cache_hits": 3, "by_model": {"openai/gpt-4": USED}}


def report(instance: DagsterInstance, asset: str, **metadata: Any) -> None:
    instance.report_runless_asset_event(AssetMaterialization(asset, metadata=metadata, partition=None))


def test_new_materializations_are_counted_once(tmp_path: Path) -> None:
    """Durations of stages and the usage of language models are summed, each materialization once."""
    read = Materializations(tmp_path)
    with DagsterInstance.ephemeral() as instance:
        report(instance, "vectors", duration_seconds=0.2)
        report(instance, "cluster_names", duration_seconds=2.0, llm_usage=MetadataValue.json(TOLD))
        for _ in range(2):
            read.read(instance)
        assert read.durations["vectors"].seconds == 0.2
        assert read.naming.named == {"openai/gpt-4": 7, "keyphrases": 1}
        report(instance, "cluster_names", duration_seconds=1.0, llm_usage=MetadataValue.json(TOLD))
        read.read(instance)
    assert sum(read.durations["cluster_names"].counts) == 2
    assert read.naming.remembered == 6
    assert read.naming.models == {"openai/gpt-4": ModelTotals(6, 2, 1800, 160, 0.04)}


def test_records_of_earlier_versions_are_read(tmp_path: Path) -> None:
    """Materializations without the usage of language models, or with none that can be read, count as stages only."""
    read = Materializations(tmp_path)
    with DagsterInstance.ephemeral() as instance:
        report(instance, "cluster_names", duration_seconds=2.0)
        report(instance, "cluster_names", llm_usage="a text")
        read.read(instance)
    assert sum(read.durations["cluster_names"].counts) == 1
    assert read.naming.models == {}
