"""Words of texts in any script."""

import numpy as np
import pytest

from vis_assets.mapping.words import join_words, read_words


def words_of(*texts):
    words = read_words(texts)
    return [words.vocabulary[word] for word in words.ids if word >= 0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The GPT-4 model, v2 of 2024", ["gpt-4", "model", "v2"]),
        ("covid-19. naïve_ x86-64-linux", ["covid-19", "naïve", "x86-64", "linux"]),
        ("データベースの設計", ["データベース", "設", "計"]),
        ("Python入門", ["python", "入", "門"]),
        ("我们的机器学习", ["机", "器", "学", "习"]),
        ("目的", ["目", "的"]),
        ("İSTANBUL", ["istanbul"]),
        ("हिन्दी साहित्य", ["हिन्दी", "साहित्य"]),
        ("ｱﾌﾟﾘ", ["アプリ"]),
        ("ภาษาไทย", ["ภา", "ษา", "ไท", "ย"]),
    ],
)
def test_text_is_cut_into_words(text, expected):
    """Words are cut as their script demands, without function words, numbers and hiragana."""
    assert words_of(text) == expected


def test_korean_words_lose_their_particles():
    """A particle goes where the stem stands elsewhere too, and fits the sound before it; a noun that ends so stays."""
    assert words_of("학습을 학습은 학습에서", "고양이 고양이가") == ["학습", "학습", "학습", "고양이", "고양이"]


def test_a_language_that_is_spoken_loses_its_function_words():
    """German function words go from German texts, and stay where they are other words of English texts."""
    german = ["Der Hund und die Katze sind auf dem Weg nach Hause und wir waren nicht dabei"]
    assert words_of(*german) == ["hund", "katze", "weg", "hause"]
    assert words_of("A war among the guests of a spa where many die young") == [
        *["war", "among", "guests", "spa", "many", "die", "young"]
    ]


def test_a_single_han_character_is_a_word_before_a_particle():
    """In Japanese, a character alone before a particle is a noun, and before a verb's ending it is none."""
    words = read_words(["猫が走る"])
    alone = [words.vocabulary[word] for word, is_alone in zip(words.ids, words.is_alone, strict=True) if is_alone]
    assert alone == ["猫"]


def test_words_are_joined_as_their_scripts_demand():
    """Words are joined with spaces, except beside scripts that have none."""
    assert join_words(["neural", "network"]) == "neural network"
    assert join_words(["python", "入", "門"]) == "python入門"
    assert join_words(["김치", "찌개"]) == "김치 찌개"


def test_texts_and_sentences_are_apart():
    """Between texts, and between sentences, there is a gap."""
    words = read_words(["red. blue", "green"])
    assert words.text_rows[words.ids >= 0].tolist() == [0, 0, 1]
    assert (np.diff(np.flatnonzero(words.ids >= 0)) == 2).all()
