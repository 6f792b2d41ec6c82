"""The trace context of a job's sender, on everything that is said about the job."""

from collections.abc import Iterator

import pytest
from dagster import DagsterRun
from nats.aio.client import Client
from nats.aio.msg import Msg

from vis_assets.delivery.run_tags import TRACEPARENT
from vis_assets.operations.embedded_servers import EmbeddedNats
from vis_assets.protocol.result import Status
from vis_assets.protocol.stages import Stage
from vis_assets.protocol.subjects import JOB_SUBJECT
from vis_assets.protocol.trace_context import read_traceparent, trace_headers, well_formed
from vis_assets.resources.progress import NatsProgress
from vis_assets.resources.specs import Spec
from vis_assets_tests.delivery import test_reconcile
from vis_assets_tests.delivery.test_reconcile import SUBJECT, Bench, job
from vis_assets_tests.protocol.messages import encoded, parsed

pytestmark = pytest.mark.enable_socket

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-00"
MALFORMED = [
    "",
    "CANARY",
    TRACE.upper(),
    TRACE[:-1],
    TRACE + "-more",
    TRACE + "\n",
    TRACE + "\r\nNats-Msg-Id: x",
    "ff" + TRACE[2:],
    TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    TRACE.replace("b7ad6b7169203331", "0" * 16),
    TRACE.replace("-", "_"),
    "\u0660\u0660" + TRACE[2:],
]

bench = test_reconcile.bench


class Listener:
    """The headers of everything that is published about jobs."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._heard: list[str | None] = []

        async def hear(message: Msg) -> None:
            self._heard.append((message.headers or {}).get("traceparent"))

        async def listen(client: Client) -> None:
            self.subscription = await client.subscribe(SUBJECT, cb=hear)

        bench.connection.run(listen)

    def heard(self) -> list[str | None]:
        """The traceparent of each message since the last call."""
        self._bench.connection.run(lambda c: c.flush())
        heard, self._heard = self._heard, []
        return heard

    def stop(self) -> None:
        """Listen no more."""
        self._bench.connection.run(lambda _: self.subscription.unsubscribe())


@pytest.fixture
def listener(bench: Bench) -> Iterator[Listener]:
    """Somebody who looks at headers."""
    made = Listener(bench)
    yield made
    made.stop()


def publish(bench: Bench, payload: bytes, **headers: str) -> None:
    bench.connection.run(lambda c: c.jetstream().publish(JOB_SUBJECT, payload, headers=headers))


def test_progress_retries_and_the_result_carry_it(bench: Bench, listener: Listener) -> None:
    """Everything said about a job from its start over a retry to its result is in the trace of its sender."""
    publish(bench, encoded(job()), traceparent=TRACE)
    bench.tick()
    assert listener.heard() == [TRACE]
    bench.dagster.end(bench.run_key(), Status.FAILED, ("SourceUnavailable", "Qdrant is down"))
    bench.tick()
    assert listener.heard() == [TRACE]
    bench.now += 31
    bench.tick()
    bench.make_page("job-1", 2)
    bench.dagster.end(bench.run_key())
    bench.tick()
    assert listener.heard() == [TRACE]


def test_a_repeated_question_is_answered_in_its_own_trace(bench: Bench, listener: Listener) -> None:
    """Who sends a finished job again gets the result in the trace of that message."""
    publish(bench, encoded(job()), traceparent=TRACE)
    bench.tick()
    bench.make_page("job-1", 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    listener.heard()
    publish(bench, encoded(job()), traceparent=OTHER)
    bench.tick()
    assert listener.heard() == [OTHER]


def test_an_invalid_message_is_answered_in_its_trace(bench: Bench, listener: Listener) -> None:
    """An error result has the header too, whether the message was JSON or not."""
    publish(bench, b"no json", traceparent=TRACE)
    publish(bench, encoded(job(owner="")), Traceparent=OTHER)
    bench.tick()
    assert listener.heard() == [TRACE, OTHER]


@pytest.mark.parametrize("headers", [{}, {"traceparent": "CANARY"}, {"traceparent": TRACE.upper()}])
def test_without_a_valid_one_there_is_no_header(bench: Bench, listener: Listener, headers: dict[str, str]) -> None:
    """A job without a traceparent, or with a malformed one, is answered without one."""
    publish(bench, encoded(job()), **headers)
    bench.tick()
    bench.make_page("job-1", 1)
    bench.dagster.end(bench.run_key())
    bench.tick()
    assert listener.heard() == [None, None]


@pytest.mark.parametrize(("tag", "expected"), [(TRACE, TRACE), ("CANARY\r\nx: y", None), (None, None)])
def test_progress_of_a_run_carries_that_of_its_tag(
    bench: Bench, listener: Listener, nats_server: EmbeddedNats, tag: str | None, expected: str | None
) -> None:
    """A run knows its sender's trace by its tag; what somebody else wrote there is not passed on."""
    tags = {"vis_assets/job_id": "job-1", "vis_assets/attempt": "1"} | ({TRACEPARENT: tag} if tag else {})
    read = parsed()
    progress = NatsProgress(nats_server.url, SUBJECT)
    progress.of(DagsterRun("j", tags=tags), Spec(read.job, read.dialect), Stage.CLUSTERING)(0, 10)
    progress.close()
    assert listener.heard() == [expected]


@pytest.mark.parametrize("text", MALFORMED)
def test_the_malformed_is_dropped(text: str) -> None:
    """Anything but version, trace id, parent id and flags as W3C writes them is nothing."""
    assert well_formed(text) is None
    assert trace_headers(text) == {}


def test_headers_are_read_in_any_case_and_once() -> None:
    """The header's name is read in any case; two of them are none."""
    assert read_traceparent({"Traceparent": TRACE}) == TRACE
    assert read_traceparent({"traceparent": TRACE, "TraceParent": OTHER}) is None
    assert read_traceparent(None) is None
