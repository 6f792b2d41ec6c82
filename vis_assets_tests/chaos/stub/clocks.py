"""Time in the stub tier: every wait of delivery that a setting or a limit holds, shortened by one factor."""

from dataclasses import replace
from pathlib import Path

from nats.aio.client import Client

from vis_assets.delivery.decide import Limits
from vis_assets.delivery.job_record import RETRY_DELAYS_SECONDS
from vis_assets.delivery.job_stream import ensure_stream
from vis_assets.delivery.lease_keeper import RENEW_SECONDS
from vis_assets.protocol.subjects import JOB_CONSUMER, JOB_STREAM
from vis_assets.sensors import job_queue, reconciliation
from vis_assets.settings import Settings

FACTOR = 30.0
"""A minute of an installation is two seconds here: leases 2 s, retries 1, 4, 10, 30 and 120 s, ack_wait 2 min."""
LEASE_SECONDS = 60.0 / FACTOR
RENEWAL_SECONDS = RENEW_SECONDS / FACTOR
ACK_WAIT_SECONDS = 3600.0 / FACTOR
SYNC_SECONDS = 120.0 / FACTOR
"""How often nats-server writes down what was removed; one that is killed forgets the removals since then."""
TICK_SECONDS = 0.8
"""Not by the factor, which would leave ticks no time to wait; but leases are looked at twice while one lasts."""


def variables(home: Path, nats_url: str, slots: int, max_attempts: int) -> dict[str, str]:
    """Return the settings of the installation under attack.

    `MAX_LOST_ATTEMPTS` is no clock: runs are killed here so often that ten might be one job's.
    """
    return {
        "NATS_URL": nats_url,
        "VIS_ASSETS_HOME": str(home),
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "VIS_ASSETS_LEASE_SECONDS": str(LEASE_SECONDS),
        "VIS_ASSETS_RETRY_SECONDS": ",".join(str(seconds / FACTOR) for seconds in RETRY_DELAYS_SECONDS),
        "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1",
        "MAX_ATTEMPTS": str(max_attempts),
        "MAX_LOST_ATTEMPTS": "100",
        "MAX_CONCURRENT_JOBS": str(slots),
    }


def shorten_waits() -> None:
    """Shorten, in this process, the waits of delivery that are no settings."""
    job_queue.TICK_SECONDS = TICK_SECONDS
    of_settings = reconciliation.limits_of

    def short(settings: Settings) -> Limits:
        limits = of_settings(settings)
        return replace(
            limits, request_seconds=limits.request_seconds / FACTOR, park_seconds=limits.park_seconds / FACTOR
        )

    reconciliation.limits_of = short


async def shorten_ack_wait(client: Client) -> None:
    """Make the stream and its consumer as delivery does, and let the consumer offer messages again sooner."""
    await ensure_stream(client)
    made = (await client.jetstream().consumer_info(JOB_STREAM, JOB_CONSUMER)).config
    await client.jetstream().add_consumer(JOB_STREAM, replace(made, ack_wait=ACK_WAIT_SECONDS))
