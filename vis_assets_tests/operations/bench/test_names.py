"""The measure of how well names fit."""

import json
from pathlib import Path

import numpy as np
import pytest

from vis_assets.errors import InvalidJob
from vis_assets.operations.bench.names import (
    Judge,
    clusters_table,
    commonest_words,
    names_tables,
    read_file,
    run_names,
    split_clusters,
)

TOPICS = {
    "cooking": ("soup", "oven", "butter", "flour", "recipe"),
    "sky": ("galaxy", "planet", "telescope", "comet", "orbit"),
    "football": ("goal", "match", "referee", "striker", "league"),
    "code": ("compiler", "function", "variable", "pointer", "loop"),
}


def texts_of(count: int) -> tuple[list[str], np.ndarray]:
    random = np.random.default_rng(5)
    labels = np.repeat(np.arange(len(TOPICS)), count)
    texts = []
    for label in labels:
        words = random.choice(list(TOPICS.values())[label], 3, replace=False)
        texts.append(f"the {words[0]} of {words[1]} and {words[2]} number {random.integers(9999)}")
    return texts, labels.astype(np.int32)


def test_halves_are_even_and_apart():
    """Each cluster is split into halves row by row; noise is kept and never held out."""
    labels = np.array([0, 1, 0, -1, 0, 1, 0, 0], dtype=np.int32)
    kept, held_out = split_clusters(labels)
    assert held_out.tolist() == [2, 5, 6]
    assert kept.tolist() == [0, 1, 3, 4, 7]


def test_naive_words_are_the_most_frequent():
    """A naive namer counts words, without function words, numbers and letters."""
    assert commonest_words(["The cat and the dog 12", "a cat x", "dog dog"], 2) == ("dog", "cat")


def test_documents_are_nearest_to_their_own_words():
    """Lists of a cluster's own words fit all its documents, lists in the wrong order none, and equal lists none."""
    texts, labels = texts_of(10)
    judge, lists = Judge(texts, labels), list(TOPICS.values())
    own, wrong, equal = judge.fit(lists), judge.fit([*lists[1:], lists[0]]), judge.fit([lists[0]] * 4)
    assert (own.clusters, own.documents, own.distinct) == (1, 1, 1)
    assert (wrong.clusters, wrong.documents, wrong.distinct) == (0, 0, 1)
    assert (equal.clusters, equal.documents, equal.distinct) == (0, 0, 0)


def test_phrases_count_beside_their_words():
    """A phrase is nearer to the documents that have it than to those that have its words apart."""
    judge = Judge(["red fox runs", "fox is red"], np.array([0, 1], dtype=np.int32))
    assert judge.fit([("red fox",), ("red", "fox", "is red")]).clusters == 1


@pytest.fixture(scope="module")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """240 vectors of four topics, and their texts."""
    texts, labels = texts_of(60)
    random = np.random.default_rng(6)
    centres = random.normal(size=(len(TOPICS), 16))
    path = tmp_path_factory.mktemp("names") / "own.npy"
    np.save(path, (centres[labels] + random.normal(0, 0.2, (len(labels), 16))).astype(np.float32))
    path.with_suffix(".jsonl").write_text("".join(f"{json.dumps({'text': text})}\n" for text in texts))
    return path


def test_a_file_is_measured(own_file: Path, tmp_path: Path):
    """Topics that share no word are told apart by all held-out documents, and the tables show them."""
    points = read_file(own_file, tmp_path)
    said: list[str] = []
    report = run_names(points.vectors, points.table["text"].to_pylist(), "own", 3, said.append)
    assert (report.points, report.clusters, report.held_out) == (240, 4, 120)
    assert report.keyphrases["ours"].clusters == report.keyphrases["ours"].documents == 1
    assert report.names["ours"].distinct == 1
    assert report.exemplars["ours"].to_centre >= report.exemplars["naive"].to_centre
    assert [one.size for one in report.shown] == [60, 60, 60]
    assert len(said) == 2
    table = names_tables(report)
    assert "| clusters nearest to their own keyphrases | 100.0% |" in "\n".join(table)
    assert len({line.count("|") for line in table}) == 1
    assert len(clusters_table(report.shown)) == 5


def test_text_in_a_table_breaks_nothing(own_file: Path, tmp_path: Path):
    """Markup in texts is shown as it is."""
    points = read_file(own_file, tmp_path)
    texts = [f"<b>|</b> *{text}*" for text in points.table["text"].to_pylist()]
    report = run_names(points.vectors, texts, "own", 1, lambda line: None)
    (line,) = clusters_table(report.shown)[2:]
    assert line.replace("\\|", "").count("|") == 5
    assert "<b>" not in line


def test_a_file_of_another_kind_is_refused(tmp_path: Path):
    """A file that holds no points is refused, with what to give."""
    path = tmp_path / "points.csv"
    path.write_text("a,b\n")
    with pytest.raises(InvalidJob, match=r"points\.csv is of no known kind; give a \.parquet"):
        read_file(path, tmp_path)
