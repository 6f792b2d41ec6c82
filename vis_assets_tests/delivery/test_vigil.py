"""Silence is only blamed on a run while somebody listened."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from vis_assets.delivery.vigil import GRACE_SECONDS, Vigil

LEASE = 60.0
T0 = 1e9


def watched(*looks: float) -> Vigil:
    """A vigil after looks at these times."""
    vigil = Vigil(LEASE)
    for moment in looks:
        vigil.look(T0 + moment)
    return vigil


def test_a_run_that_speaks_is_never_silent():
    """The age of the lease is what counts while looks come regularly."""
    vigil = watched(*range(0, 100, 5))
    assert vigil.silence(T0 + 93, T0 + 95) == 2


def test_silence_while_watched_is_the_runs_own():
    """A run that said nothing for longer than its lease, while it was looked for, counts as vanished."""
    vigil = watched(*range(0, 100, 5))
    assert vigil.silence(T0, T0 + 95) > LEASE


def test_after_an_outage_runs_get_a_moment():
    """NATS was away for ten minutes: nobody could renew; what does not renew within the grace is gone."""
    vigil = watched(0, 5, 605)
    assert vigil.silence(T0 + 4, T0 + 605) <= LEASE
    vigil.look(T0 + 605 + GRACE_SECONDS + 1)
    assert vigil.silence(T0 + 4, T0 + 605 + GRACE_SECONDS + 1) > LEASE
    assert vigil.silence(T0 + 607, T0 + 605 + GRACE_SECONDS + 1) < LEASE


def test_a_new_process_gives_the_same_moment():
    """A code server that was started again finds old leases of runs that may have died with the former one."""
    vigil = watched(0)
    assert vigil.silence(T0 - 300, T0) <= LEASE
    assert vigil.silence(T0 - 300, T0 + GRACE_SECONDS + 1) > LEASE


@given(st.lists(st.floats(1, 500), min_size=2, max_size=30))
def test_a_run_that_is_gone_is_found_however_seldom_one_looks(gaps: list[float]):
    """Of any two looks that follow a look by more than the grace, one finds the run that never speaks."""
    vigil, now, found = Vigil(LEASE), T0, []
    for gap in gaps:
        now += gap
        vigil.look(now)
        found.append((gap, vigil.silence(T0 - 1e6, now) > LEASE))
    for (first, seen), (second, seen_then) in pairwise(found):
        if first > GRACE_SECONDS and second > GRACE_SECONDS:
            assert seen or seen_then
