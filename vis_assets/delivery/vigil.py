"""Since when leases have been looked at without a gap: silence is only blamed on a run while somebody listened.

Where NATS was away, or no tick came for a while, no keeper could renew its lease, or nobody would have seen it. After
such a gap every run gets a moment to speak up before it counts as vanished.
"""

from dataclasses import dataclass

GRACE_SECONDS = 10.0
"""How long after a gap a run has to renew its lease: three renewals, and the time to connect again."""


@dataclass
class Vigil:
    """Watches over one process's own looks at the leases; one of it lives as long as the process.

    Attributes:
        lease_seconds: silence after which a run counts as vanished.
        begun: when the present series of looks began, seconds since 1970.
        last_look: when the leases were last looked at.
    """

    lease_seconds: float
    begun: float = 0.0
    last_look: float = 0.0

    def look(self, now: float) -> None:
        """Note that the leases are looked at now.

        The look that follows the first of a series never begins another one: looks that come seldom must end in a
        judgement, even at the price of an attempt that is repeated without need.
        """
        first = self.last_look == self.begun and self.begun > 0
        if now - self.last_look > self.lease_seconds / 2 and not first:
            self.begun = now
        self.last_look = now

    def silence(self, spoke: float, now: float) -> float:
        """Return for how long a run is to be counted silent, seconds.

        Args:
            spoke: when it last renewed its lease, or was started, seconds since 1970.
            now: seconds since 1970.
        """
        return max(0.0, now - max(spoke, self.begun - self.lease_seconds + self._grace))

    @property
    def _grace(self) -> float:
        return min(GRACE_SECONDS, self.lease_seconds)
