"""Sketches of clusters: small enough to be kept, and telling how many documents two clusters share.

A sketch holds the smallest hashes of a cluster's documents (bottom-k sketch; Broder 1997). Which documents those are
is as good as drawn by lot, so the share of them that two clusters have in common is that of all.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

SKETCH_SIZE = 256
"""Hashes kept of a cluster; of one with fewer distinct documents the sketch is the whole set."""

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, eq=False)
class Sketch:
    """What a cluster's documents are.

    Attributes:
        hashes: the smallest hashes of its distinct documents in ascending order, at most `SKETCH_SIZE`.
        content: fingerprint of all its distinct documents; equal for equal sets of documents.
    """

    hashes: Hashes
    content: str

    @cached_property
    def _is_whole(self) -> bool:
        return len(self.hashes) < SKETCH_SIZE

    def similarity(self, other: "Sketch") -> float:
        """Share of the documents of both that both have (Jaccard index), 0 to 1; exact for small clusters."""
        if self.content == other.content:
            return 1.0
        union = np.union1d(self.hashes, other.hashes)
        if not (self._is_whole and other._is_whole):  # beyond the k smallest of both, one of them is not known
            union = union[:SKETCH_SIZE]
        shared = np.intersect1d(self.hashes, other.hashes, assume_unique=True)
        return float(np.isin(union, shared).sum() / max(len(union), 1))


def hash_documents(texts: Sequence[str]) -> Hashes:
    """(n,) hash of each text; 0 for an empty one."""
    digests = b"".join(
        hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest() if text else b"\0" * 8
        for text in texts
    )
    return np.frombuffer(digests, dtype=np.uint64)


def sketch_clusters(hashes: Hashes, labels: npt.NDArray[np.int32]) -> list[Sketch | None]:
    """Sketch each cluster.

    Args:
        hashes: (n,) of the documents, 0 for none.
        labels: (n,) int32, -1 for noise.

    Returns:
        index = label; None for a cluster without a text.
    """
    rows = np.flatnonzero((labels >= 0) & (hashes != 0))
    order = rows[np.lexsort((hashes[rows], labels[rows]))]
    borders = np.searchsorted(labels[order], np.arange(int(labels.max(initial=-1)) + 2))
    return [_sketch(hashes[order[start:end]]) for start, end in pairwise(borders)]


def _sketch(ordered: Hashes) -> Sketch | None:
    if len(ordered) == 0:
        return None
    distinct = ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])]
    return Sketch(distinct[:SKETCH_SIZE].copy(), hashlib.sha256(distinct.tobytes()).hexdigest())
