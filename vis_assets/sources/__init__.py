"""Where points come from, one file per kind of source.

A source is a module of this folder with a `DATABASE_TYPE` (what jobs write in `vector_database_config.database_type`)
and a function `fetch_points`; adding the file is all it takes to register it.
"""

import importlib
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from vis_assets.errors import InvalidJob
from vis_assets.sources.points import AccessPolicy, OnProgress, PointSet, SourceRequest


@cache
def registered_sources() -> dict[str, ModuleType]:
    """Return the source modules of this folder by their database type."""
    modules = (importlib.import_module(f"{__name__}.{info.name}") for info in pkgutil.iter_modules(__path__))
    return {module.DATABASE_TYPE: module for module in modules if hasattr(module, "DATABASE_TYPE")}


def fetch_points(request: SourceRequest, policy: AccessPolicy, folder: Path, on_progress: OnProgress) -> PointSet:
    """Fetch all points that the request asks for, with the source it names.

    Args:
        request: what the job says about its points.
        policy: which hosts and folders jobs may reach.
        folder: existing folder for the vectors (`vectors.npy`); it must outlive the returned PointSet.
        on_progress: called after each batch.

    Returns:
        The points, row order as the source has it (Qdrant: ascending id).

    Raises:
        InvalidJob: unknown database type, or a malformed URL or filter.
        SourceRejected: no such collection, not authorized, host not allowed, vector unusable, ...
        NoPoints: nothing to draw.
        SourceUnavailable: unreachable, overloaded or too slow, after a few retries.
    """
    sources = registered_sources()
    if request.database_type not in sources:
        known = ", ".join(sorted(sources))
        raise InvalidJob(
            f"vector_database_config.database_type is {request.database_type!r:.100}, which is no known source; "
            f"use one of: {known}"
        )
    points: PointSet = sources[request.database_type].fetch_points(request, policy, folder, on_progress)
    return points
