"""How providers write questions, answers and errors."""

import math
import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

CHARACTERS_PER_TOKEN = 4

_OPENAI_ERROR_TYPES = {
    "insufficient_quota": "insufficient_quota",
    "rate_limit_exceeded": "requests",
    "server_error": "server_error",
}


def count_tokens(text: str) -> int:
    """Estimate the tokens of a text: a quarter of its characters, rounded up."""
    return math.ceil(len(text) / CHARACTERS_PER_TOKEN)


class Wire(Protocol):
    """How one provider writes questions and answers."""

    path: str

    def texts(self, body: Mapping[str, Any]) -> list[str]:
        """Return all that the model is told, what it shall work on last.

        Raises:
            ValueError: the request holds no question.
        """

    def completion(self, body: Mapping[str, Any], text: str | None, *, is_cut: bool) -> dict[str, Any]:
        """Write an answer; None says nothing at all."""

    def error(self, message: str, code: str, param: str | None) -> dict[str, Any]:
        """Write an error."""


class OpenAiWire:
    """OpenAI's chat completions."""

    path = "/v1/chat/completions"

    def texts(self, body: Mapping[str, Any]) -> list[str]:
        """Return the contents of all messages."""
        return _messages(body)

    def completion(self, body: Mapping[str, Any], text: str | None, *, is_cut: bool) -> dict[str, Any]:
        """Write a `chat.completion`."""
        prompt, completion = _tokens(self.texts(body)), count_tokens(text or "")
        return {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text, "refusal": None},
                    "logprobs": None,
                    "finish_reason": "length" if is_cut else "stop",
                }
            ],
            "usage": {
                "prompt_tokens": prompt,
                "completion_tokens": completion,
                "total_tokens": prompt + completion,
            },
        }

    def error(self, message: str, code: str, param: str | None) -> dict[str, Any]:
        """Write an error object."""
        kind = _OPENAI_ERROR_TYPES.get(code, "invalid_request_error")
        return {"error": {"message": message, "type": kind, "param": param, "code": code}}


class CohereWire:
    """Cohere's chat, version 2."""

    path = "/v2/chat"

    def texts(self, body: Mapping[str, Any]) -> list[str]:
        """Return the contents of all messages."""
        return _messages(body)

    def completion(self, body: Mapping[str, Any], text: str | None, *, is_cut: bool) -> dict[str, Any]:
        """Write a chat response."""
        tokens = {"input_tokens": _tokens(self.texts(body)), "output_tokens": count_tokens(text or "")}
        return {
            "id": str(uuid.uuid4()),
            "finish_reason": "MAX_TOKENS" if is_cut else "COMPLETE",
            "message": {"role": "assistant", "content": [] if text is None else [{"type": "text", "text": text}]},
            "usage": {"billed_units": tokens, "tokens": tokens},
        }

    def error(self, message: str, code: str, param: str | None) -> dict[str, Any]:
        """Write an error, which has a message only."""
        return {"id": str(uuid.uuid4()), "message": message}


class InternalWire:
    """Semantic Explorer's own server."""

    path = "/api/generate"

    def texts(self, body: Mapping[str, Any]) -> list[str]:
        """Return the prompt, which is all there is."""
        prompt = body.get("prompt")
        if not isinstance(prompt, str):
            raise ValueError("prompt must be a text.")
        return [prompt]

    def completion(self, body: Mapping[str, Any], text: str | None, *, is_cut: bool) -> dict[str, Any]:
        """Write the text."""
        return {"text": text or ""}

    def error(self, message: str, code: str, param: str | None) -> dict[str, Any]:
        """Write an error."""
        return {"error": message}


WIRES: dict[str, Wire] = {wire.path: wire for wire in (OpenAiWire(), CohereWire(), InternalWire())}


def _messages(body: Mapping[str, Any]) -> list[str]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not isinstance(body.get("model"), str):
        raise ValueError("model and messages are required.")
    return [_content(message) for message in messages]


def _content(message: Any) -> str:
    """Return what a message says: a text, or several in parts."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise ValueError("A message needs content.")
    return "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))


def _tokens(texts: Sequence[str]) -> int:
    return sum(count_tokens(text) for text in texts)
