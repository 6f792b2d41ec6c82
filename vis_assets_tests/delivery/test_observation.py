"""What is read for health and metrics, from a real NATS server."""

import json
from dataclasses import replace

import pytest

from vis_assets.delivery import leadership, ledger, observation
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.job_stream import ensure_stream
from vis_assets.protocol.subjects import JOB_SUBJECT

pytestmark = pytest.mark.enable_socket

RECORD = JobRecord("a", "7", 1, "o", (1, 1), "reply")


def result(status: str) -> bytes:
    return json.dumps({"status": status}).encode()


def test_missing_streams_are_seen(nats: NatsConnection) -> None:
    """Without streams there is nothing to count, and that is told apart from an empty queue."""
    assert nats.run(observation.read_queue).waiting is None
    assert nats.run(lambda c: observation.read_settled(c, 0)) == ([], 0)


def test_the_queue_is_counted(nats: NatsConnection) -> None:
    """Waiting messages, open jobs, dead letters and the last tick are seen."""
    nats.run(ensure_stream)
    nats.run(lambda c: ledger.ensure(c, 1.0, 1.0))
    nats.run(leadership.ensure_workers)
    nats.run(lambda c: c.jetstream().publish(JOB_SUBJECT, b"{}"))
    nats.run(lambda c: ledger.create_record(c, RECORD))
    nats.run(lambda c: ledger.write_dead_letter(c, "dead", {"job": None}))
    nats.run(lambda c: leadership.note_tick(c, "w"))
    queue = nats.run(observation.read_queue)
    assert (queue.waiting, list(queue.records), queue.dead_letters) == (1, [RECORD], 1)
    assert queue.tick is not None


def test_results_are_read_once_with_what_they_took(nats: NatsConnection) -> None:
    """Each result is read once, in either dialect, with the failures behind it."""
    nats.run(lambda c: ledger.ensure(c, 1.0, 1.0))
    tried = replace(RECORD, failures=2, lost=1)
    given_up = replace(RECORD, job_id="b", failures=6)
    nats.run(lambda c: ledger.write_result(c, tried, result("success")))
    nats.run(lambda c: ledger.write_result(c, given_up, result("failed"), given_up=True))
    settled, place = nats.run(lambda c: observation.read_settled(c, 0))
    assert [(s.job_id, s.outcome, s.retries, s.lost, s.given_up) for s in settled] == [
        ("a", "completed", 3, 1, False),
        ("b", "failed", 5, 0, True),
    ]
    assert nats.run(lambda c: observation.read_settled(c, place)) == ([], place)
    nats.run(lambda c: ledger.write_result(c, replace(RECORD, job_id="c"), result("canceled")))
    more, _ = nats.run(lambda c: observation.read_settled(c, place))
    assert [(s.job_id, s.outcome, s.retries) for s in more] == [("c", "canceled", 0)]
