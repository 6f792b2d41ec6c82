"""`vis-assets` itself, and the commands that need no servers."""

import json
from pathlib import Path

import pytest

from vis_assets_tests.cli.command import alone, run

COMMANDS = ("demo", "dev", "submit", "watch", "map", "doctor", "config", "bench", "warmup", "dlq", "delete")


def test_help_lists_every_command(tmp_path: Path) -> None:
    """`--help` says what the program is for, lists the commands and the exit codes."""
    shown = run("--help", environment=alone(tmp_path))
    assert shown.code == 0
    assert all(f"\n  {name} " in shown.out for name in COMMANDS)
    assert "Exit codes: 0 done, 1 failed, 2 wrong use" in " ".join(shown.out.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str, tmp_path: Path) -> None:
    """Each command's help says more than its name and describes each option."""
    shown = run(name, "--help", environment=alone(tmp_path))
    assert shown.code == 0
    assert len(shown.out) > 150
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    "arguments",
    [["no-such-command"], ["map"], ["submit"], ["delete"], ["demo", "--points", "0"], ["config", "--yaml"]],
)
def test_wrong_use(arguments: list[str], tmp_path: Path) -> None:
    """Wrong use ends with exit code 2, a reason, and nothing on stdout."""
    refused = run(*arguments, environment=alone(tmp_path))
    assert (refused.code, refused.out) == (2, "")
    assert "Usage:" in refused.err
    assert "Error:" in refused.err


def test_config_shows_every_setting_and_hides_secrets(tmp_path: Path) -> None:
    """`config --json` has each setting with its value and origin; no secret is shown, not even inside a URL."""
    environment = alone(
        tmp_path,
        NATS_URL="nats://vis:canary-password@nats.example.com:4222",
        VIS_ASSETS_SECRET_KEY="canary-sealing-key",
        QDRANT_API_KEY="canary-qdrant-key",
        MAX_CONCURRENT_JOBS="5",
    )
    shown = run("config", "--json", environment=environment)
    assert shown.code == 0
    rows = {row["name"]: row for row in json.loads(shown.out)}
    assert rows["NATS_URL"]["value"].endswith("nats.example.com:4222")
    assert rows["NATS_URL"]["origin"] == "environment"
    assert (rows["MAX_CONCURRENT_JOBS"]["value"], rows["MAX_CONCURRENT_JOBS"]["origin"]) == ("5", "environment")
    assert (rows["LOG_LEVEL"]["value"], rows["LOG_LEVEL"]["origin"]) == ("INFO", "default")
    assert rows["S3_BUCKET_NAME"]["value"] is None
    assert rows["QDRANT_API_KEY"]["value"] == "(hidden)"
    for_people = run("config", environment=environment)
    assert all(name in for_people.out for name in rows)
    assert "canary" not in shown.out + for_people.out


def test_malformed_setting_is_wrong_use(tmp_path: Path) -> None:
    """A malformed variable ends every command with exit code 2 and names the variable."""
    refused = run("config", environment=alone(tmp_path, MAX_CONCURRENT_JOBS="many"))
    assert refused.code == 2
    assert "MAX_CONCURRENT_JOBS" in refused.err


def test_bucket_without_credentials_is_wrong_use(tmp_path: Path) -> None:
    """A bucket without its credentials names every variable that is missing."""
    refused = run("doctor", environment=alone(tmp_path, S3_BUCKET_NAME="maps", AWS_REGION="eu-1"))
    assert refused.code == 2
    missing = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL")
    assert all(name in refused.err for name in missing)
