"""The command lines of Dagster's processes."""

import sys

from vis_assets.settings import Settings

LOG_FORMATS = {"json": "json", "text": "colored"}
"""Our LOG_FORMAT in Dagster's words."""
_ENTRY = [sys.executable, "-m", "vis_assets.operations.dagster_process"]


def code_server_command(port: int, settings: Settings) -> list[str]:
    """The process that holds our definitions, evaluates sensors and starts runs; it listens on this port."""
    place = ["-m", "vis_assets.definitions", "-h", "127.0.0.1", "-p", str(port), "--location-name", "vis_assets"]
    return [*_ENTRY, "code-server", *place, "--use-python-environment-entry-point", *dagster_logging(settings)]


def daemon_command(workspace: str, settings: Settings) -> list[str]:
    """The process that ticks sensors and launches queued runs."""
    return [*_ENTRY, "daemon", "-w", workspace, *dagster_logging(settings)]


def dagster_logging(settings: Settings) -> list[str]:
    """The options that make Dagster log as we do."""
    return ["--log-level", settings.log_level.lower(), "--log-format", LOG_FORMATS[settings.log_format]]
