"""What to do with a message that came in: a pure decision."""

from dataclasses import dataclass

from vis_assets.errors import InvalidJob, InvalidMessage
from vis_assets.protocol.job import JobEnvelope, ParsedJob, envelope, parse_job, read_object
from vis_assets.protocol.result import Outcome, Status, result_message


@dataclass(frozen=True)
class Rejection:
    """A message that no run can serve: tell its sender, then acknowledge it.

    Attributes:
        sender: what is known of the sender.
        reason: one sentence for the sender.
        result: the error result to publish.
    """

    sender: JobEnvelope
    reason: str
    result: bytes


def examine(payload: bytes) -> ParsedJob | Rejection:
    """Decide whether a message is a job."""
    try:
        data = read_object(payload)
    except InvalidMessage as error:
        return _reject(JobEnvelope(), str(error))
    try:
        return parse_job(data)
    except InvalidJob as error:
        return _reject(envelope(data), str(error))


def _reject(sender: JobEnvelope, reason: str) -> Rejection:
    return Rejection(sender, reason, result_message(sender, Outcome(Status.FAILED, error=reason)))
