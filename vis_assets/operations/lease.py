"""The worker's lease: a thread that renews it, whatever else the worker waits for."""

import contextlib
import logging
import threading
import time

from nats.aio.client import Client

from vis_assets.delivery import leadership
from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.leadership import Candidate, Standing
from vis_assets.errors import VisAssetsError
from vis_assets.settings import Settings

_log = logging.getLogger(__name__)

SAFE_SHARE = 0.75
"""A lease counts as lost after this share of it: whoever takes over waits for the whole."""
LONGEST_PAUSE_SECONDS = 2.0
"""How often a standby looks at the lease, and a leader at its own."""


class Lease:
    """Stands for election until closed; `leads` may be asked at any time, from any thread."""

    def __init__(self, settings: Settings, holder: str) -> None:
        """Stand under this name."""
        self._access = NatsAccess.of(settings)
        self._seconds = settings.lease_seconds
        self._candidate = Candidate(holder, settings.lease_seconds)
        self._standing = Standing(False, "")
        self._safe_until = 0.0
        self._draining = False
        self._wake = threading.Event()
        self._closed = False
        self._thread = threading.Thread(target=self._stand, name="lease", daemon=True)

    @property
    def holder(self) -> str:
        """Our name."""
        return self._candidate.holder

    @property
    def leads(self) -> bool:
        """Whether nobody else can hold the lease now: we renewed it not long ago."""
        return self._standing.leads and time.monotonic() < self._safe_until

    @property
    def leader(self) -> str:
        """Who leads, as far as is known; empty where nobody does."""
        return self._standing.holder

    def open(self) -> None:
        """Begin."""
        self._thread.start()

    def drain(self) -> None:
        """Let the sensors know that nothing new is to begin."""
        self._draining = True
        self._wake.set()

    def close(self) -> None:
        """Give the lease back and end."""
        self._closed = True
        self._wake.set()
        self._thread.join(15)

    def _stand(self) -> None:
        while not self._closed:
            try:
                with NatsConnection(self._access, "vis_assets lease of worker") as connection:
                    self._campaign(connection)
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt may succeed
                # Health says so; the lease runs out if this lasts.
                if not isinstance(error, VisAssetsError):
                    _log.exception("the lease could not be renewed")
                self._wake.wait(min(LONGEST_PAUSE_SECONDS, self._seconds / 10))

    def _campaign(self, connection: NatsConnection) -> None:
        connection.run(leadership.ensure_workers)
        while not self._closed:
            self._wake.clear()
            asked = time.monotonic()
            standing = connection.run(self._stand_once, self._seconds / 4)
            if standing.leads != self._standing.leads:
                _log.info("we lead" if standing.leads else f"we stand by: {standing.holder} leads")
            if standing.leads:
                self._safe_until = asked + self._seconds * SAFE_SHARE
            self._standing = standing
            self._wake.wait(min(LONGEST_PAUSE_SECONDS, self._seconds / 10))
        with contextlib.suppress(VisAssetsError):
            connection.run(self._candidate.release)

    async def _stand_once(self, client: Client) -> Standing:
        return await self._candidate.campaign(client, draining=self._draining)
