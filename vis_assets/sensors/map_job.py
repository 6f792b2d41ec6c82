"""The job that makes one map: every asset of the graph, for one partition."""

from dagster import AssetSelection, define_asset_job

from vis_assets.assets.partitions import GROUP, visualization_transforms

visualization_map = define_asset_job(
    "visualization_map",
    selection=AssetSelection.groups(GROUP),
    partitions_def=visualization_transforms,
    description="Makes the map of one visualization transform: fetch, lay out, cluster, name, render.",
)
