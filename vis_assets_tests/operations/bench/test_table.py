"""Reports on a terminal."""

import io

from rich.console import Console
from rich.table import Table

from vis_assets.operations.bench.jobs import JobsReport
from vis_assets.operations.bench.noop import NoopReport
from vis_assets.operations.bench.pipeline import Agreement, Measured, PipelineReport, Quality
from vis_assets.operations.bench.table import jobs_table, notes, pipeline_heading, pipeline_table

MACHINE = {
    "cpu": "abacus",
    "cores": 2,
    "memory_bytes": 2**34,
    "python": "3.11.0",
    "versions": {"numpy": "2.0.0"},
    "sgemm_gflops": 1.0,
    "read_gb_per_second": 2.0,
    "gathers_per_second": 3e6,
    "process_start_seconds": 4.0,
}


def measured(engine: str, seconds: float, quality: float) -> Measured:
    stages = {"layout": seconds, "layout/graph": seconds / 2, "clusters": 0.25, "page": 0.25}
    return Measured(engine, 5000, 64, stages, seconds + 0.5, 2**30, Quality(quality, quality, 1.0), 7)


def printed(table: Table) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def row(text: str, name: str) -> list[str]:
    """Cells of the row of this name."""
    [line] = [line for line in text.splitlines() if line.startswith(f"| {name} ")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_two_engines_are_compared() -> None:
    """With two engines the table says how many times faster the first is, and how their quality differs."""
    pair = (measured("fast", 1.5, 0.93), measured("spec", 9.5, 0.95))
    report = PipelineReport(pair, Agreement(0.97, 0.98), cold=False, on_cluster=False, about="words")
    text = printed(pipeline_table(report))
    assert row(text, "total") == ["2.00 s", "10.00 s", "5.00 x"]
    assert row(text, "layout/graph") == ["0.75 s", "4.75 s", "6.33 x"]
    assert row(text, "trustworthiness") == ["0.9300", "0.9500", "-0.0200"]
    assert row(text, "cluster count") == ["7", "7", ""]
    told = "\n".join(notes(report, MACHINE))
    assert "0.9700" in told
    assert "abacus" in told
    assert pipeline_heading(report) == "5,000 x 64, words (warm: imported and compiled before)"


def test_one_engine_alone() -> None:
    """One engine has no column of ratios, and a cold start says what its total holds."""
    report = PipelineReport((measured("fast", 1.5, 0.9),), None, cold=True, on_cluster=True, about="words")
    assert row(printed(pipeline_table(report)), "total") == ["2.00 s"]
    assert "start of the process" in notes(report, MACHINE)[0]
    assert "warm Dask worker" in pipeline_heading(report)


def test_jobs_stand_beside_runs_that_do_nothing() -> None:
    """Latency and throughput are shown with those of a graph that does nothing."""
    report = JobsReport(20, 1000, 12.0, 30.0, 5.0, 6.0, 15.5, 4.0, NoopReport(20, 40.0, 1.5, 1.6))
    text = printed(jobs_table(report))
    assert row(text, "median, one after the other") == ["5.00 s", "1.50 s"]
    assert row(text, "at once, a minute") == ["15.5", "40.0"]
