"""The stored jobs and their pages, as delivery needs them (`delivery.reconcile.Jobs`)."""

from collections.abc import Sequence

from vis_assets.delivery.job_record import JobRecord
from vis_assets.errors import ObjectMissing
from vis_assets.protocol.job import JobEnvelope, ParsedJob
from vis_assets.resources.content_types import PAGE, content_type
from vis_assets.resources.gallery import Galleries
from vis_assets.resources.object_store import ObjectStore
from vis_assets.resources.pages import attempt_folder, attempts_of, folder_of, gallery_folder, page_metadata
from vis_assets.resources.specs import SpecStore


class DeliveredJobs:
    """Saves jobs, and moves the page of the attempt that won to where its owner looks for it."""

    def __init__(self, store: ObjectStore, specs: SpecStore) -> None:
        """Work on the object store."""
        self._store = store
        self._specs = specs
        self._galleries = Galleries(store)

    def require_reachable(self) -> None:
        """Raise StoreUnavailable where no job could be stored now; a message taken in would come to nothing."""
        self._specs.require_reachable()

    def save(self, parsed: ParsedJob) -> None:
        """See delivery.reconcile.Jobs."""
        self._specs.save(parsed)

    def sender(self, record: JobRecord) -> tuple[JobEnvelope, Sequence[str]]:
        """See delivery.reconcile.Jobs; where the spec was deleted meanwhile, the record still knows the ids."""
        try:
            spec = self._specs.load(record.partition, record.job_id)
        except ObjectMissing:
            known = JobEnvelope(
                job_id=record.job_id,
                visualization_transform_id=int(record.partition),
                visualization_id=record.visualization_id,
                owner=record.owner,
            )
            return known, ()
        return spec.envelope, spec.warnings

    def sealed(self, record: JobRecord) -> bytes:
        """See delivery.reconcile.Jobs."""
        try:
            return self._specs.stored_form(record.partition, record.job_id)
        except ObjectMissing:
            return b"null"

    def promote(self, record: JobRecord) -> None:
        """See delivery.reconcile.Jobs: the page last; where there is nothing to copy, it was done before."""
        prefix = f"{attempt_folder(record.job_id, record.attempt)}/"
        public = folder_of(record.owner, record.partition)
        points = record.ending.outcome.point_count if record.ending is not None else 0
        about = page_metadata(record.job_id, points)
        for key in sorted(self._store.keys(prefix), key=lambda key: key.endswith(PAGE)):
            name = key.removeprefix(prefix)
            of_page = about if name.endswith(PAGE) else {}
            self._store.write(f"{public}/{name}", self._store.read(key), content_type(name), of_page)
            self._galleries.touch(gallery_folder(record.owner))

    def update_galleries(self) -> None:
        """See delivery.reconcile.Jobs."""
        self._galleries.update()

    def discard(self, record: JobRecord) -> None:
        """See delivery.reconcile.Jobs."""
        for key in list(self._store.keys(f"{attempts_of(record.job_id)}/")):
            self._store.delete(key)
