"""Phrases: runs of words and characters."""

from vis_assets.mapping.phrases import find_phrases
from vis_assets.mapping.words import join_words, read_words


def phrases_of(texts):
    words = read_words(texts)
    phrases = find_phrases(words, len(texts))
    names = [join_words(words.vocabulary[word] for word in row if word >= 0) for row in phrases.members]
    return [(int(text), names[phrase]) for text, phrase in phrases.occurrences]


def test_runs_of_up_to_three_words_are_phrases():
    """Words, pairs and threes are found where they stand, and none reaches over a full stop or a function word."""
    assert phrases_of(["deep red apple pie. cake", "cake of apple"]) == [
        *[(0, "deep"), (0, "red"), (0, "apple"), (0, "pie"), (0, "cake"), (1, "cake"), (1, "apple")],
        *[(0, "deep red"), (0, "red apple"), (0, "apple pie"), (0, "deep red apple"), (0, "red apple pie")],
    ]


def test_a_pair_that_is_always_in_a_three_is_left_out():
    """A pair that nearly always belongs to the same three words is no phrase of its own, but its words are."""
    found = {phrase for _, phrase in phrases_of(["new york city", "new york city", "city hall"])}
    assert found == {"new", "york", "city", "hall", "new york city", "city hall"}


def test_inside_of_a_word_of_characters_is_no_phrase():
    """Of characters that always stand together, the longest run is the only phrase."""
    assert {phrase for _, phrase in phrases_of(["北京大学", "北京大学", "上海"])} == {"北京大学", "上海"}


def test_one_character_beside_another_script_is_no_phrase():
    """A run does not begin or end with one character beside another script."""
    assert {phrase for _, phrase in phrases_of(["新モデル", "新モデル"])} == {"モデル"}


def test_no_words_no_phrases():
    """Texts without words have no phrases."""
    assert phrases_of([]) == phrases_of(["", "..."]) == []
