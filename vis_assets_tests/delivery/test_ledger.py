"""What is written down in JetStream stays as it was written when the server is killed."""

import os
import signal
from functools import partial
from pathlib import Path

import pytest

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(60)]


def record(job_id: str) -> JobRecord:
    """A new job."""
    return JobRecord(job_id, "7", 1, "o", (1, 1), "reply")


def kill_and_start_again(server: EmbeddedNats, home: Path) -> EmbeddedNats:
    """SIGKILL the server, and start another on its files."""
    os.kill(server.child.process.pid, signal.SIGKILL)
    server.child.process.wait()
    return start_nats(home)


def test_removed_records_stay_removed(own_nats: EmbeddedNats, tmp_path: Path) -> None:
    """A record that was removed does not come back with a server that was killed, and one that was kept does."""
    with NatsConnection(own_nats.url, "test") as connection:
        connection.run(lambda c: ledger.ensure(c, 1, 1))
        for job_id in ("done", "under-way"):
            assert connection.run(partial(ledger.create_record, record=record(job_id)))
        for held in connection.run(ledger.read_records):
            changed = partial(ledger.replace_record, record=held.record.to_cancel(), revision=held.revision)
            assert connection.run(changed)
        connection.run(lambda c: ledger.remove_record(c, "done"))
        assert [held.record.job_id for held in connection.run(ledger.read_records)] == ["under-way"]
    again = kill_and_start_again(own_nats, tmp_path)
    try:
        with NatsConnection(again.url, "test") as connection:
            (held,) = connection.run(ledger.read_records)
            assert (held.record.job_id, held.record.canceled) == ("under-way", True)
    finally:
        again.child.stop()


def test_a_removed_job_can_be_written_down_anew(own_nats: EmbeddedNats) -> None:
    """The key of a removed record is free again, and what a slow process read before is not."""
    with NatsConnection(own_nats.url, "test") as connection:
        connection.run(lambda c: ledger.ensure(c, 1, 1))
        assert connection.run(lambda c: ledger.create_record(c, record("a")))
        (old,) = connection.run(ledger.read_records)
        connection.run(lambda c: ledger.remove_record(c, "a"))
        assert not connection.run(lambda c: ledger.replace_record(c, old.record, old.revision))
        assert connection.run(lambda c: ledger.create_record(c, record("a")))
        assert not connection.run(lambda c: ledger.create_record(c, record("a")))
