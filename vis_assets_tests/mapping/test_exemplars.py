"""Exemplars: the points that speak for a cluster."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.mapping.exemplars import gather_evidence, select_of_children

ANGLES = np.linspace(-0.6, 0.6, 7)
FAN = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)  # the middle row is the centre
WORDS = ["ash", "beech", "cedar", "date", "elm", "fir", "gum", "holly", "iroko", "juniper", "kapok", "larch"]


def gather(vectors, layers, texts=None, *, metric="cosine", per_cluster=3, neighbors=3):
    arrays = np.array(vectors, np.float32), [np.array(labels, np.int32) for labels in layers]
    texts = [f"the {WORDS[row % 12]} stands in forest {row}" for row in range(len(vectors))] if texts is None else texts
    return gather_evidence(*arrays, texts, metric=metric, per_cluster=per_cluster, neighbors=neighbors)


def exemplars_of(vectors, labels, texts=None, **options):
    return [rows.tolist() for rows in gather(vectors, [labels], texts, **options)[0].exemplars]


def test_the_most_central_member_comes_first():
    """The first exemplar is nearest to the mean of the cluster, by whichever metric."""
    for metric in ("cosine", "correlation", "dot", "euclidean", "manhattan"):
        vectors = np.concatenate([FAN, np.zeros((7, 2))], axis=1)
        assert exemplars_of(vectors, [0] * 7, WORDS[:7], metric=metric)[0][0] == 3


def test_lengths_count_only_where_the_metric_counts_them():
    """A member of another length is central by cosine distance and not by euclidean distance."""
    vectors = FAN.copy()
    vectors[3] *= 20
    assert exemplars_of(vectors, [0] * 7, WORDS[:7], metric="cosine")[0][0] == 3
    assert exemplars_of(vectors, [0] * 7, WORDS[:7], metric="euclidean")[0][0] != 3


def test_exemplars_show_both_sides_of_a_cluster():
    """After the middle of a cluster come members that differ from it and from each other."""
    generator = np.random.default_rng(0)
    middle = np.array([[1.0, 0, 0]]) + 0.02 * generator.normal(size=(8, 3))
    left, right = np.array([[1, 0.3, 0]]), np.array([[1, -0.3, 0]])
    vectors = np.concatenate([middle, left + 0.01 * generator.normal(size=(3, 3)), right, right + 0.01])
    (rows,) = exemplars_of(vectors, [0] * 13, [f"{first} {second}" for first in WORDS for second in WORDS[:2]][:13])
    assert rows[0] < 8
    assert {8 <= row < 11 for row in rows[1:]} == {True, False}


def test_the_same_text_speaks_once():
    """Members whose texts are equal but for case, spaces and punctuation are one."""
    texts = ["Red apple pie", "red  APPLE pie.", "Red\nApple, pie!", "green pear"]
    (rows,) = exemplars_of(FAN[:4], [0] * 4, texts, per_cluster=4)
    assert len(rows) == 2
    assert 3 in rows


def test_a_template_speaks_once():
    """Of long texts that share nearly all words, one is chosen."""
    template = "The request to the server at {} failed after {} seconds because the peer closed the connection early"
    texts = [template.format(f"host{row}", row) for row in range(6)] + ["The disk of the database machine is full"]
    (rows,) = exemplars_of(FAN, [0] * 7, texts, per_cluster=5)
    assert len(rows) == 2
    assert 6 in rows


def test_short_texts_may_differ_by_a_number():
    """Short texts that differ by a number are distinct."""
    assert len(exemplars_of(FAN[:2], [0, 0], ["Python 2", "Python 3"])[0]) == 2


def test_the_same_vector_speaks_once():
    """Of members with nearly the same vector, one is chosen, whatever their texts."""
    vectors = np.concatenate([np.repeat(FAN[:1], 5, axis=0) + np.arange(5)[:, None] * 1e-7, FAN[6:]])
    (rows,) = exemplars_of(vectors, [0] * 6, WORDS[:6], per_cluster=5)
    assert len(rows) == 2
    assert 5 in rows


def test_members_without_text_come_last():
    """Members without text are chosen only after all others, also where they are the centre."""
    texts = ["ash", "beech", "", " \n", "", "cedar", "date"]
    (rows,) = exemplars_of(FAN, [0] * 7, texts, per_cluster=7)
    assert sorted(rows[:4]) == [0, 1, 5, 6]
    assert sorted(rows[4:]) == [2, 3, 4]
    assert len(exemplars_of(FAN, [0] * 7, [""] * 7)[0]) == 3


def test_distinct_members_far_from_the_centre_are_found():
    """Where all central members repeat one another, others are chosen."""
    template = "the request number {} to the server in the hall failed after a while since it was closed"
    texts = [template.format(row) for row in range(200)] + [f"{one} {two}" for one in WORDS for two in WORDS[:4]]
    generator = np.random.default_rng(1)
    vectors = np.array([[1.0, 0, 0, 0]]) + 0.01 * generator.normal(size=(248, 4))
    vectors[200:] += generator.normal(size=(48, 4)) * 0.5
    (rows,) = exemplars_of(vectors, [0] * 248, texts, per_cluster=3)
    assert len(rows) == 3


def test_zero_and_extreme_vectors_break_nothing():
    """Zero vectors and lengths near the ends of float32 give exemplars without a warning."""
    vectors = np.concatenate([FAN * 1e-30, FAN * 1e30, np.zeros((3, 2))])
    for metric in ("cosine", "correlation", "euclidean"):
        (rows,) = exemplars_of(vectors, [0] * 17, [f"{word} {metric}" for word in [*WORDS, *"vwxyz"]], metric=metric)
        assert len(rows) >= 2
    assert exemplars_of(np.zeros((3, 2)), [0, 0, 0], WORDS[:3]) == [[0]]


def test_noise_is_never_chosen():
    """Noise speaks for no cluster, and without clusters nothing is chosen."""
    assert exemplars_of(FAN[:3], [-1, 1, 0]) == [[2], [1]]
    assert exemplars_of(FAN[:1], [-1]) == []
    assert exemplars_of(np.empty((0, 2)), []) == []


def test_near_clusters_are_found():
    """Neighbours are the clusters with the nearest centres, the nearest first, and -1 where there are no more."""
    places = np.array([[0, 0], [1, 0], [3, 0], [9, 0]]) + 5.0
    (evidence,) = gather(places, [[0, 1, 2, 3]], metric="euclidean", neighbors=2)
    assert evidence.neighbors.tolist() == [[1, 2], [0, 2], [1, 0], [2, 1]]
    (evidence,) = gather(places[:2], [[0, 1]], metric="euclidean", neighbors=3)
    assert evidence.neighbors.tolist() == [[1, -1, -1], [0, -1, -1]]


def test_near_clusters_by_cosine_go_by_direction():
    """By cosine distance, a cluster of few scattered members is as near as its direction."""
    vectors = [[1, 0.1], [1, 0.1], [1, 0.2], [-0.7, 1.0], [1, -0.2]]
    (evidence,) = gather(vectors, [[0, 0, 1, 2, 2]], neighbors=1)
    assert evidence.neighbors[:2].tolist() == [[1], [0]]


def test_coarse_clusters_speak_by_their_children():
    """A cluster of clusters is shown by the best of each child, without those that repeat another one."""
    vectors = np.concatenate([FAN, FAN[:, ::-1], -FAN])
    texts = [f"{word} tree" for word in [*WORDS[:7], *WORDS[3:10]]] + [f"{word} wood" for word in WORDS[:7]]
    finest, coarse = gather(vectors, [[0] * 7 + [1] * 7 + [2] * 7, [0] * 14 + [1] * 7], texts, per_cluster=4)
    assert coarse.exemplars[1].tolist() == finest.exemplars[2].tolist()
    shown = coarse.exemplars[0].tolist()
    assert shown[0] == finest.exemplars[0][0]
    assert {row // 7 for row in shown} == {0, 1}
    assert len({texts[row] for row in shown}) == len(shown) == 4


def test_a_memory_map_is_read(tmp_path):
    """A read-only memory map gives what the array gives."""
    generator = np.random.default_rng(2)
    vectors = generator.normal(size=(500, 16)).astype(np.float32)
    np.save(tmp_path / "vectors.npy", vectors)
    labels = (np.arange(500) % 7).astype(np.int32)
    texts = [f"{WORDS[row % 12]} {row}" for row in range(500)]
    found = [
        gather_evidence(source, [labels], texts, metric="euclidean", per_cluster=5)[0]
        for source in (vectors, np.load(tmp_path / "vectors.npy", mmap_mode="r"))
    ]
    assert [rows.tolist() for rows in found[0].exemplars] == [rows.tolist() for rows in found[1].exemplars]
    assert found[0].neighbors.tolist() == found[1].neighbors.tolist()


@pytest.mark.parametrize("chunk_numbers", [1, 40, 1_000_000])
def test_chunks_do_not_show(monkeypatch, chunk_numbers):
    """However few rows are read at once, the choice is the same."""
    generator = np.random.default_rng(3)
    vectors = generator.normal(size=(400, 8))
    labels, texts = np.arange(400) % 3, [f"{WORDS[row % 12]} {row}" for row in range(400)]
    expected = exemplars_of(vectors, labels, texts, metric="euclidean")
    monkeypatch.setattr("vis_assets.mapping.candidates._CHUNK_NUMBERS", chunk_numbers)
    assert exemplars_of(vectors, labels, texts, metric="euclidean") == expected


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(-1, 3), st.sampled_from([*WORDS, "", "ash "]), *[st.floats(-9, 9, width=32)] * 2),
        max_size=25,
    ),
    st.integers(1, 5),
    st.sampled_from(["cosine", "correlation", "euclidean"]),
)
def test_rows_belong_to_their_cluster(points, per_cluster, metric):
    """Exemplars carry the label of their place, are distinct, at least one a cluster, and the same when asked again."""
    labels, texts = [point[0] for point in points], [point[1] for point in points]
    vectors = np.array([point[2:] for point in points], np.float32).reshape(-1, 2)
    found = exemplars_of(vectors, labels, texts, metric=metric, per_cluster=per_cluster)
    assert found == exemplars_of(vectors, labels, texts, metric=metric, per_cluster=per_cluster)
    for label, rows in enumerate(found):
        assert {labels[row] for row in rows} <= {label}
        assert min(1, labels.count(label)) <= len(set(rows)) == len(rows) <= per_cluster


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


def test_children_that_repeat_another_are_left_out():
    """With texts, an exemplar of a child that repeats one chosen before gives way to the next."""
    texts = ["", "a red fox", "a blue whale", "A red fox!", "a green frog"]
    rows = [np.array([1, 2]), np.array([3, 4])]
    (found,) = select_of_children(rows, np.array([0, 0], np.int32), per_cluster=3, texts=texts)
    assert found.tolist() == [1, 2, 4]
