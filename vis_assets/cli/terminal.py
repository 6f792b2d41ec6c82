"""How commands talk to a person: a line, a progress bar. All on stderr; stdout is for results."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class Bar(Protocol):
    """Shows how far a job is."""

    def __call__(self, stage: str, percent: int) -> None:
        """Show a stage and its percent of the whole job."""


def say(text: str) -> None:
    """Tell the person something."""
    click.echo(text, err=True)


@contextmanager
def progress_bar() -> Iterator[Bar]:
    """Show a bar on a terminal; on anything else, a line for each new stage and each tenth percent."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines()
        return
    columns = (
        TextColumn("{task.description:<17}"),
        BarColumn(40),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as progress:
        task = progress.add_task("waiting", total=100)

        def show(stage: str, percent: int) -> None:
            progress.update(task, description=stage, completed=percent)

        yield show


def message_stage(message: dict[str, Any]) -> tuple[str, int]:
    """Return stage and percent of a progress message."""
    stats = message.get("statsJson") or {}
    return str(stats.get("stage", "?")), int(stats.get("progress_percent", 0))


def _lines() -> Bar:
    last = ("", -10)

    def show(stage: str, percent: int) -> None:
        nonlocal last
        if stage != last[0] or percent >= last[1] + 10:
            last = (stage, percent)
            say(f"{percent:3d}% {stage}")

    return show
