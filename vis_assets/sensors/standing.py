"""Whether this installation reconciles, or another one does.

Under `vis-assets worker` the worker process renews the lease, and sensors only ask whether it still holds it. Anywhere
else (`vis-assets dev`, `dagster dev`) the process that evaluates the sensors stands for election itself.
"""

import functools
import os

from vis_assets.delivery import leadership
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.leadership import Candidate, Standing
from vis_assets.settings import Settings

HOLDER = "VIS_ASSETS_HOLDER"
"""Environment variable in which a worker tells its children under which name it leads."""


def standing(connection: NatsConnection, settings: Settings) -> Standing:
    """Say whether we reconcile, and whether new jobs may begin."""
    worker = os.environ.get(HOLDER)
    if worker is not None:
        return connection.run(lambda c: leadership.standing_of(c, worker))
    return connection.run(_candidate(settings.worker_id, settings.lease_seconds).campaign)


@functools.cache
def _candidate(worker_id: str, lease_seconds: float) -> Candidate:
    """One for the whole process: its sensors stand together."""
    return Candidate(leadership.new_holder(worker_id), lease_seconds)
