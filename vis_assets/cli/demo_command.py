"""`vis-assets demo`."""

import json
import sys

import click

from vis_assets.cli.terminal import message_stage, progress_bar, say


@click.command("demo")
@click.option("--points", type=click.IntRange(1, 100_000), default=10_000, show_default=True, help="Docstrings to map.")
def command(points: int) -> None:
    """Make a map of the installed packages' docstrings, end to end.

    Starts a NATS server, an S3 server, a Qdrant collection and Dagster on free ports of this machine, publishes a job
    as a client would, shows its progress, and stops everything again. Needs no keys and no network: where LLM_PROVIDER
    is unset, a local stand-in for a language model names the topics. The last line of stdout is the terminal result
    message, as JSON; the exit code is 0 only if the job completed.
    """
    from vis_assets.operations.demo import run_demo
    from vis_assets.protocol.result import is_success
    from vis_assets.settings import load_settings

    with progress_bar() as show:
        made = run_demo(load_settings(), points, say, lambda message: show(*message_stage(message)))
    if made.page is not None:
        click.echo(f"The map is at {made.page} - open it in any browser, it needs no network.")
    click.echo(json.dumps(made.result))
    sys.exit(0 if is_success(made.result) else 1)
