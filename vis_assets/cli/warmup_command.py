"""`vis-assets warmup`."""

import dataclasses
import json

import click


@click.command("warmup")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def command(as_json: bool) -> None:
    """Compile everything once, and keep it on disk, so that the first job does not wait for it.

    `make setup` does this. Do it again after a change of versions, or on another kind of processor. Compiled code is
    kept beside its source; where that is not writable, in the user's cache; with NUMBA_CACHE_DIR set, there.
    """
    from vis_assets.operations.warm_up import warm_installation
    from vis_assets.resources.compute.warm import Warmed

    paths: list[Warmed] = []

    def on_path(warmed: Warmed) -> None:
        paths.append(warmed)
        if not as_json:
            click.echo(f"{warmed.seconds:7.2f} s  {warmed.name}")

    cache = warm_installation(on_path)
    if as_json:
        folders = [str(folder) for folder in cache.folders]
        parts = {"compiled": cache.compiled, "loaded": cache.loaded, "folders": folders}
        click.echo(json.dumps({"paths": [dataclasses.asdict(path) for path in paths], **parts}))
        return
    click.echo(f"{sum(path.seconds for path in paths):7.2f} s  in all")
    click.echo(f"compiled functions: {cache.compiled} new, {cache.loaded} found, kept in")
    for folder in cache.folders:
        click.echo(f"  {folder}")
