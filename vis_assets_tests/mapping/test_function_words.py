"""Function words by language."""

from vis_assets.mapping.function_words import BY_LANGUAGE, ENGLISH, silent_words


def test_english_words_always_go():
    """English function words are left out of all texts, also of none."""
    assert silent_words({}) == ENGLISH


def test_words_of_a_spoken_language_go():
    """Where a good part of all words are a language's function words, all of its function words go."""
    counts = {"der": 9, "und": 8, "nicht": 5, "mit": 4, "haus": 40, "baum": 30}
    assert silent_words(counts) == ENGLISH | BY_LANGUAGE["German"]


def test_chance_makes_no_language():
    """A few words that look like another language's, however frequent, remove nothing."""
    assert silent_words({"war": 50, "die": 50, "man": 50, "soldier": 50}) == ENGLISH
    assert silent_words({"war": 1, "die": 1, "man": 1, "am": 1, "bin": 1, "soldier": 900}) == ENGLISH
