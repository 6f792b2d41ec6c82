"""The home folder of an installation: Dagster's settings, workspace and records, keys, logs, local data."""

import importlib.resources
import os
from collections.abc import Mapping
from pathlib import Path

import yaml

from vis_assets.settings import Settings


def dagster_settings(max_concurrent_jobs: int) -> str:
    """Return the text of `dagster.yaml` with that many runs at the same time."""
    text = importlib.resources.files("vis_assets.operations").joinpath("dagster.yaml").read_text()
    return text.replace("max_concurrent_runs: 3", f"max_concurrent_runs: {max_concurrent_jobs}")


def prepare_home(settings: Settings) -> Path:
    """Make the home folder with Dagster's settings in it.

    Args:
        settings: where home is, and how many runs may work at the same time.

    Returns:
        The folder, absolute.
    """
    home = settings.home.absolute()
    (home / "logs").mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(dagster_settings(settings.max_concurrent_jobs))
    return home


def write_workspace(home: Path, code_server_port: int) -> Path:
    """Write the workspace file that sends all of Dagster's processes to one code server; return its path."""
    server = {"host": "127.0.0.1", "port": code_server_port, "location_name": "vis_assets"}
    path = home / "workspace.yaml"
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    return path


def child_environment(home: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of Dagster's processes: ours, the overrides, and where home is."""
    return {
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        **overrides,
        "VIS_ASSETS_HOME": str(home),
        "DAGSTER_HOME": str(home),
    }
