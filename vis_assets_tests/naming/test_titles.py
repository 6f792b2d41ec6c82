"""Titles: answers made fit to be shown, and keyphrases made readable."""
# ruff: noqa: RUF001 - quotes and colons of many languages are what is tested

import re
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vis_assets.naming.titles import (
    LONGEST_NAME,
    clean_name,
    learn_casing,
    length,
    make_visible,
    name_of_keyphrases,
    shorten,
    write_title,
)

PIECES = st.sampled_from(
    [
        *(
            '"',
            "'",
            "“",
            "”",
            "«",
            "»",
            "「",
            "」",
            "`",
            "*",
            "**",
            "_",
            "__",
            "#",
            "# ",
            "- ",
            "1. ",
            ": ",
            ". ",
            "..",
            ", ",
        ),
        *(
            "Topic: ",
            "Topic 3: ",
            "Thema: ",
            "主题：",
            "Name - ",
            "Cluster",
            "unknown",
            "n/a",
            "sorting",
            "Hubble's",
            "U.S.",
            "C++",
        ),
        *(
            "<b>",
            "</b>",
            "<",
            ">",
            "&amp;",
            "&lt;",
            "&quot;",
            "[",
            "](x)",
            "(",
            ")",
            "{",
            "深度学习",
            "é",
            "e\u0301",
            "\u200d",
            "\u202e",
        ),
        *(
            "👨‍👩‍👧",
            "🇩🇪",
            " ",
            "\n",
            "\t",
            "\x00",
            "\u200b",
            "and",
            "of",
            "etc.",
            "http://x.y",
            "I'm sorry",
            "7",
            "\ud800",
            "कि",
            "ي",
        ),
    ]
)
MESSY = st.one_of(
    st.lists(PIECES, max_size=25).map("".join), st.text(max_size=100), st.text(st.characters(), max_size=30)
)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            '"Sorting"',
            "'Sorting'",
            "“Sorting”",
            "„Sorting“",
            "«Sorting»",
            "‹Sorting›",
            "「Sorting」",
            "『Sorting』",
            "‘Sorting’",
            "`Sorting`",
        ),
        *(
            "\"'«Sorting»'\"",
            "**Sorting**",
            "__Sorting__",
            "*Sorting*",
            "# Sorting",
            "## Sorting ##",
            "- Sorting",
            "* Sorting",
            "• Sorting",
        ),
        *(
            "1. Sorting",
            "3) Sorting",
            "> Sorting",
            "[Sorting](http://evil.example)",
            "```\nSorting\n```",
            "```text\nSorting\n```",
        ),
        *(
            "Topic: Sorting",
            "Topic 3: Sorting",
            "Cluster Name: Sorting",
            "Name - Sorting",
            "Title: Sorting",
            "Label: Sorting",
        ),
        *(
            "Thema: Sorting",
            "Sujet : Sorting",
            "Tema: Sorting",
            "Тема: Sorting",
            "主题：Sorting",
            "主題：Sorting",
            "トピック：Sorting",
        ),
        *(
            "주제: Sorting",
            "Nombre del tema: Sorting",
            "Topic #3 – Sorting",
            '**Topic:** "Title: Sorting."',
            "Cluster 7: Sorting",
            "c0: Sorting",
        ),
        *(
            "Sorting.",
            "Sorting:",
            "Sorting…",
            " Sorting\n",
            "\ufeffSorting\u200b",
            "Sort\u00ading",
            "<b>Sorting</b>",
            "&lt;b&gt;Sorting",
            "Sorting。",
        ),
        *(
            "Here is a name: Sorting",
            "Topic name:\nSorting",
            "Sorting\n\nThis cluster is about order.",
            "<think>Hm: a</think>Sorting",
        ),
        *(
            "<script>alert(1)</script>Sorting",
            "<<b>b>Sorting",
            "&amp;quot;Sorting&amp;quot;",
            "Sorting <img src=x",
            "(Sorting)",
        ),
    ],
)
def test_what_is_around_a_name_goes(raw):
    """Quotes, markup, labels, lists and final stops around a name are removed, nested ones too."""
    assert clean_name(raw) == "Sorting"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "Hubble's Law",
            "L'Oréal",
            "Rock & Roll",
            "C++",
            "C#",
            "F# and .NET",
            "U.S.",
            "Politics in the U.S.",
            "Cats, Dogs, etc.",
        ),
        *(
            "A* Search",
            "A* and D* Lite",
            "__init__ Methods",
            "*args and **kwargs",
            "get_user_name",
            "np.linalg Functions",
            "3D Plotting",
        ),
        *(
            "E. coli Genetics",
            "What Is Python?",
            "Topic Modeling",
            "Cluster Analysis",
            "Group Theory",
            "Label Encoding",
            "Title Case",
        ),
        *(
            "Topic-Modelling",
            "@property Decorators",
            "std::vector",
            "Sorting (Merge)",
            "the '90s",
            "AT&T",
            "Players' Unions of Europe",
        ),
        *(
            "深度学习",
            "機械学習モデル",
            "기계 학습",
            "Нейронные сети",
            "شبكات عصبية",
            "می‌خواهم",
            'צה"ל',
            "नमस्ते दुनिया",
            "👨‍👩‍👧 Family",
            "Sorry Board Game",
        ),
        *("None Type Handling", "General Relativity", "Node.js", "Vitamin A", "Yahoo!", "x < y", "IPv4"),
    ],
)
def test_a_fit_name_stays(name):
    """A name that is fit to be shown stays as it is, whatever its letters and signs."""
    assert clean_name(name) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "raw",
    [
        *(
            "",
            " ",
            "...",
            "!?",
            "1984",
            "2001 & 2002",
            "+++",
            '""',
            "``````",
            "unknown",
            "Unknown.",
            "n/a",
            "None",
            "misc",
            "Miscellaneous",
        ),
        *(
            "topic",
            "Topic 3",
            "cluster 7",
            "Cluster #12",
            "Name:",
            "Topic:",
            "unbekannt",
            "inconnu",
            "未知",
            "その他",
            "기타",
            "неизвестно",
        ),
        *(
            "I'm sorry, but no.",
            "I’m sorry",
            "As an AI, I cannot",
            "Sorry, I can't help",
            "I cannot name this",
            "Es tut mir leid",
            "抱歉，我无法回答",
        ),
        *(
            "http://evil.example/x",
            "See https://x.y",
            "www.evil.example",
            "Write to me@evil.example",
            "evil.com",
            "javascript:alert(1)",
        ),
        *(
            '{"name": "Sorting"}',
            '["Sorting"]',
            "```json\n{}\n```",
            "f(x) { return }",
            "\\frac",
            '{"names":\n[{"id": "c0"}]}',
        ),
        *(
            "one two three four five six seven eight nine ten eleven twelve thirteen",
            "x" * 5000,
            "深" * 200,
            "\u202e\u200b\x00",
            "\ud800",
        ),
    ],
)
def test_what_is_no_name_goes(raw):
    """Where nothing fit to show is left, the name is empty."""
    assert clean_name(raw) == ""


