"""How long questions wait while no model can be asked."""

import logging

import pytest

from vis_assets.llm.rest import Rest
from vis_assets_tests.manual_clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rest(clock: Clock) -> Rest:
    return Rest(30.0, clock, clock.sleep)


def test_the_wait_ends_with_the_first_trial(rest: Rest, clock: Clock) -> None:
    """A question waits until the first of the models may be asked, and then asks."""
    assert rest.wait([lambda: 120.0, lambda: 110.0], 0, 1000.0)
    assert clock.now == 110.0


def test_all_waits_share_one_time(rest: Rest, clock: Clock) -> None:
    """The time runs from the first wait, so a later one has what is left of it."""
    assert rest.wait([lambda: 110.0], 0, 1000.0)
    clock.now = 115.0
    assert rest.wait([lambda: 129.0], 0, 1000.0)
    assert not rest.wait([lambda: 131.0], 0, 1000.0)


@pytest.mark.parametrize(("trial_at", "deadline"), [(131.0, 1000.0), (110.0, 109.0)])
def test_nobody_waits_in_vain(rest: Rest, clock: Clock, trial_at: float, deadline: float) -> None:
    """Where no model may be asked in time the wait is not begun."""
    assert not rest.wait([lambda: trial_at], 0, deadline)
    assert clock.now == 100.0


def test_a_trial_that_does_not_end_is_not_waited_for_longer(rest: Rest, clock: Clock) -> None:
    """While somebody's trial runs the others look again and again, until their time is over."""
    assert not rest.wait([lambda: clock.now + 0.25], 0, 1000.0)
    assert clock.now == pytest.approx(130.0, abs=0.3)


def test_an_answer_ends_the_wait_and_renews_the_time(rest: Rest, clock: Clock) -> None:
    """An answer to somebody lets the others ask at once, and the next wait has all the time."""

    def answered() -> float:
        if clock.now > 104.0:
            rest.answered()
        return 125.0

    assert rest.wait([answered], rest.answers, 1000.0)
    assert clock.now < 105.0
    assert rest.wait([lambda: 134.0], rest.answers, 1000.0)


def test_without_time_nobody_waits(clock: Clock) -> None:
    """A longest wait of 0 is no wait."""
    assert not Rest(0.0, clock, clock.sleep).wait([lambda: 101.0], 0, 1000.0)


def test_closing_ends_the_wait(rest: Rest, clock: Clock) -> None:
    """Who waits when it is closed is told not to ask, within a step."""

    def close() -> float:
        rest.close()
        return 110.0

    assert not rest.wait([close], 0, 1000.0)
    assert clock.now < 101.0


def test_a_wait_is_told_once(rest: Rest, caplog: pytest.LogCaptureFixture) -> None:
    """The log says once that questions wait, and how long at most."""
    with caplog.at_level(logging.INFO):
        for trial_at in (101.0, 102.0):
            rest.wait([lambda at=trial_at: at], 0, 1000.0)  # type: ignore[misc]
    assert [record.getMessage() for record in caplog.records] == [
        "no language model answers; questions wait up to 30 s for one"
    ]
