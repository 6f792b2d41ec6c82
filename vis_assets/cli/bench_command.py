"""`vis-assets bench`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from vis_assets.cli.terminal import say


@click.group("bench")
def command() -> None:
    """Measure maps, jobs, pages and names on this machine."""


@command.command("pipeline")
@click.option(
    "--engine",
    type=click.Choice(["fast", "spec", "both"]),
    default="both",
    show_default=True,
    help="fast: ours. spec: umap-learn, hdbscan and datamapplot, stock.",
)
@click.option("--points", type=click.IntRange(100, 5_000_000), help="Rows to map.  [default: 10000; of a file, all]")
@click.option("--dim", type=click.IntRange(8, 4096), help="Length of a built-in vector.  [default: 384]")
@click.option(
    "--input",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Map this .npy (n, d) float32, with the texts of a .jsonl of the same name beside it if there is one.",
)
@click.option("--cold", is_flag=True, help="Measure fresh processes, from their start to the written page.")
@click.option(
    "--compute",
    type=click.Choice(["dask", "in-process"]),
    default="in-process",
    show_default=True,
    help="With --cold, where the fast engine works: `dask` is a warm worker, as `worker` and `dev` keep one.",
)
@click.option("--report", type=click.Path(dir_okay=False, path_type=Path), help="Write all as JSON into this file too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object an engine, a line each.")
def pipeline(
    engine: str,
    points: int | None,
    dim: int | None,
    source: Path | None,
    cold: bool,
    compute: str,
    report: Path | None,
    as_json: bool,
) -> None:
    """Make one map by each engine, on the same data, and compare.

    Built-in data are docstrings of the installed packages, above 10,000 points chunks of their sources, embedded by
    TF-IDF and truncated SVD; they are kept in VIS_ASSETS_HOME/bench. Each engine has a process of its own. Unless
    --cold, it makes a whole map before the one that counts; above 100,000 points, one of the first 100,000. Up to
    20,000 points three maps are made, and the median counts.
    """
    from rich.console import Console

    from vis_assets.operations.bench import data
    from vis_assets.operations.bench.machine import describe_machine, measure_limits
    from vis_assets.operations.bench.pipeline import run_pipeline
    from vis_assets.operations.bench.table import notes, pipeline_heading, pipeline_table
    from vis_assets.settings import load_settings

    if compute == "dask" and not cold:
        raise click.UsageError("--compute dask is for --cold: a warm process needs no worker")
    if source is not None and dim is not None:
        raise click.UsageError("--dim is for built-in data; a file has its own")
    if source is not None:
        measured_on = data.own_data(source, points)
    else:
        folder = load_settings().home.absolute() / "bench"
        measured_on = data.built_in_data(points or data.DEFAULT_POINTS, dim or data.DEFAULT_DIMENSION, folder, say)
    engines = ("fast", "spec") if engine == "both" else (engine,)
    found = run_pipeline(
        engines,
        measured_on,
        cold=cold,
        on_cluster=compute == "dask",
        with_agreement=not cold and (report is not None or not as_json),
        say=say,
    )
    machine = describe_machine() | measure_limits()
    if report is not None:
        report.write_text(json.dumps({"machine": machine, **asdict(found)}, indent=2) + "\n")
    if as_json:
        for measured in found.measured:
            click.echo(json.dumps(asdict(measured)))
        return
    click.echo(pipeline_heading(found))
    Console().print(pipeline_table(found))
    for line in notes(found, machine):
        click.echo(line)


@command.command("jobs")
@click.option("--jobs", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many jobs to send.")
@click.option("--points", type=click.IntRange(3, 10_000), default=1000, show_default=True, help="Size of each map.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def jobs(jobs: int, points: int, as_json: bool) -> None:
    """Send jobs through the whole system, and compare with runs of stock Dagster that do nothing.

    Starts what `dev` starts, in a folder of its own. One job comes first and counts apart; then so many one after the
    other, for latency, and so many at once, for throughput.
    """
    from rich.console import Console

    from vis_assets.operations.bench.jobs import run_jobs
    from vis_assets.operations.bench.machine import describe_machine, measure_limits
    from vis_assets.operations.bench.table import jobs_table, machine_lines
    from vis_assets.settings import load_settings

    say("starting everything; this takes some minutes")
    report = run_jobs(load_settings(), jobs, points, say)
    if as_json:
        click.echo(json.dumps(asdict(report)))
        return
    Console().print(jobs_table(report))
    for line in machine_lines(describe_machine() | measure_limits()):
        click.echo(line)


@command.command("page")
@click.option("--points", type=click.IntRange(100, 5_000_000), default=10_000, show_default=True, help="Of the map.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a page, a line each.")
def page(points: int, as_json: bool) -> None:
    """Open a map in Chromium: our page, and a stock datamapplot page of the same made-up points and texts."""
    from rich.console import Console

    from vis_assets.operations.bench.machine import describe_machine
    from vis_assets.operations.bench.opening import run_opening
    from vis_assets.operations.bench.table import machine_lines, opening_table
    from vis_assets.settings import load_settings

    found = run_opening(points, load_settings().home.absolute() / "bench" / "pages", say)
    if as_json:
        for opened in found:
            click.echo(json.dumps(asdict(opened)))
        return
    Console().print(opening_table(found))
    for line in machine_lines(describe_machine()):
        click.echo(line)


@command.command("names")
@click.option("--points", type=click.IntRange(100, 100_000), help="Of the demo's corpus.  [default: 10000]")
@click.option(
    "--input",
    "source",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Map this instead: .npy (n, d) with a .jsonl of texts beside it, or .parquet (id, text, vector).",
)
@click.option("--table", "shown", type=click.IntRange(0, 10_000), default=0, help="Show so many clusters too.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def names(points: int | None, source: Path | None, shown: int, as_json: bool) -> None:
    """Measure how well keyphrases, names and exemplars fit documents that they were not made of.

    Of each cluster, half of the documents make them and the others judge. Beside ours stands what a naive namer sees:
    the first five documents of a cluster, and their ten most frequent words.
    """
    import tempfile

    from vis_assets.operations.bench import names as bench
    from vis_assets.operations.demo_corpus import DEFAULT_POINTS, demo_corpus
    from vis_assets.settings import load_settings

    if source is not None and points is not None:
        raise click.UsageError("--points is for the demo's corpus; a file is mapped whole")
    with tempfile.TemporaryDirectory(prefix="vis-assets-bench-") as folder:
        if source is not None:
            found, about = bench.read_file(source, Path(folder)), source.name
        else:
            found = demo_corpus(points or DEFAULT_POINTS, load_settings().home.absolute() / "demo")
            about = "docstrings of the installed packages"
        report = bench.run_names(found.vectors, found.table["text"].to_pylist(), about, shown, say)
    if as_json:
        click.echo(json.dumps(asdict(report), ensure_ascii=False))
        return
    for line in bench.names_tables(report):
        click.echo(line)
    if report.shown:
        click.echo("")
    for line in bench.clusters_table(report.shown) if report.shown else []:
        click.echo(line)


@command.command("calls")
@click.option("--points", type=click.IntRange(100, 100_000), default=10_000, show_default=True, help="Of the corpus.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a run, a line each.")
def calls(points: int, as_json: bool) -> None:
    """Count what naming asks of a language model: first, again, and after a tenth of new points.

    The demo's corpus is named at default settings by the local stand-in for a model, which counts tokens as characters
    / 4.
    """
    from vis_assets.operations.bench.asking import asking_table, run_asking
    from vis_assets.operations.demo_corpus import demo_corpus
    from vis_assets.settings import load_settings

    corpus = demo_corpus(points, load_settings().home.absolute() / "demo")
    found = run_asking(corpus.vectors, corpus.table["text"].to_pylist(), say)
    for line in [json.dumps(asdict(one)) for one in found] if as_json else asking_table(found):
        click.echo(line)
