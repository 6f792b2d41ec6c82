"""The lease keeper beside a real process: says that it is alive, and ends it when told."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.lease_keeper import RENEW_SECONDS
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats
from vis_assets.operations.processes import free_port

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
RUN = "run-1"
RECORD = JobRecord("job-1", "7", 1, "o", (1, 1), None, attempt=2)
LONG = 3600.0
PATIENCE = 60.0
"""How long a test waits for what must come."""
PARENT = """
import os, subprocess, sys, time
command = [sys.executable, "-m", "vis_assets.delivery.lease_keeper", *sys.argv[1:4], str(os.getpid()), *sys.argv[4:6]]
print(subprocess.Popen(command).pid, flush=True)
time.sleep(float(sys.argv[6]))
"""
"""A run's process: starts its keeper, and works."""


@dataclass
class Run:
    """A process that stands for a run, and its keeper."""

    process: subprocess.Popen[str]
    keeper: int

    @property
    def was_killed(self) -> bool:
        """Wait for the end of the process; whether it was killed."""
        return self.process.wait(PATIENCE) == -signal.SIGKILL

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None


@dataclass
class Yard:
    """Where runs are started, and the server that they know."""

    url: str
    folder: Path
    """Of each run's files."""
    runs: list[Run] = field(default_factory=list)

    def start(self, timeout_seconds: float = LONG, work_seconds: float = LONG, attempt: int = 2) -> Run:
        arguments = [RUN, RECORD.job_id, str(attempt), str(timeout_seconds), str(self.folder), str(work_seconds)]
        process = subprocess.Popen(
            [sys.executable, "-c", PARENT, *arguments],
            env={**os.environ, "NATS_URL": self.url},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        run = Run(process, int(process.stdout.readline()))
        self.runs.append(run)
        return run

    def end(self) -> None:
        for run in self.runs:
            with contextlib.suppress(ProcessLookupError):
                run.process.kill()
            run.process.wait()
            wait_until(lambda run=run: not exists(run.keeper))  # type: ignore[misc]


@pytest.fixture
def yard(nats: NatsConnection, nats_server: EmbeddedNats, tmp_path: Path) -> Iterator[Yard]:
    """A server with the record of a job whose second attempt runs."""
    prepare(nats)
    made = Yard(nats_server.url, tmp_path / "run")
    yield made
    made.end()


def prepare(connection: NatsConnection) -> None:
    connection.run(lambda c: ledger.ensure(c, 1, 1))
    assert connection.run(lambda c: ledger.create_record(c, RECORD))


def exists(pid: int) -> bool:
    """Whether a process is there and is more than what is left of one."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_until(seen: Callable[[], bool]) -> None:
    """Wait for what must come."""
    deadline = time.monotonic() + PATIENCE
    while not seen():
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.1)


def renewed(connection: NatsConnection) -> float:
    """When the lease was last renewed; 0.0 if never."""
    lease = connection.run(lambda c: ledger.read_lease(c, RUN))
    return lease.renewed if lease is not None else 0.0


def wait_for_renewal(connection: NatsConnection) -> None:
    """Wait for the next renewal."""
    before = renewed(connection)
    wait_until(lambda: renewed(connection) > before)


def change(connection: NatsConnection, record: JobRecord) -> None:
    held = connection.run(lambda c: ledger.read_record(c, RECORD.job_id))
    assert held is not None
    assert connection.run(lambda c: ledger.replace_record(c, record, held.revision))


def test_a_live_run_keeps_its_lease(yard: Yard, nats: NatsConnection) -> None:
    """While the run works its lease is renewed again and again, and the run is left alone."""
    run = yard.start()
    for _ in range(3):
        wait_for_renewal(nats)
    assert run.is_alive
    lease = nats.run(lambda c: ledger.read_lease(c, RUN))
    assert lease is not None
    assert not lease.timed_out


@pytest.mark.parametrize("what", ["canceled", "removed", "later attempt"])
def test_a_run_that_nobody_wants_any_more_is_killed(yard: Yard, nats: NatsConnection, what: str) -> None:
    """When its job is canceled, has ended, or is at a later attempt, the run's process is killed, busy or not."""
    run = yard.start()
    wait_for_renewal(nats)
    if what == "canceled":
        change(nats, RECORD.to_cancel())
    elif what == "later attempt":
        change(nats, RECORD.vanished(0.0))
    else:
        nats.run(lambda c: ledger.remove_record(c, RECORD.job_id))
    assert run.was_killed


def test_a_run_of_an_older_attempt_never_gets_a_lease(yard: Yard, nats: NatsConnection) -> None:
    """A process that starts late, when its job is at a later attempt already, is killed before it renews anything."""
    assert yard.start(attempt=1).was_killed
    assert renewed(nats) == 0.0


def test_a_change_that_concerns_nobody_kills_nobody(yard: Yard, nats: NatsConnection) -> None:
    """A record that is rewritten for the same attempt, and the end of another job, leave the run alone."""
    run = yard.start()
    wait_for_renewal(nats)
    change(nats, RECORD.started(5.0).answering_at("elsewhere"))
    nats.run(lambda c: ledger.remove_record(c, "job-10"))
    for _ in range(2):
        wait_for_renewal(nats)
    assert run.is_alive


def test_the_keeper_of_a_run_that_ended_ends_too(yard: Yard, nats: NatsConnection) -> None:
    """When the run's process ends by itself its keeper goes, and renews nothing any more."""
    run = yard.start(work_seconds=3.0)
    wait_for_renewal(nats)
    assert run.process.wait(PATIENCE) == 0
    wait_until(lambda: not exists(run.keeper))
    last = renewed(nats)
    time.sleep(2 * RENEW_SECONDS)
    assert renewed(nats) == last


def test_the_keeper_of_a_run_that_was_killed_ends_too(yard: Yard, nats: NatsConnection) -> None:
    """A run that is killed from outside leaves no keeper that speaks for it."""
    run = yard.start()
    wait_for_renewal(nats)
    run.process.kill()
    assert run.was_killed
    wait_until(lambda: not exists(run.keeper))


def test_a_stopped_run_does_not_keep_its_lease(yard: Yard, nats: NatsConnection) -> None:
    """While the run's process is suspended its lease is not renewed; when it wakes up, it is again."""
    run = yard.start()
    wait_for_renewal(nats)
    run.process.send_signal(signal.SIGSTOP)
    time.sleep(RENEW_SECONDS)  # what was on its way has arrived
    last = renewed(nats)
    time.sleep(3 * RENEW_SECONDS)
    assert renewed(nats) == last
    run.process.send_signal(signal.SIGCONT)
    wait_for_renewal(nats)
    assert run.is_alive


def test_a_stopped_run_is_killed_too(yard: Yard, nats: NatsConnection) -> None:
    """A suspended process whose job went on without it never wakes up to do harm."""
    run = yard.start()
    wait_for_renewal(nats)
    run.process.send_signal(signal.SIGSTOP)
    change(nats, RECORD.vanished(0.0))
    assert run.was_killed


def test_a_run_whose_time_is_up_is_killed_and_it_is_noted(yard: Yard, nats: NatsConnection) -> None:
    """A run that takes too long is killed, and its lease says why."""
    assert yard.start(timeout_seconds=4.0).was_killed
    lease = nats.run(lambda c: ledger.read_lease(c, RUN))
    assert lease is not None
    assert lease.timed_out


def test_a_run_that_is_killed_leaves_no_files(yard: Yard) -> None:
    """Who cannot clean up any more has its folder of vectors removed."""
    yard.folder.mkdir()
    (yard.folder / "vectors.npy").write_bytes(b"x")
    assert yard.start(timeout_seconds=4.0).was_killed
    deadline = time.monotonic() + PATIENCE
    while yard.folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not yard.folder.exists()


def test_without_nats_a_run_whose_time_is_up_is_killed_all_the_same(tmp_path: Path) -> None:
    """The end of a run does not wait for a server that is not there."""
    yard = Yard(f"nats://127.0.0.1:{free_port()}", tmp_path)
    assert yard.start(timeout_seconds=4.0).was_killed
    yard.end()


@pytest.mark.parametrize("away_seconds", [0.0, 15.0], ids=["restart", "long"])
def test_a_server_that_was_away_is_found_again(tmp_path: Path, own_nats: EmbeddedNats, away_seconds: float) -> None:
    """A run survives a server that restarts, soon or late; its lease is renewed afterwards, and cancel still works."""
    yard = Yard(own_nats.url, tmp_path / "run")
    with NatsConnection(own_nats.url, "before") as connection:
        prepare(connection)
        run = yard.start()
        wait_for_renewal(connection)
    own_nats.child.stop()
    time.sleep(away_seconds)
    again = start_nats(tmp_path, int(own_nats.url.rpartition(":")[2]))
    try:
        assert again.url == own_nats.url
        with NatsConnection(again.url, "after") as connection:
            wait_for_renewal(connection)
            assert run.is_alive
            change(connection, RECORD.to_cancel())
            assert run.was_killed
    finally:
        yard.end()
        again.child.stop()


def test_a_server_that_lost_everything_stops_the_run(tmp_path: Path, own_nats: EmbeddedNats) -> None:
    """Where the server comes back without the job's record, nobody waits for the run, and it is killed."""
    yard = Yard(own_nats.url, tmp_path / "run")
    with NatsConnection(own_nats.url, "before") as connection:
        prepare(connection)
        run = yard.start()
        wait_for_renewal(connection)
    own_nats.child.stop()
    again = start_nats(tmp_path / "empty", int(own_nats.url.rpartition(":")[2]))
    try:
        with NatsConnection(again.url, "after") as connection:
            connection.run(lambda c: ledger.ensure(c, 1, 1))
        assert run.was_killed
    finally:
        yard.end()
        again.child.stop()


def test_an_interrupt_of_the_terminal_does_not_end_the_keeper(yard: Yard, nats: NatsConnection) -> None:
    """Ctrl-C reaches the keeper too; it goes on for as long as its run does."""
    run = yard.start()
    wait_for_renewal(nats)
    os.kill(run.keeper, signal.SIGINT)
    for _ in range(2):
        wait_for_renewal(nats)
    assert exists(run.keeper)
