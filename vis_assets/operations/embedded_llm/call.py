"""One request, and the replies that can be made to it."""

import json
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from vis_assets.operations.embedded_llm.namer import name_clusters, read_clusters
from vis_assets.operations.embedded_llm.wires import CHARACTERS_PER_TOKEN, Wire, count_tokens

_ECHOED_CHARACTERS = 200


@dataclass(frozen=True)
class ReceivedRequest:
    """A question as it arrived.

    Attributes:
        path: e.g. `/v1/chat/completions`.
        headers: names in lower case.
        body: the JSON object that was sent.
    """

    path: str
    headers: dict[str, str] = field(repr=False)
    body: dict[str, Any]


@dataclass(frozen=True)
class Reply:
    """What goes over the wire.

    Attributes:
        status: HTTP status.
        parts: the body, piece by piece.
        headers: beyond those that every reply has.
        size_bytes: of the body; None where the caller shall not know it before (it is sent in chunks).
    """

    status: int
    parts: Iterable[bytes]
    headers: Mapping[str, str] = field(default_factory=dict)
    size_bytes: int | None = None


@dataclass(frozen=True)
class Call:
    """One question that waits for its reply.

    Attributes:
        wire: how it is written.
        request: what arrived.
        stopping: set when the server stops, so that nobody waits longer.
    """

    wire: Wire
    request: ReceivedRequest
    stopping: threading.Event

    def answer(self) -> Reply:
        """Reply as a model does that understood."""
        return self.complete(self.say(self.names()))

    def names(self) -> list[dict[str, str]]:
        """Name every cluster that is asked for, in the order of the question: `id` and `name`."""
        return name_clusters(read_clusters(self.wire.texts(self.request.body)[-1]))

    def say(self, names: Sequence[Mapping[str, str]]) -> str:
        """Put names into JSON: pure where the caller demands that, else with words around it as models like to do."""
        answer = json.dumps({"names": list(names)}, ensure_ascii=False)
        wanted = self.request.body.get("response_format")
        if isinstance(wanted, dict) and wanted.get("type") in {"json_object", "json_schema"}:
            return answer
        return f"Here are the names:\n```json\n{answer}\n```\nLet me know if you prefer other names."

    def complete(self, text: str | None, *, is_cut: bool = False) -> Reply:
        """Reply with a text, or with the part of it that the caller's limit of tokens leaves."""
        body = self.request.body
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        if text is not None and isinstance(limit, int) and count_tokens(text) > limit:
            text, is_cut = text[: limit * CHARACTERS_PER_TOKEN], True
        return json_reply(200, self.wire.completion(body, text, is_cut=is_cut))

    def refuse(
        self,
        status: int,
        message: str,
        code: str,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """Reply with an error that echoes the key and the question."""
        key = self.request.headers.get("authorization", "").removeprefix("Bearer ")
        told = json.dumps(self.request.body, ensure_ascii=False)[-_ECHOED_CHARACTERS:]
        return json_reply(status, self.wire.error(f"{message} Key: {key}. Request: {told}", code, param), headers)

    def refuse_key(self, status: int) -> Reply:
        """Reply that the key is wrong (401), or may not do this (403)."""
        if status == HTTPStatus.FORBIDDEN:
            return self.refuse(status, "Your key may not do that.", "permission_denied")
        return self.refuse(status, "Incorrect API key provided.", "invalid_api_key")


def json_reply(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Reply with a JSON object."""
    encoded = json.dumps(body).encode()  # in ASCII, since a document may hold half a surrogate pair
    return Reply(status, [encoded], {"Content-Type": "application/json", **(headers or {})}, len(encoded))
