"""The whole graph with its heavy work on a Dask worker."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vis_assets_tests.resources.compute.conftest import running_cluster

pytestmark = pytest.mark.enable_socket


def test_a_run_with_a_worker_imports_nothing_heavy(tmp_path: Path) -> None:
    """Every stage that takes long is done by the worker; the run gets its map, its progress, and no warning."""
    (tmp_path / "run").mkdir()
    with running_cluster(tmp_path / "cluster", 1, "4 GB") as (cluster, _):
        ended = subprocess.run(
            [sys.executable, "-m", "vis_assets_tests.assets.on_dask", str(tmp_path / "run")],
            env={**os.environ, **cluster.environment},
            capture_output=True,
            text=True,
            timeout=240,
            check=True,
        )
    said = json.loads(ended.stdout.splitlines()[-1])
    assert said["status"] == "completed"
    assert said["imported"] == ["distributed"]
    assert said["clusters"] == 3
    assert said["warnings"] == []
    assert said["percents"] == sorted(said["percents"])
    assert said["percents"][-1] == 100
