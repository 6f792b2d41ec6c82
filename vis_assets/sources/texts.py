"""Which payload field is the document, and what remains of the payload beside it."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Payload = dict[str, Any]

PREFERRED_FIELDS = (
    "text",
    "content",
    "page_content",
    "document",
    "chunk",
    "chunk_text",
    "body",
    "passage",
    "description",
    "abstract",
    "summary",
    "message",
    "title",
    "name",
)
"""Names that documents go by, best first; compared in lower case."""

LLAMA_INDEX_NODE = "_node_content"
"""LlamaIndex keeps its node, text included, as JSON text in this field."""

WRITTEN_BACK = "vis_assets"
"""Payload key of what `write_back` wrote; no map is made of it, so that writing back does not change the next map."""

MAX_FIELDS_LISTED = 20


def detect_text_field(sample: Sequence[Payload]) -> str | None:
    """Pick the payload field that holds the document.

    A preferred name wins if at least half as many points have it as have the most frequent string field; otherwise the
    string field with the longest values on average, prose (values with spaces) before identifiers.

    Args:
        sample: payloads of some points.

    Returns:
        A field name, `outer.inner` for one level of nesting, or None if no field holds strings.
    """
    values: dict[str, list[str]] = {}
    for payload in sample:
        for field, value in _strings(payload):
            values.setdefault(field, []).append(value)
    if not values:
        return None
    most = max(len(found) for found in values.values())
    for name in PREFERRED_FIELDS:
        for field in sorted(values, key=lambda field: (field.count("."), field)):
            if field.rpartition(".")[2].lower() == name and 2 * len(values[field]) >= most:
                return field
    return max(sorted(values), key=lambda field: _prose_length(values[field]))


def text_of(payload: Payload, field: str | None) -> str:
    """Return the document of one point, "" where it has none; lists of strings become lines."""
    value = None if field is None else _value_at(payload, field)
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "\n".join(str(item) for item in value if isinstance(item, str | int | float))
    return "" if value is None or isinstance(value, dict) else str(value)


def other_fields_json(payload: Payload, field: str | None) -> str:
    """Return the payload without its document and what was written back, as JSON; NaN and infinity become null."""
    others = _without(payload, field)
    if WRITTEN_BACK in others:
        others = {name: value for name, value in others.items() if name != WRITTEN_BACK}
    try:
        return _to_json(others)
    except ValueError:
        return _to_json(_finite(others))


def field_names(sample: Iterable[Payload]) -> str:
    """List the payload fields seen, for a message to the user."""
    names = sorted({name for payload in sample for name in payload} - {WRITTEN_BACK})
    if not names:
        return "none"
    listed = ", ".join(repr(name)[:80] for name in names[:MAX_FIELDS_LISTED])
    return listed if len(names) <= MAX_FIELDS_LISTED else f"{listed} and {len(names) - MAX_FIELDS_LISTED} more"


def _to_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=str)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _strings(payload: Payload) -> Iterator[tuple[str, str]]:
    for name, value in payload.items():
        if isinstance(value, str) and name == LLAMA_INDEX_NODE:
            text = _node_text(value)
            if text:
                yield f"{name}.text", text
        elif isinstance(value, str) and value.strip():
            yield name, value
        elif isinstance(value, dict):
            for inner, inner_value in value.items():
                if isinstance(inner_value, str) and inner_value.strip():
                    yield f"{name}.{inner}", inner_value


def _prose_length(values: Sequence[str]) -> tuple[bool, float]:
    prose = sum(" " in value.strip() for value in values)
    return 2 * prose >= len(values), sum(map(len, values)) / len(values)


def _value_at(payload: Payload, field: str) -> Any:
    if field in payload:
        return payload[field]
    outer, dot, inner = field.partition(".")
    value = payload.get(outer)
    if not dot or value is None:
        return None
    if isinstance(value, str) and field == f"{LLAMA_INDEX_NODE}.text":
        return _node_text(value)
    return _value_at(value, inner) if isinstance(value, dict) else None


def _node_text(node_content: str) -> str | None:
    try:
        node = json.loads(node_content)
    except (ValueError, RecursionError):
        return None
    text = node.get("text") if isinstance(node, dict) else None
    return text if isinstance(text, str) else None


def _without(payload: Payload, field: str | None) -> Payload:
    if field is None:
        return payload
    if field in payload:
        return {name: value for name, value in payload.items() if name != field}
    outer, dot, inner = field.partition(".")
    value = payload.get(outer)
    if dot and isinstance(value, dict):
        return {**payload, outer: _without(value, inner)}
    if dot and outer == LLAMA_INDEX_NODE:
        return {name: value for name, value in payload.items() if name != LLAMA_INDEX_NODE}
    return payload
