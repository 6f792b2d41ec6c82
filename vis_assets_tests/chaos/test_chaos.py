"""The short tier of chaos: a few real jobs through the whole system while it is attacked."""

from pathlib import Path

import pytest

from vis_assets_tests.chaos.__main__ import run

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(900)]


def test_a_few_jobs_survive_a_few_attacks(tmp_path: Path):
    """Whatever dies, each valid job has one terminal record, each broken one its error result, and nothing is left."""
    verdict, _ = run(tmp_path, jobs=10, kills=8, seed=11, patience_seconds=600)
    assert verdict.is_clean, verdict