@given(MESSY)
@example("Topic" * 30)
@example('"' * 50 + "Topic: a" + '"' * 50)
def test_cleaning_is_done_in_one_go(raw):
    """A cleaned name is fit to be shown, and cleaning it again changes nothing."""
    name = clean_name(raw)
    assert clean_name(name) == name
    assert name == unicodedata.normalize("NFC", name)
    assert length(name) <= LONGEST_NAME
    assert "\n" not in name
    assert not re.search("[\x00-\x1f\x7f\u200b\u202a-\u202e\u2066-\u2069\ud800-\udfff]", name)
    assert not name or any(character.isalpha() for character in name)


def test_long_name_ends_with_a_word():
    """A long name is cut between words, and ends with neither a connecting word nor an open bracket."""
    name = "Convolutional Neural Networks for the Segmentation of and Detection in Images"
    assert clean_name(name) == "Convolutional Neural Networks for the Segmentation"
    assert shorten("Sorting (by merging two lists)", 20) == "Sorting"
    assert shorten("Lists, Sets, & Maps", 14) == "Lists, Sets"


def test_scripts_without_spaces_are_cut_between_characters():
    """A long name in Han characters has as many characters as are allowed."""
    assert clean_name("深" * 80) == "深" * LONGEST_NAME
    assert shorten("x" * 80, 60) == "x" * 60


