"""What a map shows: the points, their clusters and their texts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed, NoPoints, PointsMismatch

NOISE = -1
"""Label of points that belong to no cluster."""


@dataclass(frozen=True)
class MapContent:
    """Everything of a map that does not depend on how it is drawn. Row i of every field is the same point.

    Attributes:
        coordinates: (n, 2) float32 places on the plane, no unit.
        labels: (n,) int32 cluster of each point, -1 = noise.
        cluster_names: the name of cluster i at index i, each used once.
        hover_texts: n texts, maybe empty.

    Raises:
        NoPoints: there is no point.
        PointsMismatch: the fields speak of different numbers of points, or a label has no name.
        ComputeFailed: a coordinate is not a finite number.
    """

    coordinates: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    cluster_names: Sequence[str]
    hover_texts: Sequence[str]

    def __post_init__(self) -> None:
        """Refuse content that no page can show."""
        n = len(self.labels)
        if n == 0:
            raise NoPoints("the map has no points to draw; check the collection and the filter of the job")
        if self.coordinates.shape != (n, 2) or len(self.hover_texts) != n:
            raise PointsMismatch(
                f"the map has {n} labels, coordinates of shape {self.coordinates.shape} and "
                f"{len(self.hover_texts)} texts; materialize embedding_2d and everything after it again"
            )
        if int(self.labels.max()) >= len(self.cluster_names):
            raise PointsMismatch(
                f"cluster {int(self.labels.max())} has no name among {len(self.cluster_names)}; "
                "materialize cluster_names again"
            )
        if not np.isfinite(self.coordinates).all():
            raise ComputeFailed("the layout holds coordinates that are not finite; materialize embedding_2d again")

    @property
    def cluster_sizes(self) -> npt.NDArray[np.int64]:
        """Number of points of each cluster, (number of names,)."""
        members = self.labels[self.labels > NOISE]
        return np.bincount(members, minlength=len(self.cluster_names)).astype(np.int64)

    @property
    def cluster_centers(self) -> npt.NDArray[np.float64]:
        """Mean place of each cluster's points, (number of names, 2); the origin for a name without points."""
        is_member = self.labels > NOISE
        members = self.labels[is_member]
        count = len(self.cluster_names)
        sums = [np.bincount(members, self.coordinates[is_member, axis], minlength=count) for axis in (0, 1)]
        return np.stack(sums, axis=1) / np.maximum(self.cluster_sizes, 1)[:, None]
