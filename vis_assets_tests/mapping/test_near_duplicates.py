"""Texts that repeat one another."""

import pytest

from vis_assets.mapping.near_duplicates import Wording

SENTENCE = "The request to the server at host {} failed after {} seconds because the peer closed the connection"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Red apple", "red  APPLE!"),
        (SENTENCE.format(3, 20), SENTENCE.format(4, 21)),
        ("東京都の天気は晴れです", "東京都の天気は、晴れです。"),
    ],
)
def test_repetition_is_recognised(one, other):
    """Case, punctuation, and numbers in longer texts make no difference."""
    assert Wording(one).repeats(Wording(other))
    assert Wording(other).repeats(Wording(one))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Python 2", "Python 3"),
        ("How to install numpy", "How to install scipy"),
        ("東京都の天気", "大阪府の料理"),
        ("", ""),
        ("...", "..."),
    ],
)
def test_different_texts_are_not(one, other):
    """Short texts that differ by a word are distinct, and so are texts without words."""
    assert not Wording(one).repeats(Wording(other))
