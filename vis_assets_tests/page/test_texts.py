"""Texts of a page."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.page import texts


@pytest.mark.parametrize(
    ("dirty", "expected"),
    [
        ("a\n\t b", "a b"),
        ("a\x00\x1b[31mb", "a [31mb"),
        ("left\u202eright", "left right"),
        ("\ud800x", "?x"),
        ("  日本 🐶 ", "日本 🐶"),
    ],
)
def test_clean_leaves_printable_text(dirty: str, expected: str) -> None:
    """Control characters, direction overrides and lone surrogates go, other characters stay."""
    assert texts.clean(dirty) == expected


@given(st.text())
def test_clean_is_what_it_says(text: str) -> None:
    """The short way for printable texts changes nothing."""
    encodable = text.encode("utf-8", "replace").decode("utf-8")
    dropped = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]", " ", encodable)
    assert texts.clean(text) == re.sub(r"\s+", " ", dropped).strip()


@given(st.text(st.sampled_from("ab \n\x00é日\u202e"), max_size=200), st.integers(4, 30))
def test_start_of_a_text_is_that_of_the_clean_text(text: str, limit: int) -> None:
    """Reading less of a text gives what reading four times the limit gives."""
    assert texts.clean_start(text, limit) == texts.shorten(texts.clean(text[: 4 * limit]), limit)


def test_escape_covers_content_and_attributes() -> None:
    """Every character that means something in HTML is escaped."""
    assert texts.escape("<a href='x' title=\"y\">&") == "&lt;a href=&#x27;x&#x27; title=&quot;y&quot;&gt;&amp;"


def test_shorten_ends_in_an_ellipsis() -> None:
    """A long text is cut to the limit, the ellipsis included; a short one stays."""
    assert texts.shorten("abcdefgh", 5) == "abcd…"
    assert texts.shorten("abcde", 5) == "abcde"


def test_hover_limit_falls_with_the_number_of_points() -> None:
    """Small maps get 500 characters a point, very large ones fewer, never none."""
    assert texts.hover_limit(1) == 500
    assert texts.hover_limit(500_000) == 200
    assert texts.hover_limit(50_000_000) == texts.MIN_HOVER_CHARACTERS


def test_names_stay_distinct() -> None:
    """Empty names are numbered by cluster, equal ones by order."""
    assert texts.display_names(["", "A", "A ", "A\n"]) == ["Cluster 0", "A", "A (2)", "A (3)"]
    assert texts.display_names(["A", "A", "A (2)"]) == ["A", "A (2)", "A (2) (2)"]
