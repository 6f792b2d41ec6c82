"""Deleting a map: its objects, its place in the gallery, its specs with their sealed secrets, and its partition."""

from dataclasses import dataclass

from dagster import DagsterInstance, RunsFilter

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.errors import InvalidJob, PermanentError
from vis_assets.resources.content_types import PAGE
from vis_assets.resources.gallery import update_gallery
from vis_assets.resources.name_books import NAMES
from vis_assets.resources.object_store import ObjectStore
from vis_assets.resources.pages import ROOT, gallery_folder
from vis_assets.sensors.ended_runs import ACTIVE


@dataclass(frozen=True)
class Doomed:
    """What belongs to a map.

    Attributes:
        partition: its visualization_transform_id.
        keys: its objects.
        has_partition: whether Dagster knows it.
    """

    partition: str
    keys: tuple[str, ...]
    has_partition: bool

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to delete."""
        return not self.keys and not self.has_partition


def find(partition: str, store: ObjectStore, instance: DagsterInstance) -> Doomed:
    """Find what belongs to a map; owners are not known here, so their folders are looked through.

    Raises:
        InvalidJob: the id is no whole number.
    """
    if not (partition.isascii() and partition.isdigit()):
        raise InvalidJob(f"{partition!r} is no visualization_transform_id; give a whole number")
    keys = list(store.keys(f"specs/{partition}/"))
    keys += [key for key in store.keys("assets/") if key.split("/")[2:3] == [partition]]
    keys += [key for key in store.keys(f"{ROOT}/") if key.split("/")[2:3] == [partition]]
    keys += [key for key in store.keys(f"{NAMES}/") if key.endswith(f"/{partition}.parquet")]
    return Doomed(partition, tuple(keys), instance.has_dynamic_partition(_partitions_name(), partition))


def delete(doomed: Doomed, store: ObjectStore, instance: DagsterInstance) -> None:
    """Delete it: pages first, so that nobody opens half a map; the partition last, so that a second try finds it.

    Raises:
        PermanentError: a run works on it.
    """
    running = instance.get_run_records(
        RunsFilter(tags={"dagster/partition": doomed.partition}, statuses=ACTIVE), limit=1
    )
    if running:
        run_id = running[0].dagster_run.run_id
        raise PermanentError(
            f"run {run_id} works on map {doomed.partition}; wait for its end or cancel it, then delete again"
        )
    for key in sorted(doomed.keys, key=lambda key: (not key.startswith(f"{ROOT}/"), not key.endswith(PAGE), key)):
        store.delete(key)
    for owner in sorted({key.split("/")[1] for key in doomed.keys if key.startswith(f"{ROOT}/")}):
        update_gallery(store, gallery_folder(owner))
    if doomed.has_partition:
        instance.delete_dynamic_partition(_partitions_name(), doomed.partition)


def _partitions_name() -> str:
    return str(visualization_transforms.name)
