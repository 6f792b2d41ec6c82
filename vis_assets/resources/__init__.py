"""Dagster resources: the object store and its IO managers, job specs, points, language models, compute, progress."""

from typing import Any

from vis_assets.protocol.subjects import check_template
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.resources.language_models import LanguageModels
from vis_assets.resources.name_books import NameBooks
from vis_assets.resources.object_store import open_store
from vis_assets.resources.pages import PageIOManager
from vis_assets.resources.progress import Progress
from vis_assets.resources.run_scope import (
    artifact_io_manager,
    compute_resource,
    lease_resource,
    progress_resource,
    scratch_resource,
)
from vis_assets.resources.run_spec import RunSpecIOManager, RunSpecs
from vis_assets.resources.sealing import open_sealer
from vis_assets.resources.specs import SpecStore
from vis_assets.resources.vector_database import VectorDatabase
from vis_assets.settings import Settings


def build_resources(settings: Settings, progress: Progress | None = None) -> dict[str, Any]:
    """Build everything that assets and sensors need, by resource key; nothing is connected yet.

    Args:
        settings: of this installation.
        progress: who hears how far a job is; None publishes to NATS.

    Raises:
        InvalidSetting: a sealing key or a subject template is malformed.
    """
    store = open_store(settings)
    specs = SpecStore(store, open_sealer(settings))
    run_specs = RunSpecs(specs)
    check_template(settings.result_subject)
    return {
        "settings": settings,
        "specs": specs,
        "jobs": DeliveredJobs(store, specs),
        "run_specs": run_specs,
        "scratch": scratch_resource(),
        "lease": lease_resource(settings),
        "compute": compute_resource(settings, store),
        "vector_database": VectorDatabase(settings, specs),
        "language_models": LanguageModels(settings, specs),
        "name_books": NameBooks(store),
        "progress": progress or progress_resource(settings),
        "spec_io_manager": RunSpecIOManager(run_specs),
        "artifact_io_manager": artifact_io_manager(store),
        "page_io_manager": PageIOManager(store, run_specs),
    }
