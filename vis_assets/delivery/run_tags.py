"""The tags by which a run remembers the message that asked for it. They survive restarts, and hold no secret."""

from collections.abc import Mapping
from dataclasses import dataclass

from vis_assets.delivery.job_stream import QueuedMessage
from vis_assets.protocol.job import VisualizationTransformJob

JOB_ID = "vis_assets/job_id"
REPLY = "vis_assets/reply"
MESSAGE = "vis_assets/message"
OWNER = "vis_assets/owner"
WORKER = "vis_assets/worker"
SETTLED = "vis_assets/settled"
SPEC = "vis_assets/spec"
"""Job id whose spec a run pinned that no message asked for."""


@dataclass(frozen=True)
class Delivery:
    """Which message a run serves."""

    job_id: str
    reply: str
    message: str
    settled: bool


def tags_for(job: VisualizationTransformJob, message: QueuedMessage, worker_id: str) -> dict[str, str]:
    """Tags of the run that serves a message."""
    return {
        JOB_ID: job.job_id,
        REPLY: message.reply,
        MESSAGE: message.identity,
        OWNER: job.owner,
        WORKER: worker_id,
    }


def delivery_of(tags: Mapping[str, str], is_copy: bool) -> Delivery | None:
    """Read which message a run serves; None where nobody waits for it.

    Args:
        tags: the run's tags.
        is_copy: the run is a re-execution; Dagster copies tags, but the message was not sent again.
    """
    if is_copy or JOB_ID not in tags or REPLY not in tags:
        return None
    return Delivery(tags[JOB_ID], tags[REPLY], tags[MESSAGE], SETTLED in tags)
