"""Entry point of Dagster's processes: their logs take our form, and they do not outlive the worker that started them.

Run as `python -m vis_assets.operations.dagster_process {code-server|daemon} ARGUMENT ...` with Dagster's arguments.
Runs are spawned by the code server and import this module as `__mp_main__`: they log like it.
"""

import ctypes
import os
import signal
import sys

from vis_assets.operations.logs import configure_logging
from vis_assets.settings import load_settings

SUPERVISOR = "VIS_ASSETS_SUPERVISOR"
"""Environment variable with the pid of the worker; unset: the process may outlive whoever started it."""
PR_SET_PDEATHSIG = 1


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, which can then do it no more (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(f"the worker {parent} ended before its child began")


def main(arguments: list[str]) -> None:
    """Become one of Dagster's processes."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    if supervisor is not None:
        die_with(int(supervisor))
    configure_logging(load_settings())
    role, *rest = arguments
    if role == "code-server":
        from dagster._cli import main as dagster

        sys.argv = ["dagster", "api", "grpc", *rest]
    else:
        from dagster._daemon.cli import main as dagster

        sys.argv = ["dagster-daemon", "run", *rest]
    dagster()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":
    configure_logging(load_settings())
