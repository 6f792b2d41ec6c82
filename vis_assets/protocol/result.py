"""What is published about a job: progress messages and the terminal result."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from vis_assets.protocol.job import Dialect, JobEnvelope
from vis_assets.protocol.stages import Stage


class Status(StrEnum):
    """How a job stands."""

    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"


@dataclass(frozen=True)
class Outcome:
    """How a job ended.

    Attributes:
        html_key: object key of the page; None unless completed.
        duration_ms: from the start of the run to its end, milliseconds.
        error: one sentence for the sender; None if completed.
        stats: figures for `statsJson`, warnings included.
    """

    status: Status
    html_key: str | None = None
    point_count: int = 0
    cluster_count: int = 0
    duration_ms: int = 0
    error: str | None = None
    stats: dict[str, Any] = field(default_factory=dict)

    def with_warnings(self, warnings: Sequence[str]) -> Self:
        """Return this outcome with warnings in its stats."""
        return replace(self, stats={**self.stats, "warnings": list(warnings)})


def result_message(job: JobEnvelope, outcome: Outcome) -> bytes:
    """Encode the terminal result in the dialect that the job came in."""
    return _encode(
        _ids(job)
        | {
            "status": _status_word(outcome.status, job.dialect),
            "htmlS3Key": outcome.html_key,
            "pointCount": outcome.point_count,
            "clusterCount": outcome.cluster_count,
            "processingDurationMs": outcome.duration_ms,
            "errorMessage": outcome.error,
            "statsJson": outcome.stats,
        }
    )


def progress_message(job: JobEnvelope, stage: Stage, percent: int) -> bytes:
    """Encode one step of progress."""
    stats = {"stage": stage.wire_name, "progress_percent": percent}
    return _encode(_ids(job) | {"status": Status.PROCESSING.value, "statsJson": stats})


def retrying_message(job: JobEnvelope, attempt: int, delay_seconds: float, error: str) -> bytes:
    """Encode the news that an attempt failed and another will follow.

    Args:
        job: who asked.
        attempt: number of the attempt that failed, from 1.
        delay_seconds: until the next one.
        error: why it failed.
    """
    stats = {"stage": "retrying", "attempt": attempt, "delay_seconds": delay_seconds}
    return _encode(_ids(job) | {"status": Status.PROCESSING.value, "errorMessage": error, "statsJson": stats})


def is_terminal(message: dict[str, Any]) -> bool:
    """Whether a decoded message of either dialect ends its job."""
    return message.get("status") in {"completed", "success", "failed", "canceled"}


def is_success(message: dict[str, Any]) -> bool:
    """Whether a decoded terminal message of either dialect reports a finished map."""
    return message.get("status") in {"completed", "success"}


def _ids(job: JobEnvelope) -> dict[str, Any]:
    owner_key = "ownerId" if job.dialect is Dialect.SEMANTIC_EXPLORER else "owner"
    return {
        "jobId": job.job_id,
        "visualizationTransformId": job.visualization_transform_id,
        "visualizationId": job.visualization_id,
        owner_key: job.owner,
    }


def _status_word(status: Status, dialect: Dialect) -> str:
    if dialect is Dialect.SEMANTIC_EXPLORER and status is Status.COMPLETED:
        return "success"
    return status.value


def _encode(message: dict[str, Any]) -> bytes:
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