@pytest.mark.parametrize("grapheme", ["e\u0323\u0301", "👨‍👩‍👧", "🇩🇪", "👍🏽", "कि", "❤️"])
def test_no_character_is_cut_in_two(grapheme):
    """What people count as one character is kept or cut as a whole."""
    assert length(grapheme * 5) == 5
    assert shorten(grapheme * 5, 3) == grapheme * 3


def test_heaps_of_accents_are_levelled():
    """No letter keeps more accents than languages use."""
    assert length(make_visible("a" + "\u0301" * 500)) == 1
    assert len(make_visible("a" + "\u0301" * 500)) <= 5


@pytest.mark.parametrize(
    ("keyphrases", "texts", "name"),
    [
        (["sparse matrix", "eigenvalues", "solver"], [], "Sparse Matrix, Eigenvalues & Solver"),
        (["sorting"], [], "Sorting"),
        (["sorting", "lists"], [], "Sorting & Lists"),
        (["convolutional neural network", "images"], [], "Convolutional Neural Network"),
        (["sparse matrix", "matrix factorization", "solver"], [], "Sparse Matrix & Solver"),
        (["optimizer", "optimize", "gradient"], [], "Optimizer & Gradient"),
        (["http client", "json"], ["The HTTP client reads JSON.", "HTTP and JSON"], "HTTP Client & JSON"),
        (["numpy", "dataframe", "ios"], ["a NumPy array", "DataFrame of NumPy", "iOS"], "NumPy, DataFrame & iOS"),
        (["warning"], ["THIS IS A WARNING", "a warning for you", "the warning"], "Warning"),
        (["get_user_name", "np.linalg"], ["call get_user_name"], "get_user_name & np.linalg"),
        (["hubble's law", "l'oréal"], [], "Hubble's Law & L'Oréal"),
        (["state-of-the-art", "don't"], [], "State-of-the-Art & Don't"),
        (["straße", "größe"], [], "Straße & Größe"),
        (["istanbul"], ["İstanbul büyük"], "İstanbul"),
        (["თბილისი"], [], "თბილისი"),
        (["深度学习", "神经网络"], [], "深度学习、神经网络"),
        (["기계 학습", "데이터"], [], "기계 학습 & 데이터"),
        (["unknown"], [], "Unknown"),
        ([], ["a text"], ""),
        ([" "], [], ""),
    ],
)
def test_keyphrases_make_a_name(keyphrases, texts, name):
    """Keyphrases become a title of one to three phrases, cased as the documents write them."""
    assert name_of_keyphrases(keyphrases, texts) == name


@given(st.lists(st.text(min_size=1, max_size=80), max_size=6), st.lists(st.text(max_size=50), max_size=3))
def test_a_name_of_keyphrases_can_be_shown(keyphrases, texts):
    """Whatever the keyphrases are, their name is no longer than a name may be, and on one line."""
    name = name_of_keyphrases(keyphrases, texts)
    assert length(name) <= LONGEST_NAME
    assert name == make_visible(name)
    assert bool(name) == any(make_visible(phrase) for phrase in keyphrases)


def test_no_text_outvotes_the_others():
    """How a word is written is decided by texts, not by occurrences in one of them."""
    texts = ["LIST LIST LIST list is what it is", "a list", "the list"]
    assert write_title("list", learn_casing(texts)) == "List"
