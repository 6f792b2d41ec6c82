"""The reconciler: sees what is, asks `decide` what to do, does it. Every step may be repeated, and none lost.

A job ends in this order, and a crash after any of these steps leads to the same end:

    end decided, in the record -> dead letter written -> page claimed, unless a newer job has it ->
    page copied to its public key ->
    terminal result written (the first wins) ->
    result published -> message acknowledged -> record removed
"""

import logging
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from nats.aio.client import Client

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection, arriving, publish_stored
from vis_assets.delivery.decide import Action, Finish, Keep, Limits, Note, Retry, RunView, Start, Stop, plan
from vis_assets.delivery.intake import Rejection, examine
from vis_assets.delivery.job_record import JobRecord, JobState
from vis_assets.delivery.job_stream import QueuedMessage, acknowledge, extend, unclaimed
from vis_assets.delivery.ledger import Held
from vis_assets.errors import BrokerRefused, BrokerUnavailable, VisAssetsError
from vis_assets.protocol.job import JobEnvelope, ParsedJob
from vis_assets.protocol.result import progress_message, result_message, retrying_message
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.subjects import result_subject
from vis_assets.protocol.trace_context import trace_headers

_log = logging.getLogger(__name__)


class Runs(Protocol):
    """Dagster, as delivery needs it."""

    def view(self, run_key: str) -> RunView | None:
        """Return the run of that key; None where there is none (yet)."""

    def stop(self, run_id: str) -> None:
        """Ask Dagster to cancel a run."""

    def declare_lost(self, run_id: str) -> None:
        """Tell Dagster that a run's process is gone."""


class Jobs(Protocol):
    """The stored jobs and their pages, as delivery needs them."""

    def save(self, parsed: ParsedJob) -> None:
        """Store a job, its secrets sealed."""

    def sender(self, record: JobRecord) -> tuple[JobEnvelope, Sequence[str]]:
        """Return who asked and what to warn of."""

    def sealed(self, record: JobRecord) -> bytes:
        """Return the stored form of a job, for its dead letter."""

    def promote(self, record: JobRecord) -> None:
        """Copy the page of the record's attempt to its public key, and remove all attempts."""

    def update_galleries(self) -> None:
        """List the promoted pages where their owners look for them; what goes wrong is logged and tried again."""

    def discard(self, record: JobRecord) -> None:
        """Remove all attempts."""


