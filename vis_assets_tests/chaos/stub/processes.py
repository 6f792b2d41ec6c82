"""Processes that are born in milliseconds, forked from a server that has imported everything: they die often."""

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["vis_assets_tests.chaos.stub.daemon", "vis_assets_tests.chaos.stub.runner", "vis_assets.definitions"]
)


@dataclass
class Stub:
    """A process that is started again whenever it dies.

    Attributes:
        name: what it is; its log is called so.
        work: what it does until it is killed.
        variables: its environment.
        log: where its output goes.
        deaths: how often it was killed.
    """

    name: str
    work: Callable[[], None]
    variables: dict[str, str]
    log: Path
    deaths: int = 0
    process: BaseProcess | None = field(default=None, repr=False)

    @property
    def pid(self) -> int:
        """Its pid; 0 where it is dead."""
        return self.process.pid or 0 if self.process is not None and self.process.is_alive() else 0

    def revive(self) -> None:
        """Start it where it is dead."""
        if self.pid == 0:
            self.process = _context.Process(
                target=_live, args=(self.work, self.variables, self.log, os.getpid()), name=self.name
            )
            self.process.start()

    def kill(self) -> None:
        """SIGKILL."""
        if self.process is not None and self.pid:
            self.deaths += 1
            self.process.kill()
            self.process.join()

    def stall(self, seconds: float) -> None:
        """SIGSTOP; it wakes by itself later, unless it is killed before."""
        pid = self.pid
        if pid:
            self.deaths += 1
            os.kill(pid, signal.SIGSTOP)
            alarm = threading.Timer(seconds, self._wake, [pid])
            alarm.daemon = True
            alarm.start()

    def _wake(self, pid: int) -> None:
        if self.pid == pid:
            os.kill(pid, signal.SIGCONT)


def _live(work: Callable[[], None], variables: dict[str, str], log: Path, owner: int) -> None:
    """Be that process; it ends with its owner, whose server of forks ends then too."""
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(sink, sys.stdout.fileno() if sys.stdout else 1)
    os.dup2(sink, 2)
    os.environ.update(variables)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent and Path(f"/proc/{owner}").exists():
            threading.Event().wait(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()
    work()
