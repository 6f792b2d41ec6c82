"""The reports of `vis-assets bench` as tables on a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich import box
from rich.table import Table

from vis_assets.operations.bench.jobs import JobsReport
from vis_assets.operations.bench.opening import Opened
from vis_assets.operations.bench.pipeline import Measured, PipelineReport


def pipeline_heading(report: PipelineReport) -> str:
    """Say what was mapped, and how."""
    first = report.measured[0]
    how = "cold: fresh processes" if report.cold else "warm: imported and compiled before"
    worker = "; fast finds a warm Dask worker" if report.on_cluster else ""
    return f"{first.points:,} x {first.dim}, {report.about} ({how}{worker})"


def pipeline_table(report: PipelineReport) -> Table:
    """Show stages, memory and quality by engine; with two engines, how many times faster the first is."""
    table = Table(box=box.MARKDOWN)
    table.add_column("")
    for measured in report.measured:
        table.add_column(measured.engine, justify="right")
    is_comparison = len(report.measured) > 1
    if is_comparison:
        table.add_column("spec / fast", justify="right")
    for name in _stage_names(report):
        values = [measured.stages.get(name) for measured in report.measured]
        _add(table, name, [_seconds(value) for value in values], _ratio(values))
    totals = [measured.total_seconds for measured in report.measured]
    _add(table, "total", [_seconds(value) for value in totals], _ratio(totals))
    peaks = [measured.peak_rss_bytes / 2**30 for measured in report.measured]
    _add(table, "peak memory", [f"{value:.2f} GiB" for value in peaks], _ratio(peaks))
    for name in ("trustworthiness", "neighbor_preservation", "knn_recall"):
        shares = [getattr(measured.quality, name) for measured in report.measured]
        difference = f"{shares[0] - shares[-1]:+.4f}" if is_comparison else ""
        _add(table, name.replace("_", " "), [f"{value:.4f}" for value in shares], difference)
    _add(table, "cluster count", [str(measured.clusters) for measured in report.measured], "")
    return table


def notes(report: PipelineReport, machine: Mapping[str, Any]) -> list[str]:
    """Say what the table leaves out: agreement, what totals hold, machine and versions."""
    lines = []
    if report.agreement is not None:
        found = report.agreement
        lines.append(
            f"clusters of the fast layout (ARI): fast with hdbscan {found.fast_with_hdbscan:.4f}, "
            f"hdbscan with itself on shuffled rows {found.hdbscan_with_itself:.4f}"
        )
    if report.cold:
        lines.append("total: from the start of the process to the written page")
    else:
        lines.append("total: layout + clusters + page; names (keyphrases) is in no total, the spec pipeline has none")
    return [*lines, *machine_lines(machine)]


def machine_lines(machine: Mapping[str, Any]) -> list[str]:
    """Say on what it was measured, and what that can do at best, where that was measured too."""
    memory = f"{machine['memory_bytes'] / 2**30:.0f} GiB"
    lines = [
        f"{machine['cpu']}, {machine['cores']} cores, {memory}, Python {machine['python']}",
        ", ".join(f"{name} {version}" for name, version in machine["versions"].items()),
    ]
    if "sgemm_gflops" not in machine:
        return lines
    return [
        *lines,
        f"at best: float32 BLAS {machine['sgemm_gflops']:.0f} GFLOP/s, a core reads "
        f"{machine['read_gb_per_second']:.1f} GB/s in order and {machine['gathers_per_second'] / 1e6:.0f} million "
        "numbers/s at random, "
        f"a process that imports dagster {machine['process_start_seconds']:.2f} s",
    ]


def _stage_names(report: PipelineReport) -> list[str]:
    by_engine: list[Measured] = sorted(report.measured, key=lambda measured: -len(measured.stages))
    return list(dict.fromkeys(name for measured in by_engine for name in measured.stages))


def _add(table: Table, name: str, values: list[str], comparison: str) -> None:
    table.add_row(name, *values, *([comparison] if len(values) > 1 else []))


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f} s"


def _ratio(values: list[float | None] | list[float]) -> str:
    """Return how many times the first the last is."""
    first, last = values[0], values[-1]
    return f"{last / first:.2f} x" if first and last and len(values) > 1 else ""


def jobs_table(report: JobsReport) -> Table:
    """Show latency and throughput, with those of a graph that does nothing beside them."""
    table = Table(box=box.MARKDOWN)
    table.add_column(f"{report.jobs} jobs of {report.points:,} points")
    table.add_column("vis_assets", justify="right")
    table.add_column("no-op of stock Dagster", justify="right")
    noop = report.noop
    table.add_row("system starts", _seconds(report.start_seconds), "")
    table.add_row("first job, publish to result", _seconds(report.first_seconds), "")
    table.add_row("median, one after the other", _seconds(report.median_seconds), _seconds(noop.median_seconds))
    table.add_row("nine of ten, one after the other", _seconds(report.p90_seconds), "")
    table.add_row("at once, a minute", f"{report.jobs_per_minute:.1f}", f"{noop.runs_per_minute:.1f}")
    table.add_row("CPU each, at once", _seconds(report.cpu_seconds_per_job), _seconds(noop.cpu_seconds_per_run))
    return table


def opening_table(opened: Sequence[Opened]) -> Table:
    """Show how pages opened, a column a page."""
    table = Table(box=box.MARKDOWN)
    table.add_column(f"{opened[0].points:,} points")
    for one in opened:
        table.add_column(one.engine, justify="right")
    table.add_row("opens in", *(f"{one.open_seconds:.2f} s" for one in opened))
    table.add_row("memory of the browser", *(f"{one.memory_bytes / 2**20:.0f} MiB" for one in opened))
    table.add_row("a drag of 30 moves", *(f"{one.drag_seconds:.2f} s" for one in opened))
    table.add_row("page", *(f"{one.page_bytes / 1e6:.1f} MB" for one in opened))
    table.add_row("bytes a point", *(f"{one.page_bytes / one.points:.0f}" for one in opened))
    return table
