"""W3C trace context: which trace of its sender a job belongs to. Passed on as it came; the malformed is dropped."""

import re
from collections.abc import Mapping

HEADER = "traceparent"
_FORM = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""version-trace_id-parent_id-flags; ff is no version, and an id is not all zeros (W3C Trace Context, 3.2)."""


def well_formed(traceparent: str | None) -> str | None:
    """Return a traceparent if it is one, else None."""
    return traceparent if traceparent is not None and _FORM.fullmatch(traceparent) else None


def read_traceparent(headers: Mapping[str, str] | None) -> str | None:
    """Return the traceparent among a message's headers, whatever the case of its name; None without a valid one."""
    values = [value for name, value in (headers or {}).items() if name.lower() == HEADER]
    return well_formed(values[0].strip()) if len(values) == 1 else None


def trace_headers(traceparent: str | None) -> dict[str, str]:
    """Return the headers that pass a traceparent on: none without a valid one."""
    valid = well_formed(traceparent)
    return {HEADER: valid} if valid else {}
