"""A stand-in for a language model that needs no network: an HTTP server that names clusters by their own evidence.

It speaks OpenAI's chat completions, Cohere's chat (v2) and Semantic Explorer's `/api/generate`, and serves the demo and
the tests of the wire. It understands one question, that of `vis_assets.naming`, and fails on demand in the ways in
which real servers do.

What it says of an error echoes the caller's key and question, as some servers do, so that tests see whether either
leaks.
"""

from vis_assets.operations.embedded_llm.call import Call, ReceivedRequest, Reply
from vis_assets.operations.embedded_llm.faults import (
    Cut,
    Drip,
    Empty,
    Fault,
    Hangup,
    Huge,
    Injected,
    Malformed,
    NotJson,
    Partial,
    QuotaExhausted,
    RateLimited,
    Redirect,
    Refused,
    RejectsParameter,
    ServerError,
    Slow,
    UnknownModel,
)
from vis_assets.operations.embedded_llm.server import EmbeddedLlm

__all__ = [
    "Call",
    "Cut",
    "Drip",
    "EmbeddedLlm",
    "Empty",
    "Fault",
    "Hangup",
    "Huge",
    "Injected",
    "Malformed",
    "NotJson",
    "Partial",
    "QuotaExhausted",
    "RateLimited",
    "ReceivedRequest",
    "Redirect",
    "Refused",
    "RejectsParameter",
    "Reply",
    "ServerError",
    "Slow",
    "UnknownModel",
]
