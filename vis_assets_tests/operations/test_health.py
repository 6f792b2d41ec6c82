"""Readiness as a pure function: what the worker knows, and what it says."""

from dataclasses import replace

import pytest

from vis_assets.delivery.job_record import JobRecord, JobState
from vis_assets.delivery.leadership import Tick
from vis_assets.delivery.observation import Queue, Settled
from vis_assets.operations.health import State, reasons, tick_age
from vis_assets.operations.watch import Sight, Totals

WALL, CLOCK = 1_000_000.0, 5_000.0
LEADING = State(holder="w:1", leads=True, leader="w:1", daemon_seconds=500.0)
RECORD = JobRecord("job", "7", 1, "o", (1, 1), "reply")
QUEUE = Queue(waiting=0, tick=Tick("w:1", WALL - 5))
WELL = Sight(queue=QUEUE, queue_at=CLOCK - 1, store_seen=True)


def named(state: State, sight: Sight) -> list[str]:
    return [reason.name for reason in reasons(state, sight, WALL, CLOCK)]


def seeing(**changes: object) -> Sight:
    return replace(WELL, queue=replace(QUEUE, **changes))  # type: ignore[arg-type]


def test_a_leader_that_ticks_is_ready() -> None:
    """With servers that answer and a fresh tick there is no reason."""
    assert named(LEADING, WELL) == []


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (replace(LEADING, draining=True), ["draining"]),
        (State("w:1", leads=False, leader="v:2"), ["standby"]),
        (State("w:1", leads=False), ["starting"]),
        (State("w:1", leads=False, leader="w:1"), ["starting"]),
        (replace(LEADING, daemon_seconds=None), ["starting"]),
    ],
)
def test_the_role_is_a_reason(state: State, expected: list[str]) -> None:
    """A worker that drains, stands by or has no daemon yet says so, and nothing of ticks."""
    assert named(state, WELL) == expected


@pytest.mark.parametrize(
    ("sight", "expected"),
    [
        (replace(WELL, nats_error="no"), "nats"),
        (replace(WELL, queue_at=CLOCK - 60), "nats"),
        (seeing(waiting=None), "consumer"),
        (replace(WELL, store_error="no"), "store"),
        (replace(WELL, store_seen=False), "store"),
        (replace(WELL, store_asked=CLOCK - 60), "store"),
    ],
)
def test_a_server_that_does_not_answer_is_a_reason(sight: Sight, expected: str) -> None:
    """A server that refuses, or never answers, is named."""
    assert named(LEADING, sight) == [expected]


def test_a_stale_tick_is_a_reason() -> None:
    """A tick older than a minute is stale, also where it is that of an earlier leader."""
    assert named(LEADING, seeing(tick=Tick("w:1", WALL - 61))) == ["stale tick"]
    assert "stale tick" in named(LEADING, seeing(tick=Tick("v:2", WALL)))


def test_a_new_daemon_has_time_for_its_first_tick() -> None:
    """Before its first tick a worker is starting, whatever ticks there were before."""
    young = replace(LEADING, daemon_seconds=20.0)
    assert named(young, seeing(tick=Tick("v:2", WALL - 900))) == ["starting"]
    assert tick_age(young, QUEUE, WALL) == 5.0
    assert tick_age(young, seeing(tick=None).queue, WALL) == 20.0


def test_an_attempt_that_takes_too_long_is_a_reason() -> None:
    """An attempt that PROCESSING_TIMEOUT_SECS should have ended makes the worker unready."""
    slow = replace(RECORD, state=JobState.RUNNING, requested_at=WALL - 4000)
    assert named(LEADING, seeing(records=[slow])) == ["overdue"]


def test_recent_failures_degrade() -> None:
    """Three jobs in trouble and none completed make a worker degraded; failures of the senders never do."""
    troubled = [replace(RECORD, job_id=f"j{i}", failures=1) for i in range(2)]
    sight = seeing(records=troubled)
    given_up = Settled("x", "failed", WALL - 60, failures=6, given_up=True)
    assert named(LEADING, replace(sight, totals=Totals().plus([given_up]))) == ["degraded"]
    done = Settled("y", "completed", WALL - 60)
    assert named(LEADING, replace(sight, totals=Totals().plus([given_up, done]))) == []
    refused = [Settled(f"r{i}", "failed", WALL - 60) for i in range(9)]
    assert named(LEADING, replace(WELL, totals=Totals().plus(refused))) == []
