"""An application on the other side of NATS, written with nats-py alone: it publishes jobs and hears everything."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self, TypeVar

import nats
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

STREAM = "VISUALIZATION_TRANSFORMS"
CONSUMER = "visualization-transform-workers"
JOBS = "workers.visualization-transform"
CANCELS = "workers.visualization-transform.cancel"
RESULTS = "worker.result.visualization"
TERMINAL = {"completed", "success", "failed", "canceled"}
PATIENCE_SECONDS = 300.0

T = TypeVar("T")
Message = dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """A message that arrived, and when (seconds, monotonic)."""

    body: Message
    raw: bytes
    at: float


class Application:
    """Publishes jobs on a real connection and keeps every message that is said about any job."""

    def __init__(self, url: str) -> None:
        """Connect to this address."""
        self._url = url
        self._client = Client()
        self._loop = asyncio.new_event_loop()
        self._news = threading.Condition()
        self.heard: list[Heard] = []
        self.published: dict[str, tuple[int, float]] = {}
        """Job id -> (sequence in the stream, when it was published)."""

    def open(self) -> Self:
        """Connect and listen."""
        threading.Thread(target=self._loop.run_forever, name="application", daemon=True).start()
        self._run(self._listen)
        return self

    def close(self) -> None:
        """Disconnect."""
        self._run(lambda client: client.close())
        self._loop.call_soon_threadsafe(self._loop.stop)

    def publish(self, job: Message, headers: dict[str, str] | None = None) -> int:
        """Publish a job; return its sequence."""
        sequence = self.publish_bytes(json.dumps(job).encode(), headers)
        self.published[str(job["job_id"])] = (sequence, time.monotonic())
        return sequence

    def publish_bytes(self, payload: bytes, headers: dict[str, str] | None = None) -> int:
        """Publish anything; return its sequence."""

        async def send(client: Client) -> int:
            return (await client.jetstream().publish(JOBS, payload, headers=headers)).seq

        return self._run(send)

    def cancel(self, job_id: str) -> None:
        """Ask for the end of a job."""
        body = json.dumps({"job_id": job_id}).encode()
        self._run(lambda client: client.jetstream().publish(CANCELS, body))

    def about(self, job_id: str | None) -> list[Message]:
        """Everything heard about a job so far, in order."""
        with self._news:
            return [heard.body for heard in self.heard if heard.body["jobId"] == job_id]

    def result(self, job_id: str) -> Message:
        """Wait for the terminal result of a job."""
        return self.wait_for(lambda message: message["jobId"] == job_id and message["status"] in TERMINAL, job_id)

    def wait_for(self, wanted: Callable[[Message], bool], what: str) -> Message:
        """Wait for the first message of a kind."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        with self._news:
            while True:
                found = next((heard.body for heard in self.heard if wanted(heard.body)), None)
                if found is not None:
                    return found
                if not self._news.wait(deadline - time.monotonic()):
                    raise AssertionError(f"nothing was heard of {what}")

    def seconds_to_result(self, job_id: str) -> float:
        """From publishing a job to hearing its result."""
        self.result(job_id)
        heard = next(h for h in self.heard if h.body["jobId"] == job_id and h.body["status"] in TERMINAL)
        return heard.at - self.published[job_id][1]

    def is_acknowledged(self, sequence: int) -> bool:
        """Whether the stream has let go of a message."""

        async def look(client: Client) -> bool:
            try:
                await client.jetstream().get_msg(STREAM, sequence)
            except NotFoundError:
                return True
            return False

        return self._run(look)

    def has_stream(self) -> bool:
        """Whether the stream of jobs and its consumer exist."""

        async def look(client: Client) -> bool:
            try:
                await client.jetstream().consumer_info(STREAM, CONSUMER)
            except NotFoundError:
                return False
            return True

        return self._run(look)

    def queue(self) -> tuple[int, int, int]:
        """Messages in the stream, messages never handed out, messages handed out and not acknowledged."""

        async def look(client: Client) -> tuple[int, int, int]:
            stream = await client.jetstream().stream_info(STREAM)
            consumer = await client.jetstream().consumer_info(STREAM, CONSUMER)
            return stream.state.messages, consumer.num_pending or 0, consumer.num_ack_pending or 0

        return self._run(look)

    async def _listen(self, _client: Client) -> None:
        self._client = await nats.connect(self._url)
        await self._client.subscribe(RESULTS, cb=self._hear)
        await self._client.flush()

    async def _hear(self, message: Msg) -> None:
        with self._news:
            self.heard.append(Heard(json.loads(message.data), message.data, time.monotonic()))
            self._news.notify_all()

    def _run(self, call: Callable[[Client], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(call(self._client), self._loop).result(30)


def eventually(condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    """Wait until something is so; fail where it never is."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"it did not come to this: {what}"
        time.sleep(0.2)
