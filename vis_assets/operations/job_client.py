"""A client of the worker, as any application would write one: publish a job, follow its messages."""

import json
import queue
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from nats.aio.client import Client
from nats.aio.msg import Msg

from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection, arriving
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.errors import InvalidSetting
from vis_assets.protocol.job import JobEnvelope
from vis_assets.protocol.result import is_terminal
from vis_assets.protocol.subjects import JOB_SUBJECT, result_subject

Message = dict[str, Any]


@dataclass
class JobClient:
    """Publishes jobs and reads what is said about them.

    Attributes:
        access: where NATS is and what to show it.
        subject_template: the setting VIS_ASSETS_RESULT_SUBJECT.
    """

    access: NatsAccess | str
    subject_template: str

    def submit(self, job: Message) -> int:
        """Publish a job and return its sequence in the stream, which JetStream confirmed."""
        with NatsConnection(self.access, "vis-assets submit") as connection:
            return connection.run(lambda client: _publish(client, job))

    def run(
        self,
        job: Message,
        on_message: Callable[[Message], None],
        timeout_seconds: float,
        still_up: Callable[[], None] | None = None,
    ) -> Message:
        """Publish a job and follow it to its end.

        Args:
            job: the message, as a dict.
            on_message: called with each progress message of this job.
            timeout_seconds: how long to wait for the terminal result.
            still_up: called about once a second; raises to give up early.

        Returns:
            The terminal result.

        Raises:
            TimeoutError: no terminal result in time.
        """
        with NatsConnection(self.access, "vis-assets submit") as connection:
            inbox = _subscribe(connection, wildcard(self.subject_template))
            connection.run(lambda client: _publish(client, job))
            for message in _messages(inbox, timeout_seconds, still_up):
                if message.get("jobId") != job.get("job_id"):
                    continue
                if is_terminal(message):
                    return message
                on_message(message)
        raise TimeoutError(f"no result of job {job.get('job_id')} within {timeout_seconds:.0f} s")

    def wait_until_idle(self, timeout_seconds: float) -> bool:
        """Wait until every job is acknowledged; return whether that was so in time."""
        deadline = time.monotonic() + timeout_seconds
        with NatsConnection(self.access, "vis-assets wait") as connection:
            while connection.run(queue_depth) != (0, 0):
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.05)
        return True

    def watch(self, timeout_seconds: float | None = None) -> Iterator[Message]:
        """Yield every message about any job, as it comes."""
        with NatsConnection(self.access, "vis-assets watch") as connection:
            inbox = _subscribe(connection, wildcard(self.subject_template))
            yield from _messages(inbox, timeout_seconds, None)


def wildcard(template: str) -> str:
    """Return the subject that hears all results of a template: `*` for each token with a placeholder."""
    result_subject(template, JobEnvelope())
    subject = ".".join("*" if "{" in token else token for token in template.split("."))
    if subject.startswith("*"):
        raise InvalidSetting(f"VIS_ASSETS_RESULT_SUBJECT={template!r} must begin with a fixed token")
    return subject


async def _publish(client: Client, job: Message) -> int:
    await ensure_stream(client)
    receipt = await client.jetstream().publish(JOB_SUBJECT, json.dumps(job).encode(), timeout=5)
    return receipt.seq


def _subscribe(connection: NatsConnection, subject: str) -> "queue.SimpleQueue[Message]":
    inbox: queue.SimpleQueue[Message] = queue.SimpleQueue()

    async def receive(message: Msg) -> None:
        try:
            decoded = json.loads(message.data)
        except ValueError:
            return
        if isinstance(decoded, dict):
            inbox.put(decoded)

    async def subscribe(client: Client) -> None:
        async with arriving(client):
            await client.subscribe(subject, cb=receive)

    connection.run(subscribe)
    return inbox


def _messages(
    inbox: "queue.SimpleQueue[Message]", timeout_seconds: float | None, still_up: Callable[[], None] | None
) -> Iterator[Message]:
    deadline = time.monotonic() + timeout_seconds if timeout_seconds is not None else None
    while deadline is None or time.monotonic() < deadline:
        try:
            yield inbox.get(timeout=0.5)
        except queue.Empty:
            if still_up is not None:
                still_up()
