"""The tags by which a run remembers the job that asked for it. They survive restarts, and hold no secret."""

from collections.abc import Mapping
from dataclasses import dataclass

from vis_assets.delivery.job_record import JobRecord

JOB_ID = "vis_assets/job_id"
ATTEMPT = "vis_assets/attempt"
WORKER = "vis_assets/worker"
TRACEPARENT = "vis_assets/traceparent"
SPEC = "vis_assets/spec"
"""Job id whose spec a run pinned that no message asked for."""


@dataclass(frozen=True)
class Delivery:
    """Which attempt at which job a run is."""

    job_id: str
    attempt: int


def tags_for(record: JobRecord, worker_id: str) -> dict[str, str]:
    """Tags of the run that is the record's attempt."""
    tags = {JOB_ID: record.job_id, ATTEMPT: str(record.attempt), WORKER: worker_id}
    return tags | ({TRACEPARENT: record.traceparent} if record.traceparent else {})


def delivery_of(tags: Mapping[str, str], is_copy: bool) -> Delivery | None:
    """Read which attempt a run is; None where nobody waits for it.

    Args:
        tags: the run's tags.
        is_copy: the run is a re-execution; Dagster copies tags, but the job was not sent again.
    """
    if is_copy or JOB_ID not in tags or not tags.get(ATTEMPT, "").isdigit():
        return None
    return Delivery(tags[JOB_ID], int(tags[ATTEMPT]))
