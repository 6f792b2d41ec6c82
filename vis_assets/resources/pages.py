"""The public objects of a map, and where they belong.

    visualizations/{owner}/index.html                       gallery of the owner
    visualizations/{owner}/index.json                       the cards of the maps that it shows
    visualizations/{owner}/{visualization_transform_id}/
        {visualization_id}.html                             page
        {visualization_id}.png                              picture, 960 x 720
        {visualization_id}.json                             card: title, counts, date, job
        {visualization_id}.points.parquet                   where the points lie and which clusters hold them
        {visualization_id}.names.parquet                    the clusters: names, keyphrases, exemplars

Of a page without its data inside (`inline_data: false`), these lie in the same folder.
"""

from dataclasses import dataclass, field
from datetime import datetime

from dagster import InputContext, IOManager, OutputContext

from vis_assets.delivery.run_tags import Delivery, delivery_of
from vis_assets.errors import PermanentError
from vis_assets.page import texts
from vis_assets.page.gallery import MapCard
from vis_assets.protocol.job import VisualizationTransformJob
from vis_assets.resources.content_types import CARD, HTML, NAMES, PAGE, POINTS, THUMBNAIL, content_type
from vis_assets.resources.gallery import update_gallery
from vis_assets.resources.object_store import ObjectStore, check_key
from vis_assets.resources.run_spec import RunSpecs

ROOT = "visualizations"
ATTEMPTS = "attempts"
_TITLE_CHARACTERS = 300


@dataclass(frozen=True)
class MapPage:
    """A page and where it belongs.

    Attributes:
        key: object key of the page.
        html: the page.
        data_files: name -> bytes of the files that lie beside the page.
        metadata: what is stored with the page, plain ASCII.
    """

    key: str
    html: bytes = field(repr=False)
    data_files: dict[str, bytes] = field(default_factory=dict, repr=False)
    metadata: dict[str, str] = field(default_factory=dict)


def gallery_folder(owner: str) -> str:
    """Key prefix of all maps of an owner, without the last slash; the gallery lies in it.

    Raises:
        PermanentError: the owner would leave its folder.
    """
    if "/" in owner:
        raise PermanentError(f"owner {owner[:80]!r} is not allowed: it would leave its folder")
    return check_key(f"{ROOT}/{owner}")


def folder_of(owner: str, partition_key: str) -> str:
    """Key prefix of all pages of a transform, without the last slash."""
    return check_key(f"{gallery_folder(owner)}/{partition_key}")


def page_key(job: VisualizationTransformJob) -> str:
    """Object key of a job's page."""
    return f"{folder_of(job.owner, job.partition_key)}/{job.visualization_id}{PAGE}"


def files_around(
    job: VisualizationTransformJob,
    *,
    thumbnail: bytes,
    points_file: bytes,
    names_file: bytes,
    points: int,
    clusters: int,
    made_at: datetime,
) -> dict[str, bytes]:
    """Name what lies beside every page: `{visualization_id}` and .png, .points.parquet, .names.parquet and .json.

    Args:
        job: whose map it is.
        thumbnail: PNG.
        points_file: Parquet, see `page.points_table`.
        names_file: Parquet, see `page.names_table`.
        points: number of points.
        clusters: number of clusters of the finest layer.
        made_at: when the page was made, with a time zone.
    """
    title = texts.clean_start(job.visualization_config.title or job.qdrant_collection_name, _TITLE_CHARACTERS)
    card = MapCard(title=title, points=points, clusters=clusters, made_at=made_at, job_id=job.job_id)
    name = str(job.visualization_id)
    return {
        name + THUMBNAIL: thumbnail,
        name + POINTS: points_file,
        name + NAMES: names_file,
        name + CARD: card.to_json(),
    }


def page_metadata(job_id: str, points: int) -> dict[str, str]:
    """What is stored with a page."""
    return {"job-id": job_id, "points": str(points)}


def attempts_of(job_id: str) -> str:
    """Key prefix of the pages of all attempts at a job, without the last slash."""
    return check_key(f"{ATTEMPTS}/{job_id}")


def attempt_folder(job_id: str, attempt: int) -> str:
    """Key prefix of the page of one attempt, without the last slash."""
    return f"{attempts_of(job_id)}/{attempt}"


def store_page(store: ObjectStore, page: MapPage, delivery: Delivery | None) -> None:
    """Write the data files, then the page, so that a page never points to what is not there yet; last the gallery.

    Args:
        store: where to.
        page: what.
        delivery: the attempt that made it; None for a run that a person launched, whose page is public at once, and
            in the owner's gallery.
    """
    public, _, page_name = page.key.rpartition("/")
    folder = public if delivery is None else attempt_folder(delivery.job_id, delivery.attempt)
    for name, body in page.data_files.items():
        store.write(f"{folder}/{name}", body, content_type(name))
    store.write(f"{folder}/{page_name}", page.html, HTML, page.metadata)
    if delivery is None:
        update_gallery(store, public.rpartition("/")[0])


class PageIOManager(IOManager):
    """Stores `html_map`: of a run that a person launched, where its owner looks for it; of an attempt at a job, aside.

    Only the reconciler copies an attempt's page to the public key, so a process that was given up cannot overwrite what
    a later attempt made.
    """

    def __init__(self, store: ObjectStore, run_specs: RunSpecs) -> None:
        """Write to `store`; find the key for readers with `run_specs`."""
        self._store = store
        self._run_specs = run_specs

    def handle_output(self, context: OutputContext, obj: MapPage) -> None:
        """See `store_page`."""
        run = context.step_context.dagster_run
        store_page(self._store, obj, delivery_of(run.tags, is_copy=run.parent_run_id is not None))
        context.add_output_metadata({"stored_at": obj.key})

    def load_input(self, context: InputContext) -> MapPage:
        """Return the page of the partition as it is now; files beside it stay in the store.

        Raises:
            ObjectMissing: there is none.
        """
        step = context.step_context
        spec = self._run_specs.pinned(step.instance, step.dagster_run, context.asset_partition_key)
        key = page_key(spec.job)
        return MapPage(key, self._store.read(key))
