"""Which payload field is taken for the document."""

import json
from typing import Any

import pytest

from vis_assets.sources.texts import detect_text_field, field_names, other_fields_json, text_of


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"text": "a", "title": "a much longer title"}, "text"),
        ({"Title": "short", "url": "https://example.org/a/very/long/address"}, "Title"),
        ({"page_content": "langchain", "metadata": {"source": "file.pdf", "text": "deeper"}}, "metadata.text"),
        ({"metadata": {"page_content": "nested", "source": "x"}}, "metadata.page_content"),
        ({"metadata": {"content": "inner"}, "content": "outer"}, "content"),
        (
            {"_node_content": json.dumps({"text": "node", "id_": "1"}), "doc_id": "long-identifier-1"},
            "_node_content.text",
        ),
        ({"_node_content": "no json", "note": "a remark"}, "note"),
        ({"id_hash": "f" * 64, "remark": "two words"}, "remark"),
        ({"a": "short one", "b": "a longer one here"}, "b"),
        ({"a": 1, "b": [1], "c": None, "d": " "}, None),
        ({}, None),
    ],
)
def test_detection(payload: dict[str, Any], field: str | None) -> None:
    """Usual names win, then prose, then the longest strings; nested one level; nothing where there are no strings."""
    assert detect_text_field([payload, payload]) == field


def test_rare_preferred_field_does_not_win() -> None:
    """A field that few points have is no document, whatever its name."""
    sample = [{"remark": f"remark number {i}"} for i in range(9)] + [{"text": "x", "remark": "y z"}]
    assert detect_text_field(sample) == "remark"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (["a", "b", 3, {}], "a\nb\n3"), (7, "7"), (None, ""), ({"x": "y"}, "")],
)
def test_text_of_other_types(value: Any, text: str) -> None:
    """Lists become lines, numbers their digits, objects and nulls nothing."""
    assert text_of({"f": value}, "f") == text


def test_field_with_a_dot_in_its_name() -> None:
    """A field whose name holds a dot is found before a nested one."""
    payload = {"a.b": "flat", "a": {"b": "nested"}}
    assert text_of(payload, "a.b") == "flat"
    assert json.loads(other_fields_json(payload, "a.b")) == {"a": {"b": "nested"}}


def test_node_content_leaves_the_payload() -> None:
    """LlamaIndex's node text is found, and the node does not stay in the payload."""
    payload = {"_node_content": json.dumps({"text": "node"}), "page": 3}
    assert text_of(payload, "_node_content.text") == "node"
    assert json.loads(other_fields_json(payload, "_node_content.text")) == {"page": 3}


def test_other_fields_are_json() -> None:
    """What JSON lacks becomes null or text."""
    payload = {"nan": float("nan"), "list": [float("inf"), 1.5], "ü": "ä"}
    text = other_fields_json(payload, None)
    assert json.loads(text) == {"nan": None, "list": [None, 1.5], "ü": "ä"}
    assert "ä" in text


def test_many_fields_are_cut_short() -> None:
    """A message lists some twenty fields."""
    assert field_names([{f"f{i:02}": 1 for i in range(30)}]).endswith("'f19' and 10 more")
