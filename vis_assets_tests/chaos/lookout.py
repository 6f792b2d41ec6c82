"""Seeing from outside which step the system is at, for attacks that wait for one."""

import contextlib
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import RESULT_STREAM
from vis_assets.errors import BrokerUnavailable
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM

Probe = Callable[[], object]
"""Returns something that changes when a step is done; None while it cannot be seen."""


@dataclass(frozen=True)
class Lookout:
    """Looks at NATS and at Dagster's records, both of which may be dead.

    Attributes:
        connection: to NATS.
        dagster_home: whose records of runs are in SQLite.
        seconds: how long a change is waited for.
    """

    connection: NatsConnection
    dagster_home: Path
    seconds: float

    def sees(self, probe: Probe) -> bool:
        """Wait until what is probed changes; return whether it did in time."""
        before, deadline = probe(), time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            now = probe()
            if now is not None and before is not None and now != before:
                return True
            before = now if before is None else before
            time.sleep(0.005)
        return False

    def delivered(self) -> object:
        """How often messages were handed out."""
        info = self.ask(lambda c: c.jetstream(timeout=1).consumer_info(JOB_STREAM, JOB_CONSUMER))
        return info and info.delivered.consumer_seq

    def acknowledged(self) -> object:
        """How many messages were taken out of the stream."""
        info = self.ask(lambda c: c.jetstream(timeout=1).stream_info(JOB_STREAM))
        return info and info.state.last_seq - info.state.messages

    def results(self) -> object:
        """How many terminal results were written."""
        info = self.ask(lambda c: c.jetstream(timeout=1).stream_info(RESULT_STREAM))
        return info and info.state.last_seq

    def runs(self) -> object:
        """How many runs Dagster has."""
        database = self.dagster_home / "history" / "runs.db"
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db,
        ):
            return db.execute("select count(*) from runs").fetchone()[0]
        return None

    def ask(self, call: Callable[[Any], Any]) -> Any:
        """Ask NATS; None where it does not answer."""
        with contextlib.suppress(BrokerUnavailable, TimeoutError):
            return self.connection.run(call, timeout=2)
        return None
