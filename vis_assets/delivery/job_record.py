"""What is known of a job that has no terminal result yet: the record that survives every crash.

A record lives in the JetStream key-value bucket `visualization_jobs` under the job's id. It is created before the first
run is asked for, changed only with the revision that was read (so that two reconcilers cannot both win), and removed
after the terminal result stands in its own stream.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Self

from vis_assets.protocol.result import Outcome, Status

RETRY_DELAYS_SECONDS = (30.0, 120.0, 300.0, 900.0, 3600.0)
"""Waits before the second, third, ... attempt after a failure that another attempt may mend."""


class JobState(StrEnum):
    """Where a job stands."""

    WAITING = "waiting"
    """For its turn, or for the time of its next attempt."""
    RUNNING = "running"
    """A run was asked for."""
    ENDING = "ending"
    """How it ends is decided; whatever is seen from here on does not change it."""


@dataclass(frozen=True)
class Ending:
    """How a job ends.

    Attributes:
        outcome: what its sender is told.
        dead_letter: it was given up and goes to the dead letters.
        winner: its attempt made a page, which gets the public key.
    """

    outcome: Outcome
    dead_letter: bool = False
    winner: bool = False


@dataclass(frozen=True)
class JobRecord:
    """One unfinished job.

    Attributes:
        job_id: its key.
        partition: its visualization_transform_id, as text.
        visualization_id: which page of the transform it makes.
        owner: whose page it is.
        accepted: (stream creation, sequence) of its message; later jobs have greater ones.
        reply: where its message is acknowledged; None once it was, because the job waits long.
        state: where it stands.
        attempt: number of the attempt that runs, or runs next; from 1.
        failures: attempts that ended with an error that another attempt may mend.
        lost: attempts whose process vanished.
        not_before: seconds since 1970 before which the next attempt does not start.
        requested_at: seconds since 1970 at which the run of this attempt was asked for.
        canceled: somebody asked to stop.
        error: what ended the last attempt.
        ending: how it ends, once that is decided.
        traceparent: W3C trace context of the sender, well-formed, or None.
    """

    job_id: str
    partition: str
    visualization_id: int
    owner: str
    accepted: tuple[int, int]
    reply: str | None
    state: JobState = JobState.WAITING
    attempt: int = 1
    failures: int = 0
    lost: int = 0
    not_before: float = 0.0
    requested_at: float = 0.0
    canceled: bool = False
    error: str | None = None
    ending: Ending | None = None
    traceparent: str | None = None

    @property
    def run_key(self) -> str:
        """Names the run of this attempt for ever; Dagster never makes two runs of one key."""
        return f"{self.accepted[0]}:{self.accepted[1]}:{self.attempt}"

    @property
    def page(self) -> str:
        """Names the page that the job makes."""
        return f"{self.partition}/{self.visualization_id}"

    @property
    def message(self) -> str:
        """Names the message for ever: the stream's creation time and the sequence."""
        return f"{self.accepted[0]}:{self.accepted[1]}"

    def started(self, now: float) -> Self:
        """Return the record of a job whose run is asked for now."""
        return replace(self, state=JobState.RUNNING, requested_at=now)

    def answering_at(self, reply: str) -> Self:
        """Return the record of a job whose message was handed out again."""
        return replace(self, reply=reply)

    def to_end(self, ending: Ending) -> Self:
        """Return the record of a job whose end is decided."""
        return replace(self, state=JobState.ENDING, ending=ending)

    def acknowledged(self) -> Self:
        """Return the record of a job whose message left the queue: from here on the record alone holds the job."""
        return replace(self, reply=None)

    def to_cancel(self) -> Self:
        """Return the record of a job that somebody asked to stop."""
        return replace(self, canceled=True)

    def failed(self, error: str, now: float, delays_seconds: Sequence[float]) -> tuple[Self, float]:
        """Return the record after a failed attempt, and the wait in seconds before the next.

        Args:
            error: what ended the attempt.
            now: seconds since 1970.
            delays_seconds: waits after the first, second, ... failure; the last one repeats.
        """
        delay = delays_seconds[min(self.failures, len(delays_seconds) - 1)]
        return self._again(delay, now, failures=self.failures + 1, error=error), delay

    def vanished(self, now: float) -> Self:
        """Return the record after an attempt whose process vanished: it is repeated at once."""
        return self._again(0.0, now, lost=self.lost + 1, error="the process of the run vanished")

    def _again(self, delay: float, now: float, **changes: object) -> Self:
        values = {"state": JobState.WAITING, "attempt": self.attempt + 1, "not_before": now + delay, **changes}
        return replace(self, **values)  # type: ignore[arg-type]

    def encode(self) -> bytes:
        """Write the record as JSON; it holds no secret."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; keys of later versions are ignored."""
        values = json.loads(data)
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        ending = known.get("ending")
        if ending is not None:
            outcome = Outcome(**{**ending["outcome"], "status": Status(ending["outcome"]["status"])})
            known["ending"] = Ending(outcome, ending["dead_letter"], ending["winner"])
        return cls(**{**known, "accepted": tuple(known["accepted"]), "state": JobState(known["state"])})
