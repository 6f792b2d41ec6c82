"""The lease of the reconciler, on a real NATS server."""

import functools
import os
import subprocess
import sys

import pytest
from nats.aio.client import Client

from vis_assets.delivery import leadership
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.leadership import Candidate, Standing, is_gone, this_process
from vis_assets_tests.manual_clock import Clock

pytestmark = pytest.mark.enable_socket


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def bucket(nats: NatsConnection) -> NatsConnection:
    nats.run(leadership.ensure_workers)
    return nats


def stand(nats: NatsConnection, candidate: Candidate, *, draining: bool = False) -> Standing:
    return nats.run(lambda c: candidate.campaign(c, draining=draining))


async def _take(candidate: Candidate, revision: int, client: Client) -> Standing:
    return await candidate._write(client, revision, False)


def test_the_first_leads_and_the_second_stands_by(bucket: NatsConnection, clock: Clock) -> None:
    """One of two holds the lease, and both know who."""
    first, second = Candidate("a", 10, clock), Candidate("b", 10, clock)
    assert stand(bucket, first) == Standing(True, "a")
    assert stand(bucket, second) == Standing(False, "a")
    assert bucket.run(lambda c: leadership.standing_of(c, "a")).leads
    assert not bucket.run(lambda c: leadership.standing_of(c, "b")).leads


def test_a_silent_leader_is_replaced_and_learns_of_it(bucket: NatsConnection, clock: Clock) -> None:
    """After the lease's length without a renewal, counted from the first look, another takes over."""
    first, second = Candidate("a", 10, clock), Candidate("b", 10, clock)
    stand(bucket, first)
    clock.now += 1000
    assert not stand(bucket, second).leads, "its silence is measured from the first look on"
    clock.now += 9
    assert not stand(bucket, second).leads
    clock.now += 2
    assert stand(bucket, second) == Standing(True, "b")
    assert stand(bucket, first) == Standing(False, "b")


def test_a_leader_that_renews_stays(bucket: NatsConnection, clock: Clock) -> None:
    """However long another waits, a lease that is renewed is not free."""
    first, second = Candidate("a", 10, clock), Candidate("b", 10, clock)
    for _ in range(10):
        assert stand(bucket, first).leads
        assert not stand(bucket, second).leads
        clock.now += 9


def test_of_two_that_wait_one_takes_over(bucket: NatsConnection, clock: Clock) -> None:
    """Two who both see a free lease cannot both win: the revision decides."""
    stand(bucket, Candidate("a", 10, clock))
    waiting = [Candidate("b", 10, clock), Candidate("c", 10, clock)]
    for candidate in waiting:
        stand(bucket, candidate)
    clock.now += 11
    revision = bucket.run(leadership._read)[1]
    won = [bucket.run(functools.partial(_take, candidate, revision)).leads for candidate in waiting]
    assert won == [True, False]


def test_a_lease_given_back_is_free_at_once(bucket: NatsConnection, clock: Clock) -> None:
    """Nobody waits for a leader that has said farewell; a farewell of somebody else changes nothing."""
    first, second = Candidate("a", 10, clock), Candidate("b", 10, clock)
    stand(bucket, first)
    bucket.run(second.release)
    assert not stand(bucket, second).leads
    bucket.run(first.release)
    assert stand(bucket, second).leads


def test_draining_is_told(bucket: NatsConnection, clock: Clock) -> None:
    """A leader that drains says so at once, not only with its next renewal."""
    first = Candidate("a", 1000, clock)
    stand(bucket, first)
    assert stand(bucket, first, draining=True).draining
    assert bucket.run(lambda c: leadership.standing_of(c, "a")) == Standing(True, "a", draining=True)


def test_a_dead_process_of_this_machine_is_not_waited_for(bucket: NatsConnection, clock: Clock) -> None:
    """A leader whose process is gone is replaced without waiting for silence."""
    script = (
        "import sys; from vis_assets.delivery import leadership as l;"
        "from vis_assets.delivery.connection import NatsConnection as N\n"
        "with N(sys.argv[1], 'x') as n: print(n.run(l.Candidate('dead', 1000).campaign).leads)"
    )
    url = bucket._access.url
    said = subprocess.run([sys.executable, "-c", script, url], capture_output=True, text=True, check=True).stdout
    assert said == "True\n"
    assert stand(bucket, Candidate("b", 1000, clock)) == Standing(True, "b")


@pytest.mark.parametrize("name", ["", "x", "::", "other-boot:4026531836:1:1", "a:b:c:d"])
def test_of_other_machines_nothing_is_known(name: str) -> None:
    """A process that cannot be ours is never declared gone."""
    assert not is_gone(name)


def test_processes_are_told_apart() -> None:
    """This process is there; one with its pid that began at another time is gone."""
    assert not is_gone(this_process())
    machine, pid, started = this_process().rsplit(":", 2)
    assert int(pid) == os.getpid()
    assert is_gone(f"{machine}:{pid}:{int(started) - 1}")


def test_ticks(bucket: NatsConnection) -> None:
    """Nobody has ticked until somebody says so."""
    assert bucket.run(leadership.read_tick) is None
    bucket.run(lambda c: leadership.note_tick(c, "a"))
    tick = bucket.run(leadership.read_tick)
    assert tick is not None
    assert tick.holder == "a"
