"""Where records, results, dead letters and cancel requests live in JetStream. The only place that knows their names.

visualization_jobs      key-value bucket   unfinished jobs, by job id (job_record.py)
visualization_leases    key-value bucket   run id -> who works on it; renewed by the run's lease keeper
visualization_pages     key-value bucket   partition/visualization -> the newest job that made the page
visualization_cancels   key-value bucket   ids of jobs to cancel that were not taken in yet
VISUALIZATION_RESULTS   stream             visualization.results.{job_id}: the terminal result; the first wins
DLQ_VISUALIZATION_TRANSFORMS  stream       visualization.dead.{job_id}: jobs that were given up, secrets sealed
VISUALIZATION_CONTROL   stream             workers.visualization-transform.cancel: {"job_id": ...}
"""

import asyncio
import contextlib
import hashlib
import json
import logging
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.js.api import DiscardPolicy, KeyValueConfig, RawStreamMsg, RetentionPolicy, StreamConfig
from nats.js.errors import APIError, BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError, NotFoundError
from nats.js.kv import KeyValue

from vis_assets.delivery.connection import REQUEST_SECONDS
from vis_assets.delivery.job_record import JobRecord

JOBS = "visualization_jobs"
LEASES = "visualization_leases"
CANCELS = "visualization_cancels"
PAGES = "visualization_pages"
RESULT_STREAM = "VISUALIZATION_RESULTS"
DEAD_STREAM = "DLQ_VISUALIZATION_TRANSFORMS"
CONTROL_STREAM = "VISUALIZATION_CONTROL"
CANCEL_SUBJECT = "workers.visualization-transform.cancel"
EFFORT_HEADER = "Vis-Assets-Effort"
"""Header of a terminal result in its stream: what it took, JSON; the message that senders get does not have it."""
WRONG_LAST_SEQUENCE = 10071
NO_MESSAGE_FOUND = 10057
DAY_SECONDS = 86_400.0
MAX_CANCEL_BYTES = 1000
"""Longest message that asks to cancel a job."""
READ_AT_ONCE = 50
"""How many values are asked for at the same time."""
HEADER_ROOM = 1000
"""How much of a message's size its headers may take."""
MOST_REVISIONS = 64
"""The longest history that a bucket can have."""


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Held:
    """A record and the revision it was read at."""

    record: JobRecord
    revision: int


@dataclass(frozen=True)
class Lease:
    """What a run's process last said.

    Attributes:
        renewed: when, seconds since 1970.
        timed_out: its keeper ended it because it took too long.
    """

    renewed: float
    timed_out: bool


async def ensure(client: Client, result_days: float, dead_days: float) -> None:
    """Create the buckets and streams that are missing; never change what is there."""
    await _bucket(client, JOBS, ttl_seconds=0, history=MOST_REVISIONS)
    await _bucket(client, LEASES, ttl_seconds=DAY_SECONDS)
    await _bucket(client, CANCELS, ttl_seconds=DAY_SECONDS)
    await _bucket(client, PAGES, ttl_seconds=0)
    await _stream(client, RESULT_STREAM, "visualization.results.*", result_days)
    await _stream(client, DEAD_STREAM, "visualization.dead.*", dead_days)
    await _stream(client, CONTROL_STREAM, CANCEL_SUBJECT, 1.0, RetentionPolicy.WORK_QUEUE)


async def read_records(client: Client) -> list[Held]:
    """Return every unfinished job."""
    keys = await _keys(client, JOBS)
    held: list[Held] = []
    for begin in range(0, len(keys), READ_AT_ONCE):
        found = await asyncio.gather(*(_read(client, key) for key in keys[begin : begin + READ_AT_ONCE]))
        held += [one for one in found if one is not None]
    return held


async def _read(client: Client, job_id: str) -> Held | None:
    """Read one record; None where it is gone, or cannot be read."""
    try:
        message = await client.jetstream(timeout=REQUEST_SECONDS).get_last_msg(f"KV_{JOBS}", f"$KV.{JOBS}.{job_id}")
    except NotFoundError:
        return None
    try:
        return Held(JobRecord.decode(message.data or b"{}"), message.seq or 0)
    except (ValueError, KeyError, TypeError):
        _log.exception("the record of job %s in the bucket %s cannot be read; it is left alone", job_id, JOBS)
        return None


async def create_record(client: Client, record: JobRecord) -> bool:
    """Create the record of a new job; return False where the job has one already."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(JOBS)
    try:
        await bucket.create(record.job_id, record.encode())
    except KeyWrongLastSequenceError:
        return False
    return True


async def replace_record(client: Client, record: JobRecord, revision: int) -> bool:
    """Replace a record that nobody changed since it was read; return False where somebody did."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(JOBS)
    try:
        await bucket.update(record.job_id, record.encode(), last=revision)
    except KeyWrongLastSequenceError:
        return False
    return True


