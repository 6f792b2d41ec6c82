"""Texts of a page."""

import pytest

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
