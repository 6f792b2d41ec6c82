"""Fetching a job's points, and writing their topics back, with the operator's rules and the job's secret."""

import logging
from pathlib import Path

from vis_assets.errors import InvalidJob, SecretUnreadable, SourceRejected, SourceUnavailable
from vis_assets.resources.specs import QDRANT_KEY, Spec, SpecStore
from vis_assets.settings import Settings
from vis_assets.sources import fetch_points
from vis_assets.sources.hosts import names_listed_host
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest
from vis_assets.sources.write_back import PlacedPoints, WriteBackResult, write_back

_log = logging.getLogger(__name__)


class VectorDatabase:
    """Fetches the points that a spec names, and writes back where they lie."""

    def __init__(self, settings: Settings, specs: SpecStore) -> None:
        """Apply the settings' host rules; open secrets with `specs`."""
        self._settings = settings
        self._specs = specs

    def fetch(self, spec: Spec, folder: Path, on_progress: OnProgress) -> PointSet:
        """Fetch all points of the spec; arrays are memory-mapped files in `folder`.

        Raises:
            SecretUnreadable: the key is sealed and QDRANT_API_KEY is not set.
            SourceRejected, SourceUnavailable, NoPoints: see `sources`.
        """
        policy = access_policy(self._settings)
        return fetch_points(source_request(spec, self._api_key(spec, policy)), policy, folder, on_progress)

    def write_back(self, spec: Spec, placed: PlacedPoints, on_progress: OnProgress) -> WriteBackResult:
        """Write into the payload of the spec's points where they lie on its map, see `sources.write_back`.

        The map stands without it: what stops the writing becomes a note, and is no error. Only the job's own key is
        used: whoever may publish jobs could write anywhere with the installation's.
        """
        policy = access_policy(self._settings)
        job = spec.job
        try:
            key = self._specs.reveal(
                spec, QDRANT_KEY, None, "an API key of its own, since the installation's only reads"
            )
            request = source_request(spec, key)
            return write_back(request, policy, job.partition_key, job.job_id, placed, on_progress)
        except (SourceRejected, SourceUnavailable, SecretUnreadable, InvalidJob) as error:
            _log.warning("job %s: topics were not written back: %s", job.job_id, error)
            return WriteBackResult(0, (f"topics were not, or not all, written back: {error}",))

    def _api_key(self, spec: Spec, policy: AccessPolicy) -> str | None:
        """Return the job's key, or the installation's own.

        That one goes only to hosts that the operator listed: a job may name any other host.
        """
        url = spec.job.vector_database_config.connection_url
        trusted = not url.startswith("file:") and names_listed_host(url, policy)
        own_key = self._settings.qdrant_api_key if trusted else None
        return self._specs.reveal(spec, QDRANT_KEY, own_key, "QDRANT_API_KEY (for hosts in VIS_ASSETS_ALLOWED_HOSTS)")


def source_request(spec: Spec, api_key: str | None) -> SourceRequest:
    """Say in the sources' terms what the job says about its points."""
    job = spec.job
    return SourceRequest(
        database_type=job.vector_database_config.database_type,
        connection_url=job.vector_database_config.connection_url,
        collection=job.qdrant_collection_name,
        api_key=api_key,
        filter=job.filter,
        vector_name=job.vector_name,
        text_field=job.text_field,
    )


def access_policy(settings: Settings) -> AccessPolicy:
    """Return the operator's rules on where jobs may reach."""
    return AccessPolicy(settings.allowed_hosts, settings.local_root)
