"""When a model that fails is left alone, and when it is tried again."""

import pytest

from vis_assets.llm.breaker import POLL_SECONDS, Breaker
from vis_assets_tests.manual_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock(0.0)


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures=3, seconds=30.0, clock=clock)


def fail(breaker: Breaker, times: int = 3) -> None:
    for _ in range(times):
        breaker.failed(is_brief=True)


def test_failures_in_a_row_open_it(breaker: Breaker) -> None:
    """Fewer failures than the limit let calls through; the last one stops them."""
    fail(breaker, 2)
    assert breaker.admit()
    fail(breaker, 1)
    assert breaker.is_open
    assert not breaker.admit()


def test_a_success_starts_the_count_anew(breaker: Breaker) -> None:
    """Failures count only in a row."""
    fail(breaker, 2)
    breaker.succeeded()
    fail(breaker, 2)
    assert breaker.admit()


def test_one_trial_is_let_through_after_a_while(breaker: Breaker, clock: Clock) -> None:
    """When its time is over exactly one call passes, until it is known what came of it."""
    fail(breaker)
    clock.now = 30.0
    assert [breaker.admit() for _ in range(3)] == [True, False, False]


def test_a_trial_that_succeeds_closes_it(breaker: Breaker, clock: Clock) -> None:
    """After a trial that was answered, all calls pass, and it takes all failures to open it again."""
    fail(breaker)
    clock.now = 30.0
    breaker.admit()
    breaker.succeeded()
    fail(breaker, 2)
    assert [breaker.admit() for _ in range(3)] == [True] * 3


def test_a_trial_that_fails_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    """One failed trial is enough to stop calls for as long as before."""
    fail(breaker)
    clock.now = 30.0
    breaker.admit()
    fail(breaker, 1)
    clock.now = 59.9
    assert not breaker.admit()
    clock.now = 60.0
    assert breaker.admit()


def test_a_trial_that_is_withdrawn_leaves_room_for_another(breaker: Breaker, clock: Clock) -> None:
    """A trial that said nothing about the server does not block the next one."""
    fail(breaker)
    clock.now = 30.0
    breaker.admit()
    breaker.withdrawn()
    assert breaker.admit()


def test_an_answer_to_an_earlier_call_closes_it(breaker: Breaker) -> None:
    """An answer to a call that began before it opened shows that the server is there."""
    fail(breaker)
    breaker.succeeded()
    assert breaker.admit()


def test_it_tells_when_a_call_may_be_let_through(breaker: Breaker, clock: Clock) -> None:
    """Closed: at any time. Open: after its time; while a trial runs, it is worth looking again soon."""
    assert breaker.trial_at < clock.now
    fail(breaker)
    assert breaker.trial_at == 30.0
    clock.now = 31.0
    breaker.admit()
    assert breaker.trial_at == 31.0 + POLL_SECONDS


def test_the_last_failure_tells_whether_to_wait(breaker: Breaker) -> None:
    """It is worth waiting for after a failure that cost no time, and not after one that did."""
    fail(breaker)
    assert breaker.is_worth_waiting_for
    breaker.failed(is_brief=False)
    assert not breaker.is_worth_waiting_for
