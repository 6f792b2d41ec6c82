"""What is known of a cluster before it has a name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vis_assets.mapping.clustering.layers import parents_of
from vis_assets.mapping.clustering.numbering import rows_by_label
from vis_assets.mapping.exemplars import LayerEvidence
from vis_assets.naming.sketch import Sketch, hash_documents, sketch_clusters

MEMBERS = 40
"""Documents of a cluster, besides its exemplars, that names are checked against."""
MEMBER_CHARACTERS = 1_000
"""Beginning of each that is kept for that."""

Labels = npt.NDArray[np.int32]

Place = tuple[int, int]
"""A cluster: its layer (0 = the finest) and its label there."""


@dataclass(frozen=True)
class ClusterEvidence:
    """One cluster of one layer.

    Attributes:
        layer: 0 = the finest.
        label: number of the cluster in its layer.
        parent: label of the cluster of the next coarser layer that it is in, -1 for none.
        size: number of points.
        keyphrases: what sets its documents apart, the best first.
        exemplars: rows of its exemplars, the most typical first.
        documents: their texts; empty ones are left out.
        members: beginnings of other documents of the cluster, a sample; names are checked against them.
        neighbors: labels of the nearest other clusters of the layer, the nearest first.
        sketch: of all its documents; None where it has no text.
    """

    layer: int
    label: int
    parent: int
    size: int
    keyphrases: tuple[str, ...]
    exemplars: tuple[int, ...] = ()
    documents: tuple[str, ...] = field(default=(), repr=False)
    members: tuple[str, ...] = field(default=(), repr=False)
    neighbors: tuple[int, ...] = ()
    sketch: Sketch | None = field(default=None, repr=False)

    @property
    def place(self) -> Place:
        """Layer and label."""
        return self.layer, self.label

    @property
    def is_telling(self) -> bool:
        """Whether there is anything to make a name of."""
        return bool(self.keyphrases or self.documents)


def children_of(clusters: Sequence[ClusterEvidence]) -> Mapping[Place, Sequence[ClusterEvidence]]:
    """Return the clusters of the next finer layer that each cluster is made of, the biggest first."""
    found: dict[Place, list[ClusterEvidence]] = {}
    for cluster in clusters:
        if cluster.parent >= 0:
            found.setdefault((cluster.layer + 1, cluster.parent), []).append(cluster)
    return {place: sorted(family, key=lambda child: (-child.size, child.label)) for place, family in found.items()}


def find_only_children(clusters: Sequence[ClusterEvidence]) -> Mapping[Place, ClusterEvidence]:
    """Return, for each cluster that is all of one finer cluster, the finest one that it is all of."""
    children = children_of(clusters)
    found: dict[Place, ClusterEvidence] = {}
    for cluster in sorted(clusters, key=lambda one: one.layer):
        family = children.get(cluster.place, ())
        if len(family) == 1 and family[0].size == cluster.size:
            found[cluster.place] = found.get(family[0].place, family[0])
    return found


def collect_evidence(
    layers: Sequence[Labels],
    texts: Sequence[str],
    keyphrases: Sequence[Sequence[tuple[str, ...]]],
    found: Sequence[LayerEvidence],
    *,
    with_sketches: bool,
) -> list[ClusterEvidence]:
    """Put together what is known of every cluster, the clusters of the finest layer first.

    Args:
        layers: (n,) int32 labels each, the finest layer first.
        texts: n texts, maybe empty.
        keyphrases: by layer and label.
        found: exemplars and neighbours, by layer.
        with_sketches: whether clusters are to be recognized in later runs, which takes a hash of every text.
    """
    hashes = hash_documents(texts) if with_sketches else None
    parents = [*(parents_of(finer, coarser) for finer, coarser in pairwise(layers)), None]
    clusters = []
    for layer, labels in enumerate(layers):
        sketches = sketch_clusters(hashes, labels) if hashes is not None else None
        for label, rows in enumerate(rows_by_label(labels)):
            parent, exemplars = parents[layer], found[layer].exemplars[label].tolist()
            clusters.append(
                ClusterEvidence(
                    layer=layer,
                    label=label,
                    parent=int(parent[label]) if parent is not None else -1,
                    size=len(rows),
                    keyphrases=keyphrases[layer][label],
                    exemplars=tuple(exemplars),
                    documents=tuple(texts[row] for row in exemplars if texts[row]),
                    members=tuple(
                        texts[row][:MEMBER_CHARACTERS] for row in _sample(rows) if texts[row] and row not in exemplars
                    ),
                    neighbors=tuple(near for near in found[layer].neighbors[label].tolist() if near >= 0),
                    sketch=sketches[label] if sketches is not None else None,
                )
            )
    return clusters


def _sample(rows: npt.NDArray[np.intp]) -> list[int]:
    """Some rows, spread evenly over all."""
    steps = np.linspace(0, len(rows) - 1, min(MEMBERS, len(rows)))
    return list(dict.fromkeys(rows[steps.astype(np.intp)].tolist()))
