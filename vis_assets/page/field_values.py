"""Values of payloads: where in its JSON a field stands, and what a value means as a text, a number or a date."""

import contextlib
import json
import math
import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from types import NoneType
from typing import Any

import numpy as np
import numpy.typing as npt

from vis_assets.page import texts

Payload = dict[str, Any]

MAX_NESTING = 2
"""Objects inside a payload are read to this depth: `outer.inner.innermost`."""
MAX_VALUE_CHARACTERS = 200
"""Longest value kept of a text."""
MISSING = math.nan
"""A number or date that a point does not have."""

_LATEST_MS = 8.64e15
"""JavaScript knows no date beyond this, before or after 1970."""
_ISO_DATE = re.compile(
    r"[0-9]{4}-[0-9]{2}(?:-[0-9]{2}"
    r"(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,12})?)?(?:Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?)?"
)
_MONTH = len("2024-05")


def read_payload(text: str | None) -> Payload:
    """Parse the JSON of one payload; what is no JSON object is empty."""
    try:
        payload = json.loads(text) if text else {}
    except (ValueError, RecursionError):
        return {}
    return payload if isinstance(payload, dict) else {}


def flatten(payload: Payload, nesting: int = MAX_NESTING) -> Iterator[tuple[str, Any]]:
    """Yield every field by its name, nested ones with dots, and its value; what lies deeper is left out."""
    for name, value in payload.items():
        if not isinstance(value, dict):
            yield name, value
        elif nesting > 0:
            for inner, inner_value in flatten(value, nesting - 1):
                yield f"{name}.{inner}", inner_value


def value_at(payload: Payload, name: str) -> Any:
    """Return the value of a field by the name that `flatten` gives it; None where the payload lacks it."""
    if name in payload or "." not in name:
        return payload.get(name)
    start = name.find(".")
    while start >= 0:
        outer = payload.get(name[:start])
        if isinstance(outer, dict):
            found = value_at(outer, name[start + 1 :])
            if found is not None:
                return found
        start = name.find(".", start + 1)
    return None


def values_at(payloads: Sequence[Payload], name: str) -> list[Any]:
    """Return the values of a field in many payloads."""
    if "." in name:
        return [value_at(payload, name) for payload in payloads]
    return [payload.get(name) for payload in payloads]


def text_of(value: Any) -> str:
    """Return a value as a text fit for a page, the parts of a list with commas between; "" where it is none."""
    if isinstance(value, str):
        return texts.clean_start(value, MAX_VALUE_CHARACTERS)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return texts.shorten(str(value), MAX_VALUE_CHARACTERS) if math.isfinite(number_of(value)) else ""
    if isinstance(value, list):
        return _join(value)
    return ""


def _join(values: list[Any]) -> str:
    parts: list[str] = []
    for value in values[:MAX_VALUE_CHARACTERS]:  # more cannot be shown
        part = "" if isinstance(value, list) else text_of(value)
        if part:
            parts.append(part)
    return texts.shorten(", ".join(parts), MAX_VALUE_CHARACTERS)


def number_of(value: Any) -> float:
    """Return a value as a number; NaN where it is none, or not finite. True and false are no numbers."""
    if type(value) not in {int, float}:
        return MISSING
    try:
        number = float(value)
    except OverflowError:
        return MISSING
    return number if math.isfinite(number) else MISSING


def numbers_of(values: Sequence[Any]) -> npt.NDArray[np.float64]:
    """Return values as numbers, as `number_of` does with each; fast where they are numbers or missing."""
    if set(map(type, values)) <= {int, float, NoneType}:
        with contextlib.suppress(OverflowError):
            numbers: npt.NDArray[np.float64] = np.array(values, dtype=np.float64)  # None becomes NaN
            numbers[np.isinf(numbers)] = MISSING
            return numbers
    return np.array([number_of(value) for value in values], dtype=np.float64)


def date_of_text(value: Any) -> float:
    """Return an ISO 8601 date or datetime as milliseconds since 1970 UTC; NaN where it is none.

    Without a time it is midnight, without an offset UTC, without a day the first of the month. Years are 1 to 9999.
    """
    if not isinstance(value, str) or not _ISO_DATE.fullmatch(value):
        return MISSING
    try:
        moment = datetime.fromisoformat(f"{value}-01" if len(value) == _MONTH else value)
    except ValueError:
        return MISSING
    return float(round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000))


def dates_of_numbers(values: Sequence[Any], milliseconds_per_unit: float) -> npt.NDArray[np.float64]:
    """Return numbers of seconds or milliseconds since 1970 as milliseconds; NaN where one is none."""
    moments = numbers_of(values) * milliseconds_per_unit
    moments[np.abs(moments) > _LATEST_MS] = MISSING
    return moments
