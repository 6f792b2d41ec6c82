"""How long stages take, counted as Prometheus counts."""

import bisect
from dataclasses import dataclass, field

BOUNDS_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)


@dataclass
class Histogram:
    """Durations, counted by bound.

    Attributes:
        counts: how many were at most each bound of `BOUNDS_SECONDS` and above the one before; the last: above all.
        seconds: their sum.
    """

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_SECONDS) + 1))
    seconds: float = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect.bisect_left(BOUNDS_SECONDS, seconds)] += 1
        self.seconds += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """Return (upper bound, how many up to it), as Prometheus wants them."""
        pairs, total = [], 0.0
        for bound, count in zip([*map(str, BOUNDS_SECONDS), "+Inf"], self.counts, strict=True):
            total += count
            pairs.append((bound, total))
        return pairs
