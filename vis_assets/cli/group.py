"""The command group: finds commands by name and imports only the one that is called."""

import importlib
import sys
from typing import Any

import click

from vis_assets.errors import InvalidSetting, VisAssetsError

COMMANDS = {
    "demo": "Make a map of the installed packages' docstrings, end to end.",
    "dev": "Run everything on this machine, with the Dagster UI, until Ctrl-C.",
    "worker": "Do jobs, in production, until told to stop.",
    "submit": "Publish a job.",
    "watch": "Show what is said about jobs.",
    "map": "Make a map of a file, without NATS.",
    "doctor": "Check every configured connection.",
    "config": "Show every setting, its value, and where it came from.",
    "warmup": "Compile everything once, so that the first job does not wait.",
    "bench": "Measure maps, jobs, pages and names on this machine.",
    "dlq": "List, show, replay or purge jobs that were given up.",
    "delete": "Delete a map and everything that belongs to it.",
}


class LazyGroup(click.Group):
    """A group whose commands live in `vis_assets.cli.{name}_command`, imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of use."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command; None where there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"vis_assets.cli.{cmd_name}_command").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error of ours becomes one line and an exit code."""
        try:
            return super().invoke(ctx)
        except InvalidSetting as error:
            raise click.UsageError(str(error)) from None
        except VisAssetsError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(1)


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="vis_assets")
def main() -> None:
    """Turn a Qdrant collection into an interactive, named 2-D topic map.

    Settings come from the environment; `vis-assets config` lists them. Exit codes: 0 done, 1 failed, 2 wrong use.
    """
