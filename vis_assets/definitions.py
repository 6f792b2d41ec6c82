"""Assembly, and nothing else: assets, sensors, resources, executor."""

from dagster import Definitions, in_process_executor

from vis_assets.assets.cluster_labels import cluster_labels
from vis_assets.assets.cluster_names import cluster_names
from vis_assets.assets.embedding_2d import embedding_2d
from vis_assets.assets.html_map import html_map
from vis_assets.assets.vectors import vectors
from vis_assets.assets.visualization_job import visualization_job
from vis_assets.resources import build_resources
from vis_assets.sensors.job_queue import job_queue
from vis_assets.sensors.map_job import visualization_map
from vis_assets.sensors.retention import retention
from vis_assets.sensors.run_status import run_canceled, run_failed, run_succeeded
from vis_assets.settings import load_settings

ASSETS = [visualization_job, vectors, embedding_2d, cluster_labels, cluster_names, html_map]
SENSORS = [job_queue, run_succeeded, run_failed, run_canceled, retention]

defs = Definitions(
    assets=ASSETS,
    jobs=[visualization_map],
    sensors=SENSORS,
    resources=build_resources(load_settings()),
    executor=in_process_executor,
)
