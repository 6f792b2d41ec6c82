"""The assembled definitions: every asset, check and sensor as the Dagster UI shows it."""

import pytest
from dagster import AssetKey, AssetSpec, DefaultSensorStatus, SensorDefinition, in_process_executor

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.definitions import ASSETS, SENSORS, defs

SNAPSHOT = {
    "visualization_job": (set(), {"nats", "json"}, set()),
    "vectors": (
        {"visualization_job"},
        {"qdrant", "numpy"},
        {"vectors_present", "vectors_finite", "vectors_of_one_dimension"},
    ),
    "embedding_2d": ({"visualization_job", "vectors"}, {"umap", "parquet"}, set()),
    "cluster_labels": (
        {"visualization_job", "embedding_2d"},
        {"hdbscan", "parquet"},
        {"noise_share", "every_point_labelled"},
    ),
    "cluster_names": (
        {"visualization_job", "vectors", "cluster_labels"},
        {"llm", "parquet"},
        {"names_unique"},
    ),
    "html_map": (
        {"visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names"},
        {"html"},
        {"page_not_empty"},
    ),
}
"""Asset -> what it is made from, its kinds, its checks."""
SPECS: dict[str, AssetSpec] = {spec.key.to_user_string(): spec for asset in ASSETS for spec in asset.specs}


def test_assets_are_the_six_of_the_design() -> None:
    """The graph has exactly the fixed names, in the order data flows."""
    assert list(SPECS) == list(SNAPSHOT)
    assert list(SPECS) == [
        "visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map",
    ]  # fmt: skip


@pytest.mark.parametrize("name", SNAPSHOT)
def test_asset_is_as_declared(name: str) -> None:
    """Each asset has its upstreams, kinds, group, owners, code version, description and partitions."""
    upstream, kinds, _ = SNAPSHOT[name]
    spec = SPECS[name]
    assert {dep.asset_key.to_user_string() for dep in spec.deps} == upstream
    assert set(spec.kinds) == kinds
    assert spec.group_name == "visualization"
    assert list(spec.owners) == ["team:vis-assets"]
    assert spec.code_version
    assert spec.description
    assert spec.description.endswith(".")
    assert spec.partitions_def == visualization_transforms


def test_partitions_are_dynamic_by_transform_id() -> None:
    """The partitions definition has the fixed name."""
    assert visualization_transforms.name == "visualization_transform_id"


def test_checks_are_partitioned() -> None:
    """Each asset has its checks, each with a description and judged partition by partition."""
    checks = [check for asset in ASSETS for check in asset.check_specs]
    found = {(check.asset_key.to_user_string(), check.name) for check in checks}
    assert found == {(name, check) for name, (_, _, names) in SNAPSHOT.items() for check in names}
    assert all(check.partitions_def == visualization_transforms and check.description for check in checks)


def test_sensors_run_from_the_start() -> None:
    """The four doors and the housekeeping have their names, are on by default and say what they do."""
    names = ["job_queue", "run_succeeded", "run_failed", "run_canceled", "retention"]
    assert [sensor.name for sensor in SENSORS] == names
    for sensor in SENSORS:
        assert isinstance(sensor, SensorDefinition)
        assert sensor.default_status is DefaultSensorStatus.RUNNING
        assert sensor.description
        assert sensor.minimum_interval_seconds == (300 if sensor.name == "retention" else 1)


def test_the_job_makes_the_whole_graph() -> None:
    """The job that messages start selects every asset, for one partition, in one process."""
    job = defs.resolve_job_def("visualization_map")
    assert job.partitions_def == visualization_transforms
    assert set(job.asset_layer.selected_asset_keys) == {AssetKey(name) for name in SNAPSHOT}
    assert defs.executor is in_process_executor


def test_definitions_load() -> None:
    """Dagster finds no contradiction in the definitions."""
    from dagster import Definitions

    Definitions.validate_loadable(defs)
