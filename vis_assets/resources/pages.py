"""The public objects of a map: `visualizations/{owner}/{visualization_transform_id}/{visualization_id}.html`."""

from dataclasses import dataclass, field

from dagster import InputContext, IOManager, OutputContext

from vis_assets.delivery.run_tags import Delivery, delivery_of
from vis_assets.errors import PermanentError
from vis_assets.protocol.job import VisualizationTransformJob
from vis_assets.resources.object_store import ObjectStore, check_key
from vis_assets.resources.run_spec import RunSpecs

HTML = "text/html; charset=utf-8"
ROOT = "visualizations"
ATTEMPTS = "attempts"


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


def folder_of(owner: str, partition_key: str) -> str:
    """Key prefix of all pages of a transform, without the last slash."""
    if "/" in owner:
        raise PermanentError(f"owner {owner[:80]!r} is not allowed: it would leave its folder")
    return check_key(f"{ROOT}/{owner}/{partition_key}")


def page_key(job: VisualizationTransformJob) -> str:
    """Object key of a job's page."""
    return f"{folder_of(job.owner, job.partition_key)}/{job.visualization_id}.html"


def page_metadata(job_id: str, points: int) -> dict[str, str]:
    """What is stored with a page."""
    return {"job-id": job_id, "points": str(points)}


def attempts_of(job_id: str) -> str:
    """Key prefix of the pages of all attempts at a job, without the last slash."""
    return check_key(f"{ATTEMPTS}/{job_id}")


def attempt_folder(job_id: str, attempt: int) -> str:
    """Key prefix of the page of one attempt, without the last slash."""
    return f"{attempts_of(job_id)}/{attempt}"


def content_type(name: str) -> str:
    """Content type of a page or of a file beside it."""
    return HTML if name.endswith(".html") else "application/octet-stream"


def store_page(store: ObjectStore, page: MapPage, delivery: Delivery | None) -> None:
    """Write the data files, then the page, so that a page never points to what is not there yet.

    Args:
        store: where to.
        page: what.
        delivery: the attempt that made it; None for a run that a person launched, whose page is public at once.
    """
    public, _, page_name = page.key.rpartition("/")
    folder = public if delivery is None else attempt_folder(delivery.job_id, delivery.attempt)
    for name, body in page.data_files.items():
        store.write(f"{folder}/{name}", body, content_type(name))
    store.write(f"{folder}/{page_name}", page.html, HTML, page.metadata)


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