async def read_record(client: Client, job_id: str) -> Held | None:
    """Return the record of an unfinished job; None where there is none."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(JOBS)
    try:
        entry = await bucket.get(job_id)
    except KeyNotFoundError:
        return None
    return Held(JobRecord.decode(entry.value or b"{}"), entry.revision or 0)


async def remove_record(client: Client, job_id: str) -> None:
    """Remove the record of a finished job, every revision of it.

    nats-server (2.15) writes down what is purged, so that it stays away when the server is killed; but not what made
    way for a later revision: with a history of 1, the first revision of a purged record comes back after a kill. So
    the bucket keeps as many revisions as it may.
    """
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    await jetstream.purge_stream(f"KV_{JOBS}", subject=f"$KV.{JOBS}.{job_id}")


async def write_result(client: Client, record: JobRecord, result: bytes, *, given_up: bool = False) -> bytes:
    """Write the terminal result of a job unless it has one; return the one that stands.

    Args:
        client: connected.
        record: the job, as it was at its end.
        result: what its sender is told.
        given_up: no attempt was left.
    """
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    job_id, subject = record.job_id, f"visualization.results.{record.job_id}"
    effort = {"failures": record.failures, "lost": record.lost, "given_up": given_up, "message": record.message}
    headers = {"Nats-Expected-Last-Subject-Sequence": "0", EFFORT_HEADER: json.dumps(effort)}
    try:
        await jetstream.publish(subject, result, headers=headers, stream=RESULT_STREAM)
    except APIError as error:
        if error.err_code != WRONG_LAST_SEQUENCE:
            raise
        standing = await read_result(client, job_id)
        return standing if standing is not None else result
    return result


async def read_result(client: Client, job_id: str) -> bytes | None:
    """Return the terminal result of a job; None where it has none."""
    message = await _result_message(client, job_id)
    return message.data if message is not None else None


async def is_answer_to(client: Client, job_id: str, message_identity: str) -> bool:
    """Whether the terminal result of a job is the answer to this very message, not to another with the same job id."""
    message = await _result_message(client, job_id)
    if message is None:
        return False
    effort = json.loads((message.headers or {}).get(EFFORT_HEADER, "{}"))
    return bool(effort.get("message") == message_identity)


async def _result_message(client: Client, job_id: str) -> RawStreamMsg | None:
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        return await jetstream.get_last_msg(RESULT_STREAM, f"visualization.results.{job_id}")
    except NotFoundError:
        return None


async def write_dead_letter(client: Client, job_id: str, letter: dict[str, Any]) -> None:
    """Keep a job that was given up; written twice, it is kept once.

    A job that is too large for one message, its secrets sealed, is left out; its size and SHA-256 stay.
    """
    body = json.dumps(letter, ensure_ascii=False).encode()
    if len(body) > client.max_payload - HEADER_ROOM:
        job = json.dumps(letter["job"], ensure_ascii=False).encode()
        about = {"bytes": len(job), "sha256": hashlib.sha256(job).hexdigest()}
        body = json.dumps({**letter, "job": None, "job_left_out": about}, ensure_ascii=False).encode()
    await client.jetstream(timeout=REQUEST_SECONDS).publish(f"visualization.dead.{job_id}", body, stream=DEAD_STREAM)


def dead_letter(record: JobRecord, error: str, sealed_job: bytes, now: float) -> dict[str, Any]:
    """Write down a job that was given up: why, after how many attempts, and the job itself, secrets sealed."""
    about = {"job_id": record.job_id, "error": error, "failures": record.failures, "lost": record.lost, "at": now}
    sender = {"partition": record.partition, "traceparent": record.traceparent}
    return {**about, **sender, "job": json.loads(sealed_job)}


async def read_dead_letters(client: Client) -> dict[str, dict[str, Any]]:
    """Return every dead letter by job id, oldest first, each with its `number` in the stream."""
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    letters: dict[int, tuple[str, dict[str, Any]]] = {}
    try:
        subjects = await _subjects(client, DEAD_STREAM)
    except NotFoundError:
        return {}
    for subject in subjects:
        with contextlib.suppress(NotFoundError):
            message = await jetstream.get_last_msg(DEAD_STREAM, subject)
            letters[message.seq or 0] = subject.rpartition(".")[2], json.loads(message.data or b"{}")
    return {job_id: {**letter, "number": number} for number, (job_id, letter) in sorted(letters.items())}


async def remove_dead_letter(client: Client, number: int) -> None:
    """Remove exactly this dead letter, and none that came later; removing it twice is harmless."""
    try:
        await client.jetstream(timeout=REQUEST_SECONDS).delete_msg(DEAD_STREAM, number)
    except APIError as error:
        if error.err_code != NO_MESSAGE_FOUND:
            raise


async def renew_lease(client: Client, run_id: str, job_id: str, attempt: int, pid: int) -> None:
    """Say that a run's process is alive."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(LEASES)
    lease = {"job_id": job_id, "attempt": attempt, "pid": pid, "renewed": time.time()}
    await bucket.put(run_id, json.dumps(lease).encode())


