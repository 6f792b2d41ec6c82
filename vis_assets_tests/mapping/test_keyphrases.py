"""Keyphrases: what sets clusters apart, without repetition, in any script."""
# ruff: noqa: RUF001 - letters of many alphabets are what some tests are about

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.mapping.function_words import BY_LANGUAGE
from vis_assets.mapping.keyphrases import extract_keyphrases, extract_layer_keyphrases
from vis_assets_tests.mapping.language_samples import LANGUAGES

CATS = ["The cat sleeps on the warm sofa", "A cat and a kitten play", "The kitten drinks milk", "My cat drinks milk"]
CODE = [
    "Neural network training is slow",
    "Train a neural network on the GPU",
    "The neural network needs a GPU",
    "GPU memory for the neural network",
]


def labelled(*values):
    return np.array(values, dtype=np.int32)


def test_clusters_are_set_apart():
    """Each cluster's phrases come from its own texts, the most typical first."""
    cats, code = extract_keyphrases([*CATS, *CODE], labelled(0, 0, 0, 0, 1, 1, 1, 1))
    assert "cat" in cats[:3]
    assert "neural network" in code[:2]
    assert not set(cats) & set(code)


def test_a_pair_replaces_its_words():
    """A word that mostly occurs in a chosen pair is not repeated on its own."""
    (phrases,) = extract_keyphrases(CODE, labelled(0, 0, 0, 0))
    assert "neural network" in phrases
    assert not {"neural", "network"} & set(phrases)


def test_plural_is_not_repeated():
    """A word and its plural are one phrase."""
    (phrases,) = extract_keyphrases(["layout", "layouts", "layout"], labelled(0, 0, 0))
    assert phrases == ("layout",)


def test_function_words_and_numbers_are_left_out():
    """English function words and bare numbers are no keyphrases, and pairs do not reach over them or a full stop."""
    (phrases,) = extract_keyphrases(["The art of war. Peace 1984"], labelled(0))
    assert set(phrases) == {"art", "war", "peace"}


def test_words_of_every_cluster_come_last():
    """A word that is frequent in all clusters comes after those of one, though it is in no stop word list."""
    texts = ["der hund bellt", "der hund rennt", "der hund schläft", "der baum blüht", "der baum wächst", "der baum"]
    dogs, trees = extract_keyphrases(texts, labelled(0, 0, 0, 1, 1, 1))
    assert dogs[0] == "hund"
    assert trees[0] == "baum"


def test_noise_counts_as_background():
    """Texts that are noise have no phrases of their own but make their words less telling."""
    texts = ["red apple", "red apple", "red wall", "red car", "red hat"]
    (phrases,) = extract_keyphrases(texts, labelled(0, 0, -1, -1, -1))
    assert phrases == ("red apple",)


@pytest.mark.parametrize("per_cluster", [1, 3])
def test_per_cluster_limits_the_phrases(per_cluster):
    """No more phrases than asked for are given."""
    (phrases,) = extract_keyphrases(CATS, labelled(0, 0, 0, 0), per_cluster=per_cluster)
    assert len(phrases) == per_cluster


def test_three_words_replace_their_pairs():
    """Three words that mostly occur together are one phrase, and what is inside of them is not repeated."""
    texts = ["a gated recurrent unit", "the gated recurrent unit", "gated recurrent unit cells", "a storage unit"]
    (phrases,) = extract_keyphrases(texts, labelled(0, 0, 0, 0))
    assert "gated recurrent unit" in phrases
    assert not {"gated", "recurrent", "gated recurrent", "recurrent unit"} & set(phrases)


def test_three_words_do_not_hide_a_commoner_pair():
    """A pair that occurs mostly on its own stays."""
    texts = ["neural network", "a neural network", "one neural network", "deep neural network"]
    (phrases,) = extract_keyphrases(texts, labelled(0, 0, 0, 0))
    assert "neural network" in phrases
    assert "deep neural network" not in phrases


def test_scripts_without_spaces_have_phrases():
    """Of Chinese texts, the longest run of characters that is nearly as frequent as its parts is the phrase."""
    assert extract_keyphrases(["机器学习", "深度学习"], labelled(0, 0))[0][0] == "学习"
    texts = [
        "机器学习模型",
        "用机器学习",
        "这是机器学习的算法",
        "北京师范大学招生",
        "今年北京师范大学",
        "在北京师范大学",
    ]
    learning, university = extract_keyphrases(texts, labelled(0, 0, 0, 1, 1, 1))
    assert learning[0] == "机器学习"
    assert university[0] == "北京师范大学"
    assert not {"机器", "器学", "学习", "机器学", "器学习"} & set(learning)


def test_mixed_scripts_have_phrases():
    """Katakana is a word, and joins the Latin words and Han characters beside it; hiragana separates."""
    texts = [
        "Python入門の本",
        "Python入門とデータベース",
        "データベースの設計を見る",
        "データ分析について",
        "データ分析を使う",
    ]
    python, analysis = extract_keyphrases(texts, labelled(0, 0, 0, 1, 1))
    assert "python入門" in python
    assert "データベース" in python
    assert analysis == ("データ分析",)


