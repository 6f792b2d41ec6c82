"""Calls that are spaced."""

from concurrent.futures import ThreadPoolExecutor

from vis_assets.llm.pace import Pace
from vis_assets_tests.manual_clock import Clock


def test_calls_are_spaced_evenly() -> None:
    """With 30 requests a minute, the first call begins at once and each other one two seconds after the last."""
    clock = Clock()
    pace = Pace(30, clock, clock.sleep)
    assert [pace.wait(200) for _ in range(3)] == [True] * 3
    assert clock.slept == [2.0, 2.0]


def test_a_pause_saves_nothing_up() -> None:
    """After a pause the calls are spaced as before, not sent in a burst."""
    clock = Clock()
    pace = Pace(30, clock, clock.sleep)
    pace.wait(1000)
    clock.now += 60
    pace.wait(1000)
    pace.wait(1000)
    assert clock.slept == [2.0]


def test_without_a_pace_nobody_waits() -> None:
    """Any number of calls begin at once where no pace is set."""
    clock = Clock()
    pace = Pace(None, clock, clock.sleep)
    assert all(pace.wait(100) for _ in range(50))
    assert clock.slept == []


def test_a_turn_after_the_deadline_is_not_waited_for() -> None:
    """A call whose turn would come too late is told so at once, and takes no turn from others."""
    clock = Clock()
    pace = Pace(30, clock, clock.sleep)
    pace.wait(200)
    assert not pace.wait(101)
    assert clock.slept == []
    assert pace.wait(102)


def test_threads_share_one_pace() -> None:
    """Each of several threads gets a turn of its own."""
    slept: list[float] = []
    pace = Pace(60, lambda: 0.0, slept.append)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: pace.wait(1000), range(20)))
    assert sorted(slept) == [float(turn) for turn in range(1, 20)]


def test_calls_that_did_not_wait_are_made_up_for() -> None:
    """After two calls that waited for no turn, the next one waits for theirs, too."""
    clock = Clock()
    pace = Pace(30, clock, clock.sleep)
    pace.wait(200)
    pace.skip(2)
    pace.wait(200)
    assert clock.slept == [6.0]
