"""The home folder of an installation: Dagster's settings, workspace and records, keys, logs, local data."""

import fcntl
import importlib.resources
import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path
from typing import IO

import yaml

from vis_assets.errors import InvalidSetting
from vis_assets.settings import Settings

POSTGRES_VARIABLE = "VIS_ASSETS_POSTGRES_URL"
POSTGRES = f"""
storage:
  postgres:
    postgres_url:
      env: {POSTGRES_VARIABLE}
"""
"""Dagster's records in Postgres; the address stays in the environment, for it holds a password."""


def dagster_settings(settings: Settings) -> str:
    """Return the text of `dagster.yaml` with this installation's limits on runs and on the age of ticks."""
    text = importlib.resources.files("vis_assets.operations").joinpath("dagster.yaml").read_text()
    text = text.replace("max_concurrent_runs: 3", f"max_concurrent_runs: {settings.max_concurrent_jobs}")
    text = text.replace("max_runtime_seconds: 3600", f"max_runtime_seconds: {settings.processing_timeout_secs}")
    for status in ("success", "failure", "started"):
        text = text.replace(f"{status}: 7", f"{status}: {settings.tick_days}")
    return text + POSTGRES if settings.postgres_url is not None else text


def open_home(settings: Settings) -> Path:
    """Return the home folder as the installation left it; make it where there is none.

    Raises:
        InvalidSetting: Dagster's records are in a database whose address is not set here.
    """
    home = settings.home.absolute()
    written = home / "dagster.yaml"
    if not written.exists():
        return prepare_home(settings)
    if POSTGRES_VARIABLE in written.read_text():
        if settings.postgres_url is None:
            raise InvalidSetting(
                f"Dagster's records of {home} are in Postgres; set {POSTGRES_VARIABLE} as the worker there has it"
            )
        os.environ[POSTGRES_VARIABLE] = _with_driver(settings.postgres_url.get_secret_value())
    return home


def prepare_home(settings: Settings) -> Path:
    """Make the home folder with Dagster's settings in it.

    Args:
        settings: where home is, and how many runs may work at the same time.

    Returns:
        The folder, absolute.

    Raises:
        InvalidSetting: Dagster cannot use the database that is set.
    """
    home = settings.home.absolute()
    if settings.postgres_url is not None:
        os.environ[POSTGRES_VARIABLE] = _with_driver(settings.postgres_url.get_secret_value())
    (home / "logs").mkdir(parents=True, exist_ok=True)
    (home / "dagster.yaml").write_text(dagster_settings(settings))
    return home


def claim(home: Path) -> IO[str]:
    """Claim the home folder for this process until the returned file is closed, or the process ends.

    Raises:
        InvalidSetting: another stack works there; two would mix their records.
    """
    lock = (home / "stack.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise InvalidSetting(
            f"another vis-assets demo, dev or worker works in {home}; stop it, or set VIS_ASSETS_HOME to another folder"
        ) from None
    return lock


def write_workspace(home: Path, code_server_port: int) -> Path:
    """Write the workspace file that sends all of Dagster's processes to one code server; return its path."""
    server = {"host": "127.0.0.1", "port": code_server_port, "location_name": "vis_assets"}
    path = home / "workspace.yaml"
    path.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
    return path


def child_environment(home: Path, overrides: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of Dagster's processes: ours, the overrides, and where home is.

    Where compiled code can be kept neither beside its source nor in the user's cache, it is kept in the home folder:
    without any place numba refuses to import it.
    """
    kept = any(_is_writable(folder) for folder in (Path(__file__).parent.parent, _user_cache()))
    return {
        **({} if kept else {"NUMBA_CACHE_DIR": str(home / "numba")}),
        **os.environ,
        "PYTHONUNBUFFERED": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
        **overrides,
        "VIS_ASSETS_HOME": str(home),
        "DAGSTER_HOME": str(home),
    }


def _user_cache() -> Path:
    """The folder below which numba keeps what it cannot keep beside its source."""
    return Path(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache"))).absolute()


def _is_writable(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made itself where it is missing."""
    existing = next(place for place in (folder, *folder.parents) if place.exists())
    return os.access(existing, os.W_OK | os.X_OK)


def _with_driver(url: str) -> str:
    """Name the driver that the extra brings: SQLAlchemy's own choice, where a URL names none, changed with 2.1."""
    if importlib.util.find_spec("dagster_postgres") is None:
        raise InvalidSetting(f"{POSTGRES_VARIABLE} is set; pip install 'vis_assets[postgres]' brings what it needs")
    scheme, separator, rest = url.partition("://")
    # A password with an @ of its own would be taken for part of the host's name, and told in errors.
    if scheme not in {"postgres", "postgresql", "postgresql+psycopg2"} or not separator or rest.count("@") > 1:
        raise InvalidSetting(
            f"{POSTGRES_VARIABLE} is malformed; write postgresql://user:password@host/name, "
            "and percent-encode / ? # @ in user and password"
        )
    return f"postgresql+psycopg2://{rest}"
