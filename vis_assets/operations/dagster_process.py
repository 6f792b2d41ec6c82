"""Entry point of Dagster's processes: their logs take our form, and they do not outlive their worker or its lease.

Run as `python -m vis_assets.operations.dagster_process {code-server|daemon} ARGUMENT ...` with Dagster's arguments.
Runs are spawned by the code server and import this module as `__mp_main__`: they log like it.
"""

import ctypes
import logging
import os
import signal
import sys
import threading
import time

from vis_assets.delivery import leadership
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.errors import VisAssetsError
from vis_assets.operations.lease import SAFE_SHARE
from vis_assets.operations.logs import configure_logging
from vis_assets.sensors.standing import HOLDER
from vis_assets.settings import Settings, load_settings

_log = logging.getLogger(__name__)

SUPERVISOR = "VIS_ASSETS_SUPERVISOR"
"""Environment variable with the pid of the worker; unset: the process may outlive whoever started it."""
PR_SET_PDEATHSIG = 1
FENCE_SECONDS = 1.0
"""How often a daemon asks whether its worker still leads."""


def die_with(parent: int) -> None:
    """Ask the kernel to kill this process when its parent ends, which can then do it no more (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        raise SystemExit(f"the worker {parent} ended before its child began")


class Fence:
    """Ends this process when its worker leads no more, even where the worker itself is suspended and cannot.

    Whoever takes over starts a daemon of its own, some seconds later; two would launch the same runs.
    """

    def __init__(self, settings: Settings, holder: str) -> None:
        """Watch the lease of this holder."""
        self._access = NatsAccess.of(settings)
        self._holder = holder
        self._patience = settings.lease_seconds * SAFE_SHARE
        self._known = time.monotonic()

    def watch(self) -> None:
        """Look again and again; never returns."""
        while True:
            try:
                with NatsConnection(self._access, "vis_assets fence of daemon") as connection:
                    while True:
                        self._look(connection)
                        time.sleep(FENCE_SECONDS)
            except VisAssetsError:
                if time.monotonic() - self._known > self._patience:
                    self._end("NATS does not answer, so another worker may lead")
                time.sleep(FENCE_SECONDS)

    def _look(self, connection: NatsConnection) -> None:
        asked = time.monotonic()
        standing = connection.run(lambda c: leadership.standing_of(c, self._holder), self._patience / 4)
        if not standing.leads:
            self._end(f"{standing.holder or 'nobody'} leads now")
        self._known = asked

    def _end(self, why: str) -> None:
        _log.error("%s; the daemon ends at once", why)
        os._exit(1)


def main(arguments: list[str]) -> None:
    """Become one of Dagster's processes."""
    supervisor = os.environ.pop(SUPERVISOR, None)
    if supervisor is not None:
        die_with(int(supervisor))
    settings = load_settings()
    configure_logging(settings)
    role, *rest = arguments
    if role == "code-server":
        from dagster._cli import main as dagster

        sys.argv = ["dagster", "api", "grpc", *rest]
    else:
        from dagster._daemon.cli import main as dagster

        sys.argv = ["dagster-daemon", "run", *rest]
        if HOLDER in os.environ:
            threading.Thread(target=Fence(settings, os.environ[HOLDER]).watch, name="fence", daemon=True).start()
    dagster()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main(sys.argv[1:])
elif __name__ == "__mp_main__":
    configure_logging(load_settings())
