"""`vis-assets delete`."""

import json
import os

import click


@click.command("delete")
@click.argument("transform_id", metavar="ID")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object; implies that nothing is asked, so give --yes."
)
def command(transform_id: str, yes: bool, as_json: bool) -> None:
    """Delete a map and everything that belongs to it; ID is its visualization_transform_id.

    Goes: its pages, vectors, layouts, clusters and names, its job specs with their sealed secrets, and its partition in
    Dagster. What Dagster recorded of its runs stays. Asks first.
    """
    from dagster import DagsterInstance

    from vis_assets.operations.deletion import delete, find
    from vis_assets.operations.home import open_home
    from vis_assets.resources.object_store import open_store
    from vis_assets.settings import load_settings

    settings = load_settings()
    os.environ.setdefault("DAGSTER_HOME", str(open_home(settings)))
    store = open_store(settings)
    with DagsterInstance.get() as instance:
        doomed = find(transform_id, store, instance)
        if doomed.is_empty:
            raise click.ClickException(f"there is no map {transform_id} in {store.describe()} nor in Dagster")
        if as_json and not yes:
            raise click.UsageError("--json asks nothing, so it needs --yes")
        if not yes:
            click.confirm(f"Delete map {transform_id}: {len(doomed.keys)} objects in {store.describe()}?", abort=True)
        delete(doomed, store, instance)
    report = {"visualization_transform_id": transform_id, "deleted_objects": len(doomed.keys)}
    click.echo(json.dumps(report) if as_json else f"deleted map {transform_id}: {len(doomed.keys)} objects")
