"""What a model is called, and what its failures cost."""

import pytest

from vis_assets.errors import ModelUnavailable
from vis_assets.llm.model import ModelAccess, note_requests, one_line, requests_behind


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("gpt-4o", "gpt-4o"),
        (" a\nb\r\n\tc ", "a b c"),
        ("a\x00\x1b[31m\x7f\u2028b", "a [31m b"),
        ("a\u202eb\u200bc\ud800d", "a b c d"),
        ("名前 モデル", "名前 モデル"),
        ("x" * 30, "x" * 20),
    ],
)
def test_a_line_is_one_line(text: str, line: str) -> None:
    """Line breaks, control characters and marks that nobody sees become spaces, and the rest is cut."""
    assert one_line(text, 20) == line


def test_a_model_is_called_by_one_line() -> None:
    """A name holds provider and model, on one line of at most 200 characters."""
    assert ModelAccess("groq", "openai/gpt-oss-20b").name == "groq/openai/gpt-oss-20b"
    assert ModelAccess("groq", "m\n" * 300).name == ("groq/" + "m " * 300)[:200]


def test_a_failure_stands_for_one_request_unless_it_says_otherwise() -> None:
    """An error tells how many requests were sent where that was noted."""
    error = ModelUnavailable("down")
    assert requests_behind(error) == 1
    note_requests(error, 3)
    assert requests_behind(error) == 3
