"""How clusters are numbered, in every layer and by every engine, and which points have a number."""

from itertools import pairwise

import numpy as np
import numpy.typing as npt

NOISE = -1
"""Label of a point that belongs to no cluster."""


def largest_first(labels: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Renumber clusters by descending size, equals by their first row.

    Args:
        labels: (n,) labels of any numbers from 0, with gaps or without, -1 for noise.

    Returns:
        (n,) the same clusters, numbered from 0 without gaps, -1 for noise.
    """
    names, first_rows, sizes = np.unique(labels[labels != NOISE], return_index=True, return_counts=True)
    if len(names) == 0:
        return labels
    ranks = np.full(int(names.max()) + 2, NOISE, dtype=np.int32)  # the last place is that of label -1
    ranks[names[np.lexsort((first_rows, -sizes))]] = np.arange(len(names), dtype=np.int32)
    return ranks[labels]


def rows_by_label(labels: npt.NDArray[np.int32]) -> list[npt.NDArray[np.intp]]:
    """Return the rows of each cluster, ascending; index = label.

    Args:
        labels: (n,) labels from 0 without gaps, -1 for noise.
    """
    order = np.argsort(labels, kind="stable")
    borders = np.searchsorted(labels[order], np.arange(int(labels.max(initial=NOISE)) + 2))
    return [order[start:end] for start, end in pairwise(borders)]
