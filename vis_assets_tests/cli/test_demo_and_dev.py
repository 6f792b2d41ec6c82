"""`vis-assets demo` and `vis-assets dev`: everything on one machine."""

import json
import signal
import subprocess
import urllib.request
from pathlib import Path

from vis_assets_tests.cli.command import LONGEST_SECONDS, PROGRAM, alone, run


def test_demo(tmp_path: Path) -> None:
    """The demo ends with exit code 0, the result as last line of stdout, and a page; it says who named its topics."""
    home = tmp_path / "home"
    done = run("demo", "--points", "300", environment=alone(home), folder=tmp_path)
    assert done.code == 0, done.err
    result = json.loads(done.last_line)
    assert (result["status"], result["pointCount"]) == ("completed", 300)
    assert result["statsJson"]["naming"]["by_model"]["openai_compatible/local-double"]["calls"] > 0
    page = home / "demo" / "map.html"
    assert f"{page} " in done.out
    assert page.stat().st_size == result["statsJson"]["html_bytes"]
    assert "100% generating_html" in done.err
    assert "a local stand-in for a language model answers at http://127.0.0.1:" in done.err
    assert "Traceback" not in done.err
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_dev(tmp_path: Path) -> None:
    """`dev` says where everything is once it is ready, serves it, and stops all of it on Ctrl-C with exit code 0."""
    dev = subprocess.Popen(
        [PROGRAM, "dev", "--points", "50", "--json"],
        env=alone(tmp_path / "home", HEALTH_CHECK_PORT="0"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert dev.stdout is not None
        where = json.loads(dev.stdout.readline())
        assert set(where) == {"dagster", "nats", "maps", "qdrant", "collection", "llm", "home"}
        health = [where["maps"].replace("/maps/", "/health"), where["llm"].replace("/v1", "/health")]
        for address in (f"{where['dagster']}/server_info", *health):
            with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - our own address
                assert answer.status == 200
        dev.send_signal(signal.SIGINT)
        _, complaints = dev.communicate(timeout=LONGEST_SECONDS)
    finally:
        dev.kill()
    assert dev.returncode == 0, complaints
    assert "stopped" in complaints
    assert "Traceback" not in complaints
    assert not [entry for entry in Path("/proc").glob("[0-9]*/cmdline") if str(tmp_path) in _read(entry)]


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
