"""The stages of a job and the share of the whole that each covers."""

from enum import Enum


class Stage(Enum):
    """A stage of a job: its name on the wire, and its first and last percent."""

    STARTING = ("starting", 0, 0)
    FETCHING_VECTORS = ("fetching_vectors", 5, 20)
    APPLYING_UMAP = ("applying_umap", 25, 50)
    CLUSTERING = ("clustering", 55, 70)
    NAMING_CLUSTERS = ("naming_clusters", 72, 85)
    GENERATING_HTML = ("generating_html", 88, 100)

    def __init__(self, wire_name: str, first_percent: int, last_percent: int) -> None:
        """Unpack the value."""
        self.wire_name = wire_name
        self.first_percent = first_percent
        self.last_percent = last_percent

    def percent(self, done: float, total: float) -> int:
        """Percent of the whole job when `done` of `total` units of this stage are done."""
        share = min(max(done / total, 0.0), 1.0) if total > 0 else 1.0
        return self.first_percent + int(share * (self.last_percent - self.first_percent))
