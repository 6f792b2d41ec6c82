"""Who reconciles: one worker for each durable consumer. The others stand by and take over when it falls silent.

The lease is the key `leader` of the key-value bucket `visualization_workers`, changed only with the revision that was
read. Silence is measured by the one who waits, on its own clock, as the time for which the revision did not change: the
clocks of two machines need not agree. A holder on the same machine whose process is gone is not waited for.

The key `tick` of the same bucket says when the holder's sensor last reconciled.
"""

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from nats.aio.client import Client
from nats.js.api import KeyValueConfig
from nats.js.errors import BucketNotFoundError, KeyNotFoundError, KeyWrongLastSequenceError

from vis_assets.delivery.connection import REQUEST_SECONDS

WORKERS = "visualization_workers"
LEADER = "leader"
TICK = "tick"
RENEWALS_PER_LEASE = 10
"""How often a lease is renewed before it would run out."""


@dataclass(frozen=True)
class Claim:
    """What the lease says.

    Attributes:
        holder: who reconciles; empty where the last holder gave the lease back.
        process: which process of which machine that is, see `this_process`.
        draining: the holder finishes what runs, and begins nothing.
        renewed: seconds since 1970 on the holder's clock, for people to read.
    """

    holder: str = ""
    process: str = ""
    draining: bool = False
    renewed: float = 0.0

    def encode(self) -> bytes:
        """Write the claim as JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read what `encode` wrote; keys of later versions are ignored."""
        values = json.loads(data)
        return cls(**{name: values[name] for name in cls.__dataclass_fields__ if name in values})


@dataclass(frozen=True)
class Standing:
    """Where somebody stands.

    Attributes:
        leads: it holds the lease.
        holder: who does.
        draining: the holder begins no new jobs.
    """

    leads: bool
    holder: str
    draining: bool = False


@dataclass(frozen=True)
class Tick:
    """When the holder's sensor last reconciled.

    Attributes:
        holder: whose sensor it was.
        at: seconds since 1970 on the holder's clock.
    """

    holder: str
    at: float


def new_holder(worker_id: str) -> str:
    """Name one start of a worker: two workers of one id, or one started twice, are two holders."""
    return f"{worker_id}:{uuid.uuid4().hex[:8]}"


class Candidate:
    """One who wants to reconcile: renews its lease, or takes over one that is free."""

    def __init__(self, holder: str, lease_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        """Stand for election.

        Args:
            holder: its name, unique to this start of the process.
            lease_seconds: silence after which a lease is free.
            clock: seconds that never go back.
        """
        self.holder = holder
        self._lease_seconds = lease_seconds
        self._clock = clock
        self._seen: tuple[int, float] = (0, 0.0)
        """The last revision seen of another's lease, and since when."""
        self._renewed = (False, float("-inf"))
        """What was last written about draining, and when."""

    async def campaign(self, client: Client, *, draining: bool = False) -> Standing:
        """Renew the lease, or take it over where it is free; say who leads."""
        claim, revision = await _read(client)
        if claim.holder == self.holder:
            due = self._renewed[1] + self._lease_seconds / RENEWALS_PER_LEASE
            if self._renewed[0] == draining and self._clock() < due:
                return Standing(True, self.holder, draining)
            return await self._write(client, revision, draining)
        if self._is_free(claim, revision):
            return await self._write(client, revision, draining)
        return Standing(False, claim.holder, claim.draining)

    async def release(self, client: Client) -> None:
        """Give the lease back, so that another takes over at once."""
        claim, revision = await _read(client)
        if claim.holder == self.holder:
            await _replace(client, Claim(renewed=time.time()), revision)

    def _is_free(self, claim: Claim, revision: int) -> bool:
        if not claim.holder or is_gone(claim.process):
            return True
        if self._seen[0] != revision:
            self._seen = (revision, self._clock())
        return self._clock() - self._seen[1] > self._lease_seconds

    async def _write(self, client: Client, revision: int, draining: bool) -> Standing:
        now = self._clock()
        if await _replace(client, Claim(self.holder, this_process(), draining, time.time()), revision):
            self._renewed = (draining, now)
            return Standing(True, self.holder, draining)
        claim, _ = await _read(client)
        return Standing(claim.holder == self.holder, claim.holder, claim.draining)


async def ensure_workers(client: Client) -> None:
    """Create the bucket where it is missing."""
    jetstream = client.jetstream(timeout=REQUEST_SECONDS)
    try:
        await jetstream.key_value(WORKERS)
    except BucketNotFoundError:
        await jetstream.create_key_value(KeyValueConfig(bucket=WORKERS, history=1))


async def standing_of(client: Client, holder: str) -> Standing:
    """Say whether a holder leads, for the sensors of a worker that renews the lease itself."""
    claim, _ = await _read(client)
    return Standing(claim.holder == holder, claim.holder, claim.draining)


async def note_tick(client: Client, holder: str) -> None:
    """Write down that a sensor has just reconciled."""
    await (await _bucket(client)).put(TICK, json.dumps(asdict(Tick(holder, time.time()))).encode())


async def read_tick(client: Client) -> Tick | None:
    """Return when a sensor last reconciled; None where none ever did."""
    try:
        entry = await (await _bucket(client)).get(TICK)
    except KeyNotFoundError:
        return None
    value = json.loads(entry.value or b"{}")
    return Tick(str(value["holder"]), float(value["at"]))


def this_process() -> str:
    """Name this process among all of all machines: boot, process namespace, pid and start."""
    return _process(os.getpid()) or ""


def is_gone(process: str) -> bool:
    """Whether a process is known to have ended: it was one of this machine and boot, and is no more."""
    machine, _, rest = process.rpartition(":")[0].rpartition(":")
    if not machine or machine != _machine() or not rest.isdigit():
        return False
    return _process(int(rest)) != process


def _machine() -> str:
    """Name this boot of this machine, and which pids we see; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}:{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _process(pid: int) -> str | None:
    """Name a live process; None where there is none, or only what is left of it."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    state, started = fields[0], fields[19]
    return f"{_machine()}:{pid}:{started}" if state not in {"Z", "X"} else None


async def _bucket(client: Client) -> Any:
    return await client.jetstream(timeout=REQUEST_SECONDS).key_value(WORKERS)


async def _read(client: Client) -> tuple[Claim, int]:
    try:
        entry = await (await _bucket(client)).get(LEADER)
    except KeyNotFoundError:
        return Claim(), 0
    return Claim.decode(entry.value or b"{}"), entry.revision or 0


async def _replace(client: Client, claim: Claim, revision: int) -> bool:
    try:
        await (await _bucket(client)).update(LEADER, claim.encode(), last=revision)
    except KeyWrongLastSequenceError:
        return False
    return True
