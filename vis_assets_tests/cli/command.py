"""The real `vis-assets` command, as a person or a script calls it."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vis_assets.settings import Settings

PROGRAM = str(Path(sys.executable).parent / "vis-assets")
LONGEST_SECONDS = 300


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """Last line of stdout."""
        return self.out.splitlines()[-1]


def alone(home: Path, **changes: str) -> dict[str, str]:
    """The environment of a fresh installation with its own home and none of our other variables.

    Nothing but the changes is set, except that no cluster gets warm beside each stack.
    """
    ours = {str(option.alias) for option in Settings.model_fields.values()} | {"DAGSTER_HOME"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    return {**kept, "VIS_ASSETS_HOME": str(home), "VIS_ASSETS_COMPUTE": "in-process", **changes}


def run(*arguments: str | Path, environment: Mapping[str, str], typed: str = "", folder: Path | None = None) -> Done:
    """Run the command to its end; `typed` comes on stdin."""
    ended = subprocess.run(
        [PROGRAM, *map(str, arguments)],
        env=dict(environment),
        input=typed,
        capture_output=True,
        text=True,
        timeout=LONGEST_SECONDS,
        check=False,
        cwd=folder,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return Done(ended.returncode, ended.stdout, ended.stderr)
