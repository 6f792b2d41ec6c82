"""What is told about the machine."""

import numpy as np

from vis_assets.operations.bench.machine import busy_cpu_seconds, describe_machine, peak_rss_bytes


def test_machine_and_versions() -> None:
    """A report names the machine and the versions of what was measured."""
    machine = describe_machine()
    assert machine["cores"] >= 1
    assert machine["memory_bytes"] > 2**28
    assert machine["versions"]["umap-learn"]


def test_peak_memory_remembers_what_is_gone() -> None:
    """The peak covers memory that was given back."""
    before = peak_rss_bytes()
    np.ones(before // 8 + 10**7).sum()
    assert peak_rss_bytes() > before


def test_busy_time_grows() -> None:
    """Work of any process is counted."""
    before = busy_cpu_seconds()
    sum(range(3_000_000))
    assert busy_cpu_seconds() > before
