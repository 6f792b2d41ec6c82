"""`vis-assets config`."""

import json

import click


@click.command("config")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
def command(as_json: bool) -> None:
    """Show every setting, its value, and where it came from. Secrets are hidden."""
    from vis_assets.settings import describe_settings, load_settings

    rows = describe_settings(load_settings())
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        click.echo(f"{row['name']:<26} {row['value'] if row['value'] is not None else '(unset)':<32} {row['origin']}")