class Reconciler:
    """Carries out one reconciliation after another over one connection."""

    def __init__(
        self,
        connection: NatsConnection,
        runs: Runs,
        jobs: Jobs,
        limits: Limits,
        subject_template: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Work with an open connection; results go to the subject that the template makes."""
        self._connection = connection
        self._runs = runs
        self._jobs = jobs
        self._limits = limits
        self._template = subject_template
        self._clock = clock

    def reconcile(self, *, may_start: bool = True) -> list[JobRecord]:
        """Do what is to be done about every unfinished job.

        Args:
            may_start: whether the caller can ask for runs.

        Returns:
            The jobs whose runs are to be asked for now. Asking twice for a run of one key makes one run.
        """
        wanted = self._settle(may_start)
        # Last, and once for all that has ended: nobody waits for it, and a listing of many maps takes its time.
        self._jobs.update_galleries()
        return wanted

    def _settle(self, may_start: bool) -> list[JobRecord]:
        self._connection.run(ledger.hear_cancels)
        held = {h.record.job_id: h for h in self._cancel(self._records())}
        if not held:
            return []
        records, runs = self._see([h.record for h in held.values()])
        newest = self._connection.run(lambda c: ledger.read_newest(c, (record.page for record in records)))
        wanted = []
        for action in plan(records, runs, newest, self._limits, self._clock()):
            if isinstance(action, Start) and not may_start:
                continue
            record = self._try(action, held[action.record.job_id])
            if record is not None:
                wanted.append(record)
        return wanted

    def _see(self, records: Sequence[JobRecord]) -> tuple[list[JobRecord], dict[str, RunView]]:
        """Look at the runs of the records; a record whose run cannot be looked at is left out for now."""
        seen, runs = [], {}
        for record in records:
            try:
                view = self._runs.view(record.run_key) if record.state is JobState.RUNNING else None
            except BrokerUnavailable:
                raise
            except Exception:  # noqa: BLE001 - whatever is wrong with one run must not keep the others waiting
                _log.exception("job %s: its run cannot be looked at", record.job_id, extra=_context(record))
                continue
            seen.append(record)
            if view is not None:
                runs[record.run_key] = view
        return seen, runs

    def _try(self, action: Action, held: Held) -> JobRecord | None:
        """Carry out one action; what goes wrong with one job must not keep the others waiting."""
        about = (held.record.job_id, type(action).__name__)
        try:
            return self._carry_out(action, held)
        except VisAssetsError as error:
            if isinstance(error, BrokerUnavailable) and not isinstance(error, BrokerRefused):
                raise
            _log.warning("job %s: %s is put off: %s", *about, error, extra=_context(held.record))
        except Exception:  # noqa: BLE001 - a defect that one job brings to light must not keep the others waiting
            _log.exception("job %s: %s is put off", *about, extra=_context(held.record))
        return None

    def free_slots(self) -> int:
        """Count how many more transforms may be worked on; jobs that wait for a later attempt take no slot."""
        now = self._clock()
        records = [held.record for held in self._records()]
        busy = {r.partition for r in records if r.state is JobState.RUNNING or r.not_before <= now}
        return self._limits.slots - len(busy)

    def take_in_unclaimed(self, stream_created: int) -> None:
        """Take in the messages that somebody fetched who died before writing them down.

        Only who alone fetches may call this, and not while a fetch is under way.
        """
        records = [held.record for held in self._records()]
        claimed = {r.accepted[1] for r in records if r.reply is not None and r.accepted[0] == stream_created}
        for message in self._connection.run(lambda c: unclaimed(c, stream_created, claimed)):
            _log.warning("message %s was fetched and not written down; it is taken in now", message.identity)
            self.take_in(message)

    def take_in(self, message: QueuedMessage) -> bool:
        """Take in one message; return whether it made a new record.

        Raises:
            StoreUnavailable: nothing was changed; the message comes again.
        """
        try:
            return self._take_in(message)
        except BrokerRefused as error:
            _log.warning("message %s is put off: %s", message.identity, error)
            return False

    def _take_in(self, message: QueuedMessage) -> bool:
        verdict = examine(message.payload)
        if isinstance(verdict, Rejection):
            _log.warning("message %s is no job: %s", message.identity, verdict.reason)
            self._refuse(message, verdict)
            return False
        job = verdict.job
        held = self._held(job.job_id)
        if held is not None:
            self._adopt(held, message)
            return False
        if self._answered(message, verdict):
            return False
        self._jobs.save(verdict)
        record = JobRecord(
            job.job_id,
            job.partition_key,
            job.visualization_id,
            job.owner,
            (message.stream_created, message.sequence),
            message.reply,
            canceled=job.job_id in self._connection.run(ledger.canceled_jobs),
            traceparent=message.traceparent,
        )
        others = {one.record.partition for one in self._records()}
        if not self._connection.run(lambda c: ledger.create_record(c, record)):
            return False
        # Somebody may have taken it in, and brought it to its end, while it was being stored here.
        if self._answered(message, verdict):
            self._connection.run(lambda c: ledger.remove_record(c, record.job_id))
            return False
        self._tell(record, verdict.envelope, progress_message(verdict.envelope, Stage.STARTING, 0))
        if record.partition in others:
            self._park(record)
        return True

    def _answered(self, message: QueuedMessage, parsed: ParsedJob) -> bool:
        """Answer a message whose job has its terminal result; return whether it has."""
        standing = self._connection.run(lambda c: ledger.read_result(c, parsed.job.job_id))
        if standing is None:
            return False
        self._answer_again(message, parsed, standing)
        return True

    def _park(self, record: JobRecord) -> None:
        """Take the message of a job that waits long out of the queue: the record alone holds the job then.

        A consumer hands out only so many messages that are not acknowledged: jobs that wait would stop all others.
        """
        if record.reply is None:
            return
        self._acknowledge(record.reply, record.message)
        parked = self._held(record.job_id)
        if parked is not None:
            self._replace(parked.record.acknowledged(), parked)

    def _carry_out(self, action: Action, held: Held) -> JobRecord | None:
        if isinstance(action, Start):
            return self._start(action.record, held)
        if isinstance(action, Keep):
            self._extend(action.record)
        elif isinstance(action, Note):
            self._replace(action.record, held)
        elif isinstance(action, Stop):
            self._runs.stop(action.run_id)
            self._extend(action.record)
        elif isinstance(action, Retry):
            self._retry(action, held)
        else:
            self._finish(action, held)
        return None

    def _start(self, record: JobRecord, held: Held) -> JobRecord | None:
        """Ask for a run, unless the job was brought to its end before: its record came back with a killed server."""
        if self._connection.run(lambda c: ledger.is_answer_to(c, record.job_id, record.message)):
            self._connection.run(lambda c: ledger.remove_record(c, record.job_id))
            return None
        return record if self._replace(record, held) else None

    def _retry(self, action: Retry, held: Held) -> None:
        record = action.record
        # First of all, because it may fail: a retry that is noted would never be told.
        sender, _ = self._jobs.sender(record)
        if action.lost_run is not None:
            self._runs.declare_lost(action.lost_run)
        if not self._replace(record, held):
            return
        about = (record.job_id, record.attempt - 1, record.error)
        _log.warning("job %s: attempt %d failed: %s", *about, extra=_context(record))
        retrying = retrying_message(sender, record.attempt - 1, action.delay_seconds, record.error or "")
        self._tell(record, sender, retrying)
        if action.delay_seconds > self._limits.park_seconds:
            self._park(record)

    def _finish(self, action: Finish, held: Held) -> None:
        record = action.record.to_end(action.ending)
        if held.record.state is not JobState.ENDING and not self._replace(record, held):
            return
        if action.lost_run is not None:
            self._runs.declare_lost(action.lost_run)
        sender, warnings = self._jobs.sender(record)
        outcome = action.outcome
        if warnings and "warnings" not in outcome.stats:
            outcome = outcome.with_warnings(warnings)
        if action.ending.dead_letter:
            letter = ledger.dead_letter(record, outcome.error or "", self._jobs.sealed(record), self._clock())
            self._connection.run(lambda c: ledger.write_dead_letter(c, record.job_id, letter))
        # The end of an older job may have been put off, or come back with a server that was killed.
        if action.ending.winner and self._connection.run(lambda c: ledger.claim_page(c, record)):
            self._jobs.promote(record)
        result = result_message(sender, outcome)
        given_up = action.ending.dead_letter
        standing = self._connection.run(lambda c: ledger.write_result(c, record, result, given_up=given_up))
        self._publish_result(sender, record.job_id, standing, record.traceparent)
        if record.reply is not None:
            self._acknowledge(record.reply, record.message)
        self._jobs.discard(record)
        self._connection.run(lambda c: ledger.remove_record(c, record.job_id))
        about = (record.job_id, outcome.status.value, record.attempt)
        _log.info("job %s: %s after %d attempts", *about, extra=_context(record))

    def _refuse(self, message: QueuedMessage, rejection: Rejection) -> None:
        """Tell the sender that this is no job, then acknowledge it."""
        subject = result_subject(self._template, rejection.sender)

        async def answer(client: Client) -> None:
            message_id = f"{message.identity}:rejected"
            body = rejection.result(message.sequence)
            await publish_stored(client, subject, body, message_id, message.traceparent)
            await acknowledge(client, message.reply, message.identity)

        self._connection.run(answer)

    def _answer_again(self, message: QueuedMessage, parsed: ParsedJob, standing: bytes) -> None:
        """The same job again: tell what it came to, and run nothing.

        The very message that was answered comes back with a server that was killed; its sender was told, or will be by
        the record that still stands.
        """
        if self._connection.run(lambda c: ledger.is_answer_to(c, parsed.job.job_id, message.identity)):
            self._acknowledge(message.reply, message.identity)
            return
        sender = parsed.envelope
        self._publish_result(sender, parsed.job.job_id, standing, message.traceparent)
        self._acknowledge(message.reply, message.identity)

    def _adopt(self, held: Held, message: QueuedMessage) -> None:
        """A message of a job that is under way: its own again, or a copy, which its record makes needless."""
        if (message.stream_created, message.sequence) != held.record.accepted or held.record.reply is None:
            self._acknowledge(message.reply, message.identity)
        else:
            self._replace(held.record.answering_at(message.reply), held)

    def _cancel(self, records: Sequence[Held]) -> Sequence[Held]:
        """Mark the records of jobs that are to be canceled; return the records as they are then."""
        wanted = self._connection.run(ledger.canceled_jobs)
        marks = [h for h in records if h.record.job_id in wanted and not h.record.canceled and h.record.ending is None]
        for held in marks:
            self._replace(held.record.to_cancel(), held)
        return self._records() if marks else records

    def _records(self) -> list[Held]:
        return self._connection.run(ledger.read_records)

    def _held(self, job_id: str) -> Held | None:
        return self._connection.run(lambda c: ledger.read_record(c, job_id))

    def _replace(self, record: JobRecord, held: Held) -> bool:
        return self._connection.run(lambda c: ledger.replace_record(c, record, held.revision))

    def _acknowledge(self, reply: str, message_identity: str) -> None:
        self._connection.run(lambda c: acknowledge(c, reply, message_identity))

    def _extend(self, record: JobRecord) -> None:
        if record.reply:
            reply = record.reply
            self._connection.run(lambda c: extend(c, reply))

    def _tell(self, record: JobRecord, sender: JobEnvelope, payload: bytes) -> None:
        subject = result_subject(self._template, sender)
        headers = trace_headers(record.traceparent) or None

        async def publish(client: Client) -> None:
            async with arriving(client):
                await client.publish(subject, payload, headers=headers)

        self._connection.run(publish)

    def _publish_result(self, sender: JobEnvelope, job_id: str, result: bytes, traceparent: str | None) -> None:
        subject = result_subject(self._template, sender)

        async def publish(client: Client) -> None:
            await publish_stored(client, subject, result, f"{job_id}:result", traceparent)

        self._connection.run(publish)


def _context(record: JobRecord) -> dict[str, object]:
    """What a log line about a job holds besides its text."""
    known = {"job_id": record.job_id, "visualization_transform_id": record.partition, "attempt": record.attempt}
    return known | ({"traceparent": record.traceparent} if record.traceparent else {})
