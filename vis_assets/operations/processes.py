"""Child processes of a command: started with a log file, waited for until ready, ended by their own pid."""

import contextlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from vis_assets.errors import InvalidSetting, TransientError

STOP_SECONDS = 20.0
"""How long a child may take to end after SIGTERM before it is killed."""


class ProcessFailed(TransientError):
    """A child process did not start, or ended on its own."""


@dataclass
class Child:
    """A running child process.

    Attributes:
        name: what it is.
        process: its handle.
        log: file that holds its output; None where it goes to ours.
    """

    name: str
    process: subprocess.Popen[bytes]
    log: Path | None

    def require_running(self) -> None:
        """Raise ProcessFailed, quoting the end of its log, where the process has ended."""
        if self.process.poll() is not None:
            tail = f"; {self.log} says:\n{self.log.read_text(errors='replace')[-2000:]}" if self.log else ""
            raise ProcessFailed(f"{self.name} ended with code {self.process.returncode}{tail}")

    def stop(self, patience_seconds: float = STOP_SECONDS) -> None:
        """End the process: SIGTERM, and SIGKILL where that does not help."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(patience_seconds)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """End the process at once."""
        self.process.kill()
        self.process.wait()


def start(name: str, command: Sequence[str], environment: Mapping[str, str], log: Path | None) -> Child:
    """Start a child in a session of its own, so that Ctrl-C reaches it through us only, in the order we choose.

    Args:
        name: what it is.
        command: program and arguments.
        environment: all its variables.
        log: file for its output; None lets it write where we do.
    """
    with contextlib.ExitStack() as opened:
        sink = None
        if log is not None:
            log.parent.mkdir(parents=True, exist_ok=True)
            sink = opened.enter_context(log.open("ab"))
        process = subprocess.Popen(  # noqa: S603 - fixed programs, no shell
            list(command),
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    return Child(name, process, log)


def wait_until(ready: Callable[[], bool], child: Child, seconds: float) -> None:
    """Wait until a child serves.

    Raises:
        ProcessFailed: it ended, or the time is up.
    """
    deadline = time.monotonic() + seconds
    while not ready():
        child.require_running()
        if time.monotonic() > deadline:
            see = f"; see {child.log}" if child.log else ""
            raise ProcessFailed(f"{child.name} was not ready within {seconds:.0f} s{see}")
        time.sleep(0.05)


def free_port(preferred: int = 0) -> int:
    """Return a free TCP port of 127.0.0.1: the preferred one where it is free."""
    for port in (preferred, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ProcessFailed("no TCP port of 127.0.0.1 is free")


def listens(port: int) -> bool:
    """Whether something accepts connections on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def find_program(name: str, package: str) -> str:
    """Find a program that a Python package brings, beside this Python or on PATH.

    Raises:
        InvalidSetting: it is not installed.
    """
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise InvalidSetting(f"{name} is not installed; pip install 'vis_assets[embedded]' brings it ({package})")
    return found


def take_signals() -> None:
    """Make SIGTERM end this command in order, and SIGINT do what it does on a terminal.

    A program that a script starts in the background inherits an ignored SIGINT, and so would its children; Dagster maps
    SIGTERM to the inherited SIGINT handler, so such a child could not be stopped at all.
    """

    def leave(_number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, leave)
        signal.signal(signal.SIGINT, signal.default_int_handler)