async def read_lease(client: Client, run_id: str) -> Lease | None:
    """Return a run's lease; None if its process never renewed one."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(LEASES)
    try:
        entry = await bucket.get(run_id)
    except KeyNotFoundError:
        return None
    value = json.loads(entry.value or b"{}")
    return Lease(float(value["renewed"]), bool(value.get("timed_out")))


async def note_timeout(client: Client, run_id: str) -> None:
    """Write down that a run is ended because it took too long."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(LEASES)
    await bucket.put(run_id, json.dumps({"renewed": time.time(), "timed_out": True}).encode())


async def _bucket(client: Client, name: str, ttl_seconds: float, history: int = 1) -> KeyValue:
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        return await jetstream.key_value(name)
    except BucketNotFoundError:
        return await jetstream.create_key_value(KeyValueConfig(bucket=name, history=history, ttl=ttl_seconds or None))


async def _stream(
    client: Client, name: str, subject: str, days: float, retention: RetentionPolicy = RetentionPolicy.LIMITS
) -> None:
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        await jetstream.stream_info(name)
    except NotFoundError:
        await jetstream.add_stream(
            StreamConfig(
                name=name,
                subjects=[subject],
                retention=retention,
                max_age=days * DAY_SECONDS,
                discard=DiscardPolicy.OLD,
                max_msgs_per_subject=1 if retention is RetentionPolicy.LIMITS else -1,
            )
        )


async def note_cancel(client: Client, job_id: str) -> None:
    """Remember that a job is to be canceled whose message may not have been taken in yet."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(CANCELS)
    await bucket.put(job_id, b"{}")


async def canceled_jobs(client: Client) -> set[str]:
    """Return the ids of the jobs that somebody asked to cancel within the last day."""
    return set(await _keys(client, CANCELS))


async def read_newest(client: Client, pages: Iterable[str]) -> dict[str, tuple[str, tuple[int, int]]]:
    """Return for those of the pages that were ever made its newest job: the id and when it was accepted."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(PAGES)
    newest = {}
    for page in set(pages):
        try:
            value = json.loads((await bucket.get(page)).value or b"{}")
        except KeyNotFoundError:
            continue
        newest[page] = (value["job_id"], (value["accepted"][0], value["accepted"][1]))
    return newest


async def claim_page(client: Client, record: JobRecord) -> bool:
    """Write down that this job makes its page, unless a newer one did; return whether it may."""
    bucket = await client.jetstream(timeout=REQUEST_SECONDS).key_value(PAGES)
    value = json.dumps({"job_id": record.job_id, "accepted": record.accepted}).encode()
    while True:
        try:
            entry = await bucket.get(record.page)
        except KeyNotFoundError:
            revision = 0
        else:
            revision = entry.revision or 0
            if tuple(json.loads(entry.value or b"{}")["accepted"]) > record.accepted:
                return False
        with contextlib.suppress(KeyWrongLastSequenceError):  # somebody else did at this moment: look again
            await bucket.update(record.page, value, last=revision)
            return True


async def hear_cancels(client: Client) -> None:
    """Write down the jobs that waiting messages ask to cancel, then remove the messages."""
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    for _ in range((await jetstream.stream_info(CONTROL_STREAM)).state.messages):
        first = (await jetstream.stream_info(CONTROL_STREAM)).state.first_seq
        message = await jetstream.get_msg(CONTROL_STREAM, first)
        job_id = _job_id_of(message.data or b"")
        if job_id is not None:
            await note_cancel(client, job_id)
        await jetstream.delete_msg(CONTROL_STREAM, first)


def _job_id_of(payload: bytes) -> str | None:
    """Read a cancel message; anything else is dropped."""
    if len(payload) > MAX_CANCEL_BYTES:
        return None
    try:
        job_id = json.loads(payload)["job_id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    return job_id if isinstance(job_id, str) and re.fullmatch(r"[A-Za-z0-9_-]{1,64}", job_id) else None


async def _subjects(client: Client, stream: str) -> list[str]:
    info = await client.jetstream(timeout=REQUEST_SECONDS).stream_info(stream, subjects_filter=">")
    return sorted(info.state.subjects or {})


async def _keys(client: Client, bucket: str) -> list[str]:
    """List the keys of a bucket in one request; nats-py's own way makes a consumer each time."""
    prefix = f"$KV.{bucket}."
    return [subject.removeprefix(prefix) for subject in await _subjects(client, f"KV_{bucket}")]
