"""`vis-assets dev`."""

import json

import click

from vis_assets.cli.terminal import say


@click.command("dev")
@click.option(
    "--points", type=click.IntRange(1, 100_000), default=10_000, show_default=True, help="Size of the demo collection."
)
@click.option("--json", "as_json", is_flag=True, help="Print the addresses as one JSON object when ready.")
def command(points: int, as_json: bool) -> None:
    """Run everything on this machine, with the Dagster UI, until Ctrl-C.

    Uses the NATS server, the bucket and the language models that the environment names, else embedded ones (of a
    language model, a stand-in); brings a Qdrant with the demo collection. Prints the addresses when everything is
    ready. Data stay in VIS_ASSETS_HOME.
    """
    from vis_assets.operations.dev import running_dev_stack
    from vis_assets.settings import load_settings

    say("starting; the first time takes a minute")
    try:
        with running_dev_stack(load_settings(), points) as dev:
            addresses = dev.addresses()
            if as_json:
                click.echo(json.dumps(addresses))
            else:
                for name, address in addresses.items():
                    click.echo(f"{name:<11}{address}")
                say("ready; Ctrl-C stops everything")
            dev.wait()
    except KeyboardInterrupt:
        say("stopped")
