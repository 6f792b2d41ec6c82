"""The walls of the package: layers, light imports, and files that must agree with each other."""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parent.parent
HEAVY = {"umap", "hdbscan", "datamapplot", "numba", "pynndescent", "openai", "cohere"}
BINARY = {".png", ".jpg", ".gif", ".woff2"}


def tracked_files() -> list[Path]:
    """Files under version control, or, where there is none, all that a checkout would hold."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    hidden = {".venv", ".vis_assets", "node_modules", "built_fonts", "__pycache__"}
    return [path for path in ROOT.rglob("*") if path.is_file() and not hidden & set(path.parts)]


def dagster_yaml() -> dict[str, Any]:
    """Dagster's settings as this repository has them at its top."""
    settings: dict[str, Any] = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    return settings


def test_layers_hold() -> None:
    """Every import goes down the layers of the design, and only the allowed parts know Dagster and NATS."""
    program = Path(sys.executable).with_name("lint-imports")
    outcome = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stdout + outcome.stderr


def test_definitions_import_is_light(tmp_path: Path) -> None:
    """Importing the definitions, as every run process does, loads no heavy library."""
    script = "import json, sys, vis_assets.definitions; print(json.dumps([m.split('.')[0] for m in sys.modules]))"
    environment = {**os.environ, "VIS_ASSETS_HOME": str(tmp_path), "DAGSTER_HOME": str(tmp_path)}
    output = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    ).stdout
    loaded = set(json.loads(output.splitlines()[-1]))
    assert "vis_assets" in loaded
    assert not loaded & HEAVY


def test_linter_keeps_heavy_imports_inside_functions() -> None:
    """The linter refuses each heavy library at module level."""
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
    assert set(options["flake8-tidy-imports"]["banned-module-level-imports"]) >= HEAVY
    assert "TID" in options["select"]


def test_no_file_names_a_registry() -> None:
    """No file under version control holds the address of a package registry or index."""
    address = re.compile(
        rb"https?://[^\s\"']*(pypi|pythonhosted|npmjs|registry|/simple\b|artifactory|nexus)|index-url|--find-links",
        re.IGNORECASE,
    )
    ours = Path(__file__).resolve()
    offending = [
        str(path.relative_to(ROOT))
        for path in tracked_files()
        if path.suffix not in BINARY and path.resolve() != ours and address.search(path.read_bytes())
    ]
    assert offending == []


@pytest.mark.parametrize("name", ["constraints.txt", "vis_assets/page/package-lock.json"])
def test_lock_files_hold_no_address(name: str) -> None:
    """Files that pin versions say what, and never from where."""
    text = (ROOT / name).read_text()
    assert not re.search(r"(?<!\"url\": \")https?://", text)


def test_every_constraint_is_a_pin() -> None:
    """Each line of the constraints pins one package to one version."""
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert lines
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+(\[[a-z,]+\])?==[A-Za-z0-9.+!-]+( *;.*)?", line) for line in lines)


def test_dagster_settings_are_one_file() -> None:
    """The settings at the top are those that commands place in the home folder."""
    assert (ROOT / "dagster.yaml").read_bytes() == (ROOT / "vis_assets/operations/dagster.yaml").read_bytes()


def test_dagster_settings_say_what_delivery_needs() -> None:
    """Telemetry is off, three runs work at a time and one per map, and runs are monitored."""
    settings = dagster_yaml()
    assert settings["telemetry"] == {"enabled": False}
    queue = settings["run_coordinator"]["config"]
    assert queue["max_concurrent_runs"] == 3
    assert queue["dequeue_interval_seconds"] == 1
    assert queue["tag_concurrency_limits"] == [
        {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}
    ]
    assert settings["run_monitoring"]["enabled"] is True
    assert settings["sensors"]["use_threads"] is True
    assert "storage" not in settings


def test_dagster_settings_make_an_instance(tmp_path: Path) -> None:
    """Dagster accepts the settings, and prunes ticks of every kind."""
    from dagster import DagsterInstance
    from dagster._core.definitions.run_request import InstigatorType
    from dagster._core.scheduler.instigation import TickStatus

    from vis_assets.settings import load_settings

    (tmp_path / "dagster.yaml").write_bytes((ROOT / "dagster.yaml").read_bytes())
    with DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled is True
        kept_days = instance.get_tick_retention_settings(InstigatorType.SENSOR)
    expected = dict.fromkeys(TickStatus, load_settings({}).tick_days) | {TickStatus.SKIPPED: 1}
    assert kept_days == expected


def test_home_holds_the_settings_with_its_own_limit(tmp_path: Path) -> None:
    """The file placed in the home folder differs in the limits on runs and on the age of ticks only."""
    from vis_assets.operations.home import dagster_settings
    from vis_assets.settings import Settings

    expected = dagster_yaml()
    expected["run_coordinator"]["config"]["max_concurrent_runs"] = 7
    expected["run_monitoring"]["max_runtime_seconds"] = 60
    expected["retention"]["sensor"]["purge_after_days"] = {"skipped": 1, "success": 3, "failure": 3, "started": 3}
    settings = Settings(
        VIS_ASSETS_HOME=tmp_path, MAX_CONCURRENT_JOBS=7, PROCESSING_TIMEOUT_SECS=60, VIS_ASSETS_TICK_DAYS=3
    )
    assert yaml.safe_load(dagster_settings(settings)) == expected


def test_workspace_loads_the_definitions() -> None:
    """The workspace file names one module, and it is that of the definitions."""
    from dagster._core.workspace.load import location_origins_from_yaml_paths

    (origin,) = location_origins_from_yaml_paths([str(ROOT / "workspace.yaml")])
    assert origin.location_name == "vis_assets"
    assert origin.loadable_target_origin.module_name == "vis_assets.definitions"


def test_package_needs_python_3_11_and_has_its_command() -> None:
    """The project's metadata name the command, the extras and the licence."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11"
    assert project["scripts"] == {"vis-assets": "vis_assets.cli:main"}
    assert {"embedded", "dev"} <= set(project["optional-dependencies"])
    assert "Apache License" in (ROOT / "LICENSE").read_text()


@pytest.mark.parametrize("name", ["README.md", "CHANGELOG.md", "Makefile", ".ci/run", "workspace.yaml", "dagster.yaml"])
def test_top_level_files_exist(name: str) -> None:
    """The files that the project promises at its top exist."""
    assert (ROOT / name).is_file()


def test_a_test_says_what_it_shows() -> None:
    """Every test has a docstring, and it is one sentence."""
    import ast

    silent = []
    for path in sorted((ROOT / "vis_assets_tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                said = ast.get_docstring(node) or ""
                if not said.endswith(".") or "\n\n" in said:
                    silent.append(f"{path.name}::{node.name}")
    assert silent == []
