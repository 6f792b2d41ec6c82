"""What lives exactly as long as a run: a folder for its files, and its connection for progress."""

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

from dagster import InitResourceContext, IOManagerDefinition, ResourceDefinition

from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.run_tags import delivery_of
from vis_assets.resources.artifacts import ArtifactIOManager
from vis_assets.resources.compute.contract import Compute, InProcess
from vis_assets.resources.object_store import ObjectStore
from vis_assets.resources.progress import NatsProgress, Progress
from vis_assets.settings import Settings

SCRATCH_PREFIX = "vis-assets-run-"


def scratch_folder(run_id: str) -> Path:
    """Where a run keeps its files; its name leads to the run."""
    return Path(tempfile.gettempdir()) / f"{SCRATCH_PREFIX}{run_id}"


def scratch_folders() -> Iterator[tuple[Path, str]]:
    """The folders of runs on this machine, each with the run's id."""
    for folder in Path(tempfile.gettempdir()).glob(f"{SCRATCH_PREFIX}*"):
        yield folder, folder.name.removeprefix(SCRATCH_PREFIX)


def scratch_resource() -> ResourceDefinition:
    """A folder for memory-mapped arrays and files on their way to the store, removed when the run ends.

    That of a run that was killed is removed by its lease keeper, or by the sensor `retention`.
    """

    def open_folder(context: InitResourceContext) -> Iterator[Path]:
        folder = scratch_folder(context.run_id or uuid.uuid4().hex)
        folder.mkdir(mode=0o700, exist_ok=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return ResourceDefinition(open_folder, description="Folder for the files of one run.")


def progress_resource(settings: Settings) -> ResourceDefinition:
    """Progress over NATS, flushed and disconnected when the run ends."""

    def open_progress(_context: InitResourceContext) -> Iterator[Progress]:
        progress = NatsProgress(NatsAccess.of(settings), settings.result_subject)
        try:
            yield progress
        finally:
            progress.close()

    return ResourceDefinition(open_progress, description="Publishes how far a job is.")


def lease_resource(settings: Settings) -> ResourceDefinition:
    """The lease keeper of a run that a job asked for: says that this process is alive, and ends it when told."""

    def keep_lease(context: InitResourceContext) -> Iterator[None]:
        run = context.dagster_run
        delivery = delivery_of(run.tags, is_copy=run.parent_run_id is not None) if run is not None else None
        if run is None or delivery is None:
            yield None
            return
        watched = [run.run_id, delivery.job_id, str(delivery.attempt), str(os.getpid())]
        scratch = str(scratch_folder(run.run_id))
        command = [sys.executable, "-m", "vis_assets.delivery.lease_keeper", *watched]
        environment = {**os.environ, **settings.nats_variables}
        keeper = subprocess.Popen([*command, str(settings.processing_timeout_secs), scratch], env=environment)  # noqa: S603 - ours
        try:
            yield None
        finally:
            keeper.terminate()
            keeper.wait()

    return ResourceDefinition(keep_lease, description="Keeps the lease of a run that a job asked for.")


def compute_resource(settings: Settings, store: ObjectStore) -> ResourceDefinition:
    """Where the heavy work of a run is done; what still works when the run ends, in whatever way, is ended too."""

    def open_compute(context: InitResourceContext) -> Iterator[Compute]:
        address = settings.dask_scheduler
        if settings.compute == "in-process" or address is None:
            yield InProcess()
            return
        from vis_assets.resources.compute.dask_compute import DaskCompute

        compute = DaskCompute(address, context.run_id or uuid.uuid4().hex, context.resources.scratch, store)
        try:
            yield compute
        finally:
            compute.close()

    return ResourceDefinition(
        open_compute, required_resource_keys={"scratch"}, description="Runs what takes long, in process or on Dask."
    )


def artifact_io_manager(store: ObjectStore) -> IOManagerDefinition:
    """The IO manager of arrays and tables, with the run's folder and the values of the run."""

    def make(context: InitResourceContext) -> ArtifactIOManager:
        return ArtifactIOManager(store, context.resources.scratch)

    return IOManagerDefinition(make, required_resource_keys={"scratch"}, description="Values of assets in the store.")
