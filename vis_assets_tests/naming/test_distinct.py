"""Distinct names: what a reader takes for the same, and what is done about it."""
# ruff: noqa: RUF001 - names in many scripts are what is tested

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.naming.distinct import comparable, find_clashes, make_distinct
from vis_assets.naming.titles import LONGEST_NAME, length

SAME = [
    ("Machine Learning", "machine learning"),
    ("Machine Learning Models", "Machine-learning model"),
    ("Café Culture", "Cafe culture"),
    ("Parsing & Lexing", "Lexing and Parsing"),
    ("E-mail Filters", "Email Filter"),
    ("Matrices", "Matrix"),
    ("K-Means", "kmeans"),
    ("Classes and Boxes", "Class, Box"),
    ("Python：入门", "Python 入门"),
]
ALIKE = [
    *SAME,
    ("Data Visualization", "Data Visualisation"),
    ("Data Base", "Database"),
    ("Colour Models", "Color Model"),
    ("Modelling Behaviour", "Modeling Behavior"),
    ("HTTP Request Handling", "HTTP Request Handlers"),
    ("Machine Learning Methods", "Machine Learning Techniques"),
    ("Нейронная сеть", "Нейронные сети"),
    ("Python 教程", "Python教程"),
    ("机器学习与数据", "机器学习和数据"),
    ("Convolutonal Networks", "Convolutional Networks"),
]
UNLIKE = [
    ("Image Classification", "Text Classification"),
    ("Python 2", "Python 3"),
    ("Sorting (2)", "Sorting (3)"),
    ("2 3 Trees", "23 Trees"),
    ("Cats", "Bats"),
    ("C", "C++"),
    ("C++", "C#"),
    ("HTTP", "HTTPS"),
    ("Vitamin A", "Vitamin B"),
    ("Vitamin", "Vitamin A"),
    ("Content Management", "Context Management"),
    ("Contact Law", "Contract Law"),
    ("Computation Theory", "Commutation Theory"),
    ("Planes", "Plans"),
    ("Converting to JSON", "Converting from JSON"),
    ("SQL", "NoSQL"),
    ("Encoder", "Decoder"),
    ("深度学习", "深度学习框架"),
    ("机器学习", "机器视觉"),
    ("かき", "がき"),
    ("🎉", "🎈"),
]
WORDS = [
    "sorting",
    "Sortings",
    "Merge",
    "merge sort",
    "C++",
    "2",
    "visualization",
    "visualisation",
    "深度",
    "the",
    "of",
    "Überblick",
    "(2)",
]
CLUSTERS = st.lists(
    st.tuples(
        st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join),
        st.lists(st.sampled_from(["merge sort", "list", "heap", "visualization", "http", "x" * 70]), max_size=3),
        st.integers(0, 2),
        st.booleans(),
    ),
    max_size=12,
)


@pytest.mark.parametrize(("one", "two"), SAME)
def test_same_names_compare_equal(one, two):
    """Case, accents, punctuation, plurals, order and connecting words make no other name."""
    assert comparable(one) == comparable(two)


@pytest.mark.parametrize(("one", "two"), ALIKE)
def test_names_alike_clash(one, two):
    """Names that differ in a spelling, a form or a mistake clash too."""
    assert find_clashes(["Gardens", one, "Trains", two]) == [[1, 3]]


@pytest.mark.parametrize(("one", "two"), UNLIKE)
def test_different_names_do_not_clash(one, two):
    """A different word, number or sign keeps names apart, however few letters differ."""
    assert comparable(one) != comparable(two)
    assert find_clashes([one, two]) == []


def test_clashes_are_groups_in_order():
    """Groups come by their first name, each ascending, and names alone are in none."""
    assert find_clashes(["b", "a", "B", "c", "A", "b."]) == [[0, 2, 5], [1, 4]]
    assert find_clashes([]) == []


def test_keyphrase_sets_apart():
    """Of two names that clash, the second gets the keyphrase that only it has, written as names write it."""
    names = ["Sorting", "Sorting", "HTTP Servers"]
    keyphrases = [["list", "heap"], ["list", "sorting", "http merge"], []]
    assert make_distinct(names, keyphrases, [0] * 3, [False] * 3) == ["Sorting", "Sorting: HTTP Merge", "HTTP Servers"]


def test_number_is_the_last_resort():
    """Without a keyphrase of its own, a name gets the first number that is free."""
    names = ["Sorting", "Sorting", "Sorting 2", "sorting"]
    assert make_distinct(names, [["list"]] * 4, [0] * 4, [False] * 4) == [
        "Sorting",
        "Sorting (3)",
        "Sorting 2",
        "sorting (4)",
    ]


def test_settled_name_stays():
    """A name that people know stays, and of two such the first."""
    names = ["Sorting", "Sorting", "Sorting"]
    assert make_distinct(names, [[]] * 3, [0] * 3, [False, True, True]) == ["Sorting (2)", "Sorting", "Sorting (3)"]


def test_layers_differ_in_equal_names_only():
    """In different layers names may be alike, but not equal."""
    names = ["Data Visualization", "Data Visualisation", "data visualization"]
    assert make_distinct(names, [[]] * 3, [0, 1, 2], [False] * 3) == [*names[:2], "data visualization (2)"]


def test_long_name_makes_room():
    """What sets a long name apart is not cut off: the name itself is."""
    names = ["Convolutional Neural Networks for Image Segmentation"] * 2
    changed = make_distinct(names, [[], ["medical scans"]], [0, 0], [False] * 2)[1]
    assert changed == "Convolutional Neural Networks for Image: Medical Scans"
    assert length(changed) <= LONGEST_NAME


def test_lengths_must_agree():
    """A list of another length is an error."""
    with pytest.raises(ValueError, match="shorter"):
        make_distinct(["a", "b"], [[]], [0, 0], [False, False])


@settings(max_examples=200)
@given(CLUSTERS)
def test_result_is_distinct(clusters):
    """The result has no clash in a layer and no two equal names, keeps those without clash, and stays when repeated."""
    names, keyphrases, layers, settled = (
        ([*column] for column in zip(*clusters, strict=True)) if clusters else ([],) * 4
    )
    distinct = make_distinct(names, keyphrases, layers, settled)
    assert len({comparable(name) for name in distinct}) == len(names) == len(distinct)
    for layer in set(layers):
        assert find_clashes([name for name, of in zip(distinct, layers, strict=True) if of == layer]) == []
    clashing = {place for group in find_clashes(names) for place in group}
    assert all(distinct[place] == names[place] for place in range(len(names)) if place not in clashing)
    assert all(length(name) <= LONGEST_NAME for name, old in zip(distinct, names, strict=True) if name != old)
    assert make_distinct(distinct, keyphrases, layers, settled) == distinct
    assert make_distinct(names, keyphrases, layers, settled) == distinct


def test_thousands_of_names():
    """Thousands of names, many of them equal, become distinct."""
    generator = random.Random(1)  # noqa: S311 - a repeatable sample, no secret
    words = ["sorting", "matrix", "visualization", "network", "http", "parsing", "authentication", "json"]
    names = [" ".join(generator.sample(words, 3)).title() for _ in range(2000)]
    distinct = make_distinct(names, [generator.sample(words, 4) for _ in names], [0] * 2000, [False] * 2000)
    assert find_clashes(distinct) == []
