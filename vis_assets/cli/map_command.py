"""`vis-assets map`."""

import json
from pathlib import Path
from typing import IO

import click

from vis_assets.cli.terminal import progress_bar


@click.command("map")
@click.argument("source", metavar="INPUT", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--out", "target", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the map."
)
@click.option("--config", "config_file", type=click.File("rb"), help="JSON file with a visualization_config.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with paths, counts and stats.")
def command(source: Path, target: Path, config_file: IO[bytes] | None, as_json: bool) -> None:
    """Make a map of a file, without NATS.

    INPUT is a .parquet with columns id, text, vector (others become payload), or a .npy of shape (n, d) with a .jsonl
    of the same name beside it, one {"id", "text", ...} a line. Writes map.html, map.png, points.parquet (id, x, y,
    cluster, name and more), names.parquet (one row per cluster) and stats.json into the folder.
    """
    from vis_assets.operations.map_file import map_file
    from vis_assets.protocol.job import read_object

    config = read_object(config_file.read()) if config_file else {}
    with progress_bar() as show:
        made = map_file(source, target, config, lambda stage, percent: show(stage.wire_name, percent))
    if as_json:
        about = {"html": str(made.html), "points": str(made.points), "point_count": made.point_count}
        click.echo(json.dumps({**about, "cluster_count": made.cluster_count, "stats": made.stats}))
        return
    for warning in made.stats.get("warnings", ()):
        click.echo(f"warning: {warning}", err=True)
    click.echo(f"{made.point_count} points in {made.cluster_count} clusters: {made.html}")
