"""A small process beside each run that a job asked for: says that the run's process is alive, and ends it when told.

It is a process of its own because native kernels hold Python's global lock for many seconds: a thread of the run could
neither renew the lease nor obey in time. It watches its parent, the run:

- alive and not stopped: the lease is renewed;
- the job was canceled, has ended, or is at a later attempt, or the time is up: the run is killed;
- the run has ended: so does this process, after it removed the run's files: a run that is killed cannot.

Run as `python -m vis_assets.delivery.lease_keeper RUN_ID JOB_ID ATTEMPT PID TIMEOUT_SECONDS FOLDER`, with the run's
NATS_….
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from vis_assets.delivery import ledger
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.errors import BrokerUnavailable, InvalidSetting
from vis_assets.settings import load_settings

RENEW_SECONDS = 3.0
"""How often the lease is renewed and the record looked at, at least; a short lease is renewed four times in it."""
LOOK_SECONDS = 0.5
"""How often the parent is looked at."""


@dataclass(frozen=True)
class Watch:
    """Which run is watched.

    Attributes:
        run_id: Dagster's id.
        job_id: whose attempt it is.
        attempt: number of the attempt.
        pid: the run's process, the parent of this one.
        deadline: monotonic time at which it is killed.
        renew_seconds: how often the lease is renewed.
    """

    run_id: str
    job_id: str
    attempt: int
    pid: int
    deadline: float
    renew_seconds: float = RENEW_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the run's process is gone: an orphan has another parent."""
        return os.getppid() != self.pid

    @property
    def is_stopped(self) -> bool:
        """Whether the run's process is suspended (SIGSTOP): it lives, but does not work."""
        try:
            state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:  # the process just ended, or this system has no /proc
            return False
        return state in {"T", "t"}


def keep(watch: Watch, connection: NatsConnection) -> None:
    """Renew the lease until the run ends, or end the run."""
    due = 0.0
    while not watch.is_over:
        now = time.monotonic()
        if now > watch.deadline:
            with contextlib.suppress(BrokerUnavailable):  # the run ends in time, whether or not NATS hears of it
                connection.run(lambda c: ledger.note_timeout(c, watch.run_id))
            os.kill(watch.pid, signal.SIGKILL)
        elif now >= due:
            due = now + watch.renew_seconds
            _renew_or_end(watch, connection)
        time.sleep(LOOK_SECONDS)


def _renew_or_end(watch: Watch, connection: NatsConnection) -> None:
    held = connection.run(lambda c: ledger.read_record(c, watch.job_id))
    if held is None or held.record.canceled or held.record.attempt != watch.attempt:
        os.kill(watch.pid, signal.SIGKILL)
    elif not watch.is_stopped:
        connection.run(lambda c: ledger.renew_lease(c, watch.run_id, watch.job_id, watch.attempt, watch.pid))


def main(arguments: list[str]) -> None:
    """Watch the run that the arguments name."""
    run_id, job_id, attempt, pid, timeout, folder = arguments
    watch = Watch(run_id, job_id, int(attempt), int(pid), time.monotonic() + float(timeout))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while not watch.is_over:
        try:
            settings = load_settings()
            often = min(RENEW_SECONDS, settings.lease_seconds / 4)
            with NatsConnection(NatsAccess.of(settings), "vis_assets lease") as connection:
                keep(replace(watch, renew_seconds=often), connection)
        except (BrokerUnavailable, InvalidSetting):
            # Credentials may be exchanged at this moment; if this lasts, the lease runs out.
            time.sleep(LOOK_SECONDS)
            if time.monotonic() > watch.deadline and not watch.is_over:
                os.kill(watch.pid, signal.SIGKILL)
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main(sys.argv[1:])
