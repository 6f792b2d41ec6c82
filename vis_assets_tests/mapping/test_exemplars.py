"""Exemplars: the points that speak for a cluster."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.mapping.exemplars import select_exemplars, select_of_children


def chosen(coordinates, labels, strengths, per_cluster=3):
    arrays = np.array(coordinates, np.float32), np.array(labels, np.int32), np.array(strengths, np.float32)
    return [rows.tolist() for rows in select_exemplars(*arrays, per_cluster=per_cluster)]


def test_strength_comes_first():
    """The strongest members come first, even if others lie nearer to the middle."""
    assert chosen([[0, 0], [1, 0], [9, 0]], [0, 0, 0], [0.2, 0.5, 0.9]) == [[2, 1, 0]]


def test_equals_go_by_nearness_to_the_middle():
    """Among equals, the member in the middle comes first, and rows of one distance in their order."""
    assert chosen([[-2, 0], [2, 0], [0, 0], [1, 0]], [0, 0, 0, 0], [1, 1, 1, 1], 4) == [[2, 3, 0, 1]]


def test_middle_of_a_ring_is_a_member():
    """The middle of a ring is one of its points, so that neighbours on the ring follow it."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    (rows,) = chosen(np.stack([np.cos(angles), np.sin(angles)], axis=1), [0] * 12, [1] * 12)
    assert {(row - rows[0]) % 12 for row in rows} == {0, 1, 11}


def test_noise_is_never_chosen():
    """Noise speaks for no cluster, and without clusters nothing is chosen."""
    assert chosen([[0, 0], [1, 1], [2, 2]], [-1, 1, 0], [0, 1, 1]) == [[2], [1]]
    assert chosen([[0, 0]], [-1], [0]) == []
    assert chosen(np.empty((0, 2)), [], []) == []


def test_per_cluster_limits_the_choice():
    """No more rows than asked for are given."""
    assert chosen([[0, 0]] * 5, [0] * 5, [1] * 5, 2) == [[0, 1]]


@given(st.lists(st.integers(-1, 3), max_size=30), st.integers(1, 5))
def test_rows_belong_to_their_cluster(labels, per_cluster):
    """Chosen rows carry the label of their place in the list, are distinct, and as many as the cluster allows."""
    coordinates = np.arange(len(labels) * 2).reshape(-1, 2)
    for label, rows in enumerate(chosen(coordinates, labels, [1] * len(labels), per_cluster)):
        assert {labels[row] for row in rows} <= {label}
        assert len(set(rows)) == len(rows) == min(per_cluster, labels.count(label))


def of_children(exemplars, parents, per_cluster=3):
    arrays = [np.array(rows, np.int64) for rows in exemplars]
    found = select_of_children(arrays, np.array(parents, np.int32), per_cluster=per_cluster)
    return [rows.tolist() for rows in found]


def test_each_child_speaks_in_turn():
    """A cluster of clusters is shown by the best of each child, the largest child first, then by the second of each."""
    assert of_children([[1, 2, 3], [4, 5], [6]], [0, 1, 0], per_cluster=10) == [[1, 6, 2, 3], [4, 5]]


def test_largest_children_come_first_where_there_are_many():
    """With more children than examples, the largest are shown."""
    assert of_children([[1, 2], [3, 4], [5, 6]], [0, 0, 0], per_cluster=2) == [[1, 3]]


def test_children_without_a_parent_speak_for_none():
    """A child that is in no cluster is left out, and without children nothing is chosen."""
    assert of_children([[1], [2]], [-1, 0]) == [[2]]
    assert of_children([], []) == []
