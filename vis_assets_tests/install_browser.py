"""Makes sure that there is a Chromium for the browser tests: `python -m vis_assets_tests.install_browser`.

In this order: the one that CHROMIUM names, one on PATH, one that Playwright installed before; else Debian's package
where that can be installed, else Playwright's own download. Without any, the browser tests are skipped, and this says
so.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence

from vis_assets.operations.chromium import find_browser

NOTICE = """
************************************************************************
* NO BROWSER: none is installed, and none could be installed.          *
* The tests that need one will be SKIPPED. Install chromium, or set    *
* CHROMIUM to the path of a Chromium or Chrome, and run them again.    *
************************************************************************
"""


def main() -> None:
    """Install a browser where there is none; never fail."""
    if find_browser() is None:
        for commands in _ways():
            if all(_succeeds(command) for command in commands) and find_browser() is not None:
                break
    found = find_browser()
    sys.stdout.write(f"browser tests use {found}\n" if found else NOTICE)


def _ways() -> list[list[Sequence[str]]]:
    ways: list[list[Sequence[str]]] = []
    if os.geteuid() == 0 and shutil.which("apt-get"):
        ways.append([("apt-get", "update"), ("apt-get", "install", "-y", "--no-install-recommends", "chromium")])
    ways.append([(sys.executable, "-m", "playwright", "install", "chromium")])
    return ways


def _succeeds(command: Sequence[str]) -> bool:
    sys.stdout.write(f"no browser yet: {' '.join(command)}\n")
    sys.stdout.flush()
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        return (
            subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, timeout=900, check=False).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        sys.stdout.write(f"{command[0]}: {error}\n")
        return False


if __name__ == "__main__":
    main()
