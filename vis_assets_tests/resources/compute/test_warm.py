"""Warming up: what is compiled once stays compiled."""

import json
import subprocess
import sys
from pathlib import Path

from vis_assets.resources.compute.warm import find_code_cache

ROOT = Path(__file__).parent.parent.parent.parent
CLUSTER = """
import json
import numpy as np
from vis_assets.mapping.clustering import cluster
from vis_assets.resources.compute.warm import find_code_cache
before = find_code_cache()
cluster(np.random.default_rng(0).normal(size=(300, 2)).astype(np.float32), min_cluster_size=15, min_samples=5)
cache = find_code_cache()
folders = [str(folder) for folder in cache.folders]
print(json.dumps([before.loaded + before.compiled, cache.loaded, cache.compiled, folders]))
"""


def test_second_process_compiles_nothing():
    """A process that clusters after another one did finds all code compiled."""
    for _ in range(2):
        shown = subprocess.run(
            [sys.executable, "-c", CLUSTER], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout
    before, loaded, compiled, folders = json.loads(shown)
    assert before == 0
    assert loaded > 0
    assert compiled == 0
    assert any(Path(folder).match("vis_assets/mapping/clustering/*") for folder in folders)


def test_cache_can_be_looked_at_in_any_process():
    """Looking for compiled code fails in no process, whatever modules it has imported."""
    assert find_code_cache().loaded >= 0
