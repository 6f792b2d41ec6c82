"""The home folder of an installation with a database of its own."""

import os
from pathlib import Path

import pytest
import yaml
from cryptography.fernet import Fernet

import vis_assets
from vis_assets.errors import InvalidSetting
from vis_assets.operations.home import child_environment, open_home, prepare_home
from vis_assets.operations.worker import require_shared
from vis_assets.settings import Settings, load_settings

KEY = Fernet.generate_key().decode()


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg2"])
def test_dagster_is_sent_to_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    """The settings name the variable, never the address; the variable names the driver that is installed."""
    monkeypatch.setenv("VIS_ASSETS_POSTGRES_URL", "set by the test")
    home = prepare_home(Settings(VIS_ASSETS_HOME=tmp_path, VIS_ASSETS_POSTGRES_URL=f"{scheme}://u:canary@h/d"))
    written = (home / "dagster.yaml").read_text()
    storage = {"postgres": {"postgres_url": {"env": "VIS_ASSETS_POSTGRES_URL"}}}
    assert yaml.safe_load(written)["storage"] == storage
    assert "canary" not in written
    assert os.environ["VIS_ASSETS_POSTGRES_URL"] == "postgresql+psycopg2://u:canary@h/d"


@pytest.mark.parametrize("url", ["mysql://u:canary@h/d", "postgresql://u:p@canary@h/d", "canary"])
def test_another_database_is_refused(tmp_path: Path, url: str) -> None:
    """An address that is not one of Postgres, or that holds a bare @, is refused without being quoted."""
    with pytest.raises(InvalidSetting, match="write postgresql://") as refused:
        prepare_home(Settings(VIS_ASSETS_HOME=tmp_path, VIS_ASSETS_POSTGRES_URL=url))
    assert "canary" not in str(refused.value)


def test_a_home_is_opened_as_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that looks into the home of a worker with Postgres does not send it back to SQLite."""
    monkeypatch.setenv("VIS_ASSETS_POSTGRES_URL", "set by the test")
    with_database = Settings(VIS_ASSETS_HOME=tmp_path, VIS_ASSETS_POSTGRES_URL="postgresql://u:canary@h/d")
    written = (prepare_home(with_database) / "dagster.yaml").read_text()
    monkeypatch.delenv("VIS_ASSETS_POSTGRES_URL")
    with pytest.raises(InvalidSetting, match="set VIS_ASSETS_POSTGRES_URL"):
        open_home(Settings(VIS_ASSETS_HOME=tmp_path))
    assert (open_home(with_database) / "dagster.yaml").read_text() == written
    assert os.environ["VIS_ASSETS_POSTGRES_URL"] == "postgresql+psycopg2://u:canary@h/d"


def test_a_home_that_is_not_there_is_made(tmp_path: Path) -> None:
    """The first command of an installation finds no home."""
    assert (open_home(Settings(VIS_ASSETS_HOME=tmp_path / "new")) / "dagster.yaml").is_file()


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, "set VIS_ASSETS_SECRET_KEY"),
        ({"VIS_ASSETS_SECRET_KEY": KEY}, "set S3_BUCKET_NAME, or VIS_ASSETS_STORE_DIR"),
        ({"VIS_ASSETS_SECRET_KEY": KEY, "VIS_ASSETS_STORE_DIR": "/shared"}, None),
    ],
)
def test_a_worker_with_a_shared_database_shares_key_and_store(given: dict[str, str], missing: str | None) -> None:
    """Another worker that takes over must be able to go on; a worker on its own may keep both to itself."""
    require_shared(Settings())
    settings = load_settings({"VIS_ASSETS_POSTGRES_URL": "postgresql://u:canary@h/d", **given})
    if missing is None:
        require_shared(settings)
        return
    with pytest.raises(InvalidSetting, match=missing) as refused:
        require_shared(settings)
    assert "canary" not in str(refused.value)


def test_compiled_code_goes_home_where_there_is_no_other_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its source or in the user's cache it stays; a folder that the environment names is used as it is."""
    closed: list[Path] = []
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) not in closed and real(path, mode))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert "NUMBA_CACHE_DIR" not in child_environment(tmp_path / "home", {})
    closed.append(Path(vis_assets.__file__).parent)
    assert "NUMBA_CACHE_DIR" not in child_environment(tmp_path / "home", {})
    closed.append(tmp_path)  # where the user's cache would be made
    assert child_environment(tmp_path / "home", {})["NUMBA_CACHE_DIR"] == str(tmp_path / "home/numba")
    monkeypatch.setenv("NUMBA_CACHE_DIR", "/elsewhere")
    assert child_environment(tmp_path / "home", {})["NUMBA_CACHE_DIR"] == "/elsewhere"
