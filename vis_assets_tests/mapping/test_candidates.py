"""Candidates: the vectors of few points of each cluster."""

import numpy as np

from vis_assets.mapping.candidates import CENTRAL, SILENT, collect_candidates, find_centres, to_length_one


def collect(vectors, labels, texts, per_cluster):
    labels = np.array(labels, np.int32)
    space, (centres,) = find_centres(np.array(vectors, np.float32), [labels], "euclidean")
    return list(collect_candidates(space, labels, centres, texts, per_cluster=per_cluster))


def test_the_most_central_are_kept():
    """No more than asked for are kept of a cluster, its most central members first, with their own vectors."""
    vectors = np.arange(1, 42, dtype=np.float32)[:, None] - 21
    (found,) = collect(vectors, [0] * 41, [f"text {row}" for row in range(41)], 10)
    assert len(found.rows) == 10
    assert found.rows[:3].tolist() == [20, 19, 21]
    assert (np.diff(found.from_centre) >= 0).all()
    assert np.allclose(found.vectors[:, 0], vectors[found.rows, 0] / 20)
    assert (found.kinds[:8] == CENTRAL).all()


def test_equal_texts_are_one_candidate():
    """Of members of one cluster with the same text the first is kept; other clusters keep theirs."""
    one, other = collect(np.eye(4), [0, 0, 0, 1], ["a", "a", "b", "a"], 10)
    assert sorted(one.rows.tolist()) == [0, 2]
    assert other.rows.tolist() == [3]


def test_members_without_text_are_last():
    """Members without text are kept where there is room, as the last."""
    (found,) = collect([[1], [2], [3]], [0] * 3, ["a", " ", "b"], 10)
    assert found.rows.tolist()[-1] == 1
    assert found.kinds.tolist()[-1] == SILENT


def test_centres_of_large_numbers_are_finite():
    """Sums beyond float32 break no centre."""
    _, (centres,) = find_centres(np.full((9, 2), 3e38, np.float32), [np.zeros(9, np.int32)], "euclidean")
    assert np.allclose(centres, 1)


def test_lengths_become_one():
    """Rows of any length become rows of length 1, and rows of zeros stay."""
    rows = to_length_one(np.array([[3, 4], [0, 0], [3e30, 4e30], [3e-30, 4e-30]], np.float32))
    assert np.allclose(rows, [[0.6, 0.8], [0.0, 0.0], [0.6, 0.8], [0.6, 0.8]])