@pytest.mark.parametrize("language", LANGUAGES)
def test_content_words_come_first_in_any_language(language):
    """In eight languages, no keyphrase of a topic is a function word, and topics share none."""
    topics = [topic.texts for topic in LANGUAGES[language]]
    labels = np.repeat(np.arange(3), [len(texts) for texts in topics]).astype(np.int32)
    found = extract_keyphrases([text for texts in topics for text in texts], labels)
    for phrases, topic in zip(found, LANGUAGES[language], strict=True):
        assert len(phrases) >= 8
        words = {word for phrase in phrases for word in phrase.split()}
        assert not words & BY_LANGUAGE.get(language, frozenset())
        assert any(thing.lower() in " ".join(phrases) for thing in topic.things) or phrases[0] in " ".join(topic.texts)
    assert sum(map(len, found)) == len({phrase for phrases in found for phrase in phrases})


@pytest.mark.parametrize(
    ("language", "expected"),
    [
        ("German", ["butter", "teleskop", "spiel"]),
        ("French", ["beurre", "télescope", "match"]),
        ("Spanish", ["aceite", "telescopio", "partido"]),
        ("Russian", ["рецепт", "телескопа", "матч"]),
        ("Arabic", ["الزبدة", "التلسكوب", "المباراة"]),
        ("Korean", ["재료", "망원경", "경기"]),
        ("Japanese", ["料理", "宇宙望遠鏡", "試合"]),
        ("Chinese", ["食用油", "望远镜", "足球比赛"]),
    ],
)
def test_topics_are_recognised_in_any_language(language, expected):
    """In eight languages, what a topic is about is among the first keyphrases."""
    topics = [topic.texts for topic in LANGUAGES[language]]
    labels = np.repeat(np.arange(3), [len(texts) for texts in topics]).astype(np.int32)
    found = extract_keyphrases([text for texts in topics for text in texts], labels)
    for phrases, word in zip(found, expected, strict=True):
        assert any(word in phrase for phrase in phrases[:4])


def test_nothing_is_common_to_languages_that_are_not_listed():
    """In a language without a list, words that are as frequent in every cluster come last."""
    nouns = [("kedi", "köpek", "balık"), ("araba", "otobüs", "tren"), ("elma", "armut", "kiraz")]
    texts = [f"bu {noun} için bir çok {other}" for group in nouns for noun in group for other in group]
    for phrases, group in zip(
        extract_keyphrases(texts, np.repeat(np.arange(3), 9).astype(np.int32)), nouns, strict=True
    ):
        assert set(phrases[:3]) == set(group)


def test_texts_without_words_have_no_phrases():
    """Empty texts, punctuation and function words give an empty tuple, also beside a cluster that has phrases."""
    assert extract_keyphrases(["", " .,!", "the of"], labelled(0, 0, 1)) == [(), ()]
    assert extract_keyphrases(["", "cats"], labelled(0, 1)) == [(), ("cats",)]


def test_no_clusters_no_phrases():
    """Noise alone, or no texts at all, give an empty list."""
    assert extract_keyphrases(["some words"], labelled(-1)) == []
    assert extract_keyphrases([], labelled()) == []


def test_rare_phrases_of_many_texts_are_dropped():
    """Among many texts, a word of one text only is no keyphrase."""
    texts = [*["blue sky"] * 150, "unicorn " * 50]
    (phrases,) = extract_keyphrases(texts, np.zeros(151, dtype=np.int32))
    assert phrases == ("blue sky",)


def test_long_texts_are_cut():
    """Only the beginning of a very long text is read."""
    (phrases,) = extract_keyphrases(["start " + "filler " * 1000 + "ending"], labelled(0))
    assert any("start" in phrase for phrase in phrases)
    assert not any("ending" in phrase for phrase in phrases)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from([*CATS, *CODE, "", "a cat in a network"]), *[st.integers(-1, 3)] * 3), max_size=12
    )
)
def test_layers_are_described_as_if_each_were_alone(rows):
    """The phrases of several layers are those of each layer on its own, whether the layers nest or not."""
    texts = [row[0] for row in rows]
    layers = [labelled(*(row[place] for row in rows)) for place in (1, 2, 3)]
    assert extract_layer_keyphrases(texts, layers) == [extract_keyphrases(texts, labels) for labels in layers]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=60), st.integers(-1, 2)), max_size=8))
def test_any_text_is_read(pairs):
    """Any Unicode text gives one tuple a cluster, without repeats, the same one twice."""
    texts, labels = [text for text, _ in pairs], labelled(*(label for _, label in pairs))
    phrases = extract_keyphrases(texts, labels)
    assert len(phrases) == labels.max(initial=-1) + 1
    assert all(len(set(found)) == len(found) for found in phrases)
    assert phrases == extract_keyphrases(texts, labels)
