"""The short tier of chaos: a few real jobs through the whole system while it is attacked."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from vis_assets_tests.chaos.__main__ import begin, run
from vis_assets_tests.chaos.clocks import be_away
from vis_assets_tests.chaos.victims import give_back_disks

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(600)]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder whose disks are given back."""
    yield tmp_path
    give_back_disks(tmp_path)


def test_a_few_jobs_survive_a_few_attacks(home: Path):
    """Whatever dies, each valid job has one terminal record, each broken one its error result, and nothing is left."""
    verdict = run(begin(home, jobs=8, kills=8, seed=11), patience_seconds=500)
    assert verdict.is_clean, verdict


def test_nothing_is_run_twice_after_a_long_absence(home: Path):
    """The daemon comes back after ack_wait and the lease ran out: every job has one run, one record and one result."""
    # Both clocks go twice as fast as where the lease is 60 s and somebody else's consumer waits a minute.
    found = be_away(home, ack_wait_seconds=30.0, lease_seconds=30.0)
    assert found.under_way >= 1, "somebody worked while the daemon was away"
    assert found.verdict.is_clean, found.verdict
    assert found.verdict.wire_repeats == 0
    assert set(found.runs.values()) == {1}, found.runs
