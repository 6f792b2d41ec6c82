"""Fetching a job's points, with the operator's rules and the job's secret."""

from pathlib import Path

from vis_assets.resources.specs import QDRANT_KEY, Spec, SpecStore
from vis_assets.settings import Settings
from vis_assets.sources import fetch_points
from vis_assets.sources.hosts import names_listed_host
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest


class VectorDatabase:
    """Fetches the points that a spec names."""

    def __init__(self, settings: Settings, specs: SpecStore) -> None:
        """Apply the settings' host rules; open secrets with `specs`."""
        self._settings = settings
        self._specs = specs

    def fetch(self, spec: Spec, folder: Path, on_progress: OnProgress) -> PointSet:
        """Fetch all points of the spec; arrays are memory-mapped files in `folder`.

        The installation's own key goes only to hosts that the operator listed: a job may name any other host.

        Raises:
            SecretUnreadable: the key is sealed and QDRANT_API_KEY is not set.
            SourceRejected, SourceUnavailable, NoPoints: see `sources`.
        """
        policy = access_policy(self._settings)
        url = spec.job.vector_database_config.connection_url
        trusted = not url.startswith("file:") and names_listed_host(url, policy)
        own_key = self._settings.qdrant_api_key if trusted else None
        key = self._specs.reveal(spec, QDRANT_KEY, own_key, "QDRANT_API_KEY (for hosts in VIS_ASSETS_ALLOWED_HOSTS)")
        return fetch_points(source_request(spec, key), policy, folder, on_progress)


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
