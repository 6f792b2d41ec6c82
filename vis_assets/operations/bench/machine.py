"""On what it was measured: the machine and the versions."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

TRIES = 3
PACKAGES = (
    "vis_assets",
    "numpy",
    "scipy",
    "scikit-learn",
    "numba",
    "umap-learn",
    "pynndescent",
    "hdbscan",
    "datamapplot",
    "distributed",
    "dagster",
)


def describe_machine() -> dict[str, Any]:
    """Return cpu, cores (that this process may use), memory_bytes, system, python and the versions of the packages."""
    return {
        "cpu": first_value(Path("/proc/cpuinfo"), "model name") or platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def measure_limits() -> dict[str, float]:
    """Return what this machine can do at best, measured in two seconds, the best of some tries.

    Returns:
        `sgemm_gflops`: float32 matrix products by BLAS on all cores, 10^9 operations a second. `read_gb_per_second`:
        the largest of 512 MB on one core. `gathers_per_second`: reads of 8 bytes at random from 512 MB, on one core.
        `process_start_seconds`: a Python process that imports dagster and ends.
    """
    matrix = np.ones((3000, 3000), dtype=np.float32)
    memory = np.ones(2**26)
    places = np.random.default_rng(0).integers(0, len(memory), 2**21)
    importing = [sys.executable, "-c", "import dagster"]
    return {
        "sgemm_gflops": 2 * 3000**3 / _best_seconds(lambda: matrix @ matrix) / 1e9,
        "read_gb_per_second": memory.nbytes / _best_seconds(memory.max) / 1e9,
        "gathers_per_second": len(places) / _best_seconds(lambda: memory.take(places)),
        "process_start_seconds": _best_seconds(lambda: subprocess.run(importing, check=True)),  # noqa: S603 - ourselves
    }


def peak_rss_bytes() -> int:
    """Return the most memory that this process has ever had resident, without its children."""
    return int(first_value(Path("/proc/self/status"), "VmHWM").split()[0]) * 1024


def busy_cpu_seconds() -> float:
    """Return for how long the cores of this machine have worked, all processes and cores together, since it started."""
    user, nice, system, _idle, _iowait, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:]
    return sum(map(int, (user, nice, system, irq, softirq))) / os.sysconf("SC_CLK_TCK")


def _best_seconds(work: Callable[[], object]) -> float:
    best = float("inf")
    for _ in range(TRIES):
        started = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - started)
    return best


def first_value(path: Path, key: str) -> str:
    """Return what stands after `key:` in the first such line of a file, "" where there is none."""
    lines = path.read_text().splitlines() if path.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == key), "")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
