"""Keyphrases: what sets clusters apart, without repetition, in any script."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.mapping.keyphrases import extract_keyphrases, extract_layer_keyphrases

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


def test_scripts_without_spaces_have_phrases():
    """Chinese texts give phrases of two characters, joined without a space."""
    (phrases,) = extract_keyphrases(["机器学习", "深度学习"], labelled(0, 0))
    assert phrases[0] == "学习"


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
