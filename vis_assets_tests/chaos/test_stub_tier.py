"""The stub tier, small: many jobs on few pages, real delivery, computed runs; nearly every process dies."""

from pathlib import Path

import pytest

from vis_assets_tests.chaos.stub.__main__ import run

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(500)]


def test_many_jobs_on_few_pages_survive_kills_and_zombies(tmp_path: Path) -> None:
    """Whatever dies or wakes up late, each job has one result, and each page is that of its newest completed job."""
    battle = run(tmp_path, jobs=60, kills=16, seed=5, patience_seconds=300, slots=4, max_attempts=3)
    assert battle.verdict.is_clean, battle.table(seed=5)
    assert battle.verdict.pages > 0
