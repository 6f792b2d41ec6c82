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
    """

    sender: JobEnvelope
    reason: str

    def result(self, sequence: int) -> bytes:
        """Write the error result of the message with this sequence; where it has no job id, the sequence names it."""
        error = self.reason
        if self.sender.job_id is None:
            about = self.reason.removeprefix("message ")
            error = f"message {sequence}{' ' if about != self.reason else ': '}{about}"
        return result_message(self.sender, Outcome(Status.FAILED, error=error))


def examine(payload: bytes) -> ParsedJob | Rejection:
    """Decide whether a message is a job."""
    try:
        data = read_object(payload)
    except InvalidMessage as error:
        return Rejection(JobEnvelope(), str(error))
    try:
        return parse_job(data)
    except InvalidJob as error:
        return Rejection(envelope(data), str(error))
