"""What a map shows: the points, their clusters and their texts."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
import numpy.typing as npt

from vis_assets.errors import ComputeFailed, NoPoints, PointsMismatch
from vis_assets.page.fields import PayloadField

NOISE = -1
"""Label of points that belong to no cluster."""


@dataclass(frozen=True)
class PhraseLists(Sequence[Sequence[str]]):
    """Lists of texts, one after the other in one list: thousands of them then travel to a worker as one column.

    Attributes:
        texts: of all lists.
        starts: (number of lists + 1,) int64, where each list begins and the last one ends.
    """

    texts: Sequence[str]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, lists: Iterable[Sequence[str]]) -> "PhraseLists":
        """Put lists one after the other."""
        kept = [list(phrases) for phrases in lists]
        ends = np.cumsum([0, *map(len, kept)], dtype=np.int64)
        return cls([text for phrases in kept for text in phrases], ends)

    def __len__(self) -> int:
        """Return the number of lists."""
        return len(self.starts) - 1

    @overload
    def __getitem__(self, index: int) -> Sequence[str]: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Sequence[str]]: ...

    def __getitem__(self, index: int | slice) -> Sequence[str] | Sequence[Sequence[str]]:
        """Return one list, or several."""
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        first = range(len(self))[index]  # negative ones count from the end; beyond it is an IndexError
        return list(self.texts[self.starts[first] : self.starts[first + 1]])


@dataclass(frozen=True)
class ClusterLayer:
    """One way to divide the points into clusters, fine or coarse.

    Attributes:
        labels: (n,) int32 cluster of each point, -1 = in no cluster of this layer.
        names: the name of cluster i at index i.
        keyphrases: what sets cluster i apart, at index i; or empty.

    Raises:
        PointsMismatch: a label is below -1 or has no name, or keyphrases are there for some clusters only.
    """

    labels: npt.NDArray[np.int32]
    names: Sequence[str]
    keyphrases: Sequence[Sequence[str]] = ()

    def __post_init__(self) -> None:
        """Refuse labels that nothing belongs to."""
        least, greatest = (int(self.labels.min()), int(self.labels.max())) if len(self.labels) else (NOISE, NOISE)
        if least < NOISE:
            raise PointsMismatch(f"cluster {least} is below {NOISE} (none); materialize cluster_labels again")
        if greatest >= len(self.names):
            raise PointsMismatch(
                f"cluster {greatest} has no name among {len(self.names)}; materialize cluster_names again"
            )
        if len(self.keyphrases) not in {0, len(self.names)}:
            raise PointsMismatch(
                f"{len(self.keyphrases)} clusters of {len(self.names)} have keyphrases; materialize cluster_names again"
            )


@dataclass(frozen=True)
class MapContent:
    """Everything of a map that does not depend on how it is drawn. Row i of every field is the same point.

    Attributes:
        coordinates: (n, 2) float32 places on the plane, no unit.
        labels: (n,) int32 cluster of each point, -1 = noise.
        cluster_names: the name of cluster i at index i, each used once.
        hover_texts: n texts, maybe empty.
        ids: n point ids, or none.
        strengths: (n,) float32 membership strength of each point in its cluster, 0 to 1; or None.
        keyphrases: what sets cluster i apart, at index i; or empty.
        coarser: the same points in fewer clusters, the next coarser layer first. What is one cluster of a layer need
            not lie in one cluster of the next.
        fields: of the payload.

    Raises:
        NoPoints: there is no point.
        PointsMismatch: the fields speak of different numbers of points, or a label has no name.
        ComputeFailed: a coordinate is not a finite number, or a strength is not between 0 and 1.
    """

    coordinates: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int32]
    cluster_names: Sequence[str]
    hover_texts: Sequence[str]
    ids: Sequence[str] = ()
    strengths: npt.NDArray[np.float32] | None = None
    keyphrases: Sequence[Sequence[str]] = ()
    coarser: tuple[ClusterLayer, ...] = ()
    fields: tuple[PayloadField, ...] = ()

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
        if not np.isfinite(self.coordinates).all():
            raise ComputeFailed("the layout holds coordinates that are not finite; materialize embedding_2d again")
        ClusterLayer(self.labels, self.cluster_names, self.keyphrases)  # refuses what does not belong together
        self._check_lengths(n)
        if self.strengths is not None and not ((self.strengths >= 0) & (self.strengths <= 1)).all():
            raise ComputeFailed(
                f"membership strengths from {self.strengths.min()} to {self.strengths.max()} are not between 0 and 1; "
                "materialize cluster_labels again"
            )

    def _check_lengths(self, n: int) -> None:
        lengths = {
            "ids": (len(self.ids) or n, "vectors"),
            "membership strengths": (n if self.strengths is None else self.strengths.size, "cluster_labels"),
        }
        lengths |= {f"labels in layer {i}": (len(layer.labels), "cluster_labels") for i, layer in self._numbered}
        lengths |= {f"values of field {field.name!r}": (len(field.values), "vectors") for field in self.fields}
        for what, (length, asset) in lengths.items():
            if length != n:
                raise PointsMismatch(
                    f"the map has {n} points and {length} {what}; materialize {asset} and everything after it again"
                )

    @property
    def _numbered(self) -> Iterable[tuple[int, ClusterLayer]]:
        return enumerate(self.coarser, start=1)

    @property
    def layers(self) -> tuple[ClusterLayer, ...]:
        """All layers of clusters, the finest first."""
        return (ClusterLayer(self.labels, self.cluster_names, self.keyphrases), *self.coarser)

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
