"""The ways in which servers of language models fail."""

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import formatdate

from vis_assets.operations.embedded_llm.call import Call, Reply

_PART_BYTES = 65_536
_HTML = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"


class Fault(ABC):
    """A way to fail."""

    @abstractmethod
    def reply(self, call: Call) -> Reply | None:
        """Reply to one question, None by hanging up."""


@dataclass(frozen=True)
class RateLimited(Fault):
    """429: too many requests.

    Attributes:
        retry_after_seconds: what `Retry-After` says; None leaves it out.
        as_date: whether it says so as a date, which has whole seconds.
    """

    retry_after_seconds: float | None = None
    as_date: bool = False

    def reply(self, call: Call) -> Reply:
        """Ask to be asked later."""
        headers = {}
        if self.retry_after_seconds is not None:
            later = formatdate(math.ceil(time.time() + self.retry_after_seconds), usegmt=True)
            headers["Retry-After"] = later if self.as_date else f"{self.retry_after_seconds:g}"
        return call.refuse(429, "Rate limit reached.", "rate_limit_exceeded", headers=headers)


@dataclass(frozen=True)
class QuotaExhausted(Fault):
    """429, which no waiting helps."""

    def reply(self, call: Call) -> Reply:
        """Ask for money."""
        return call.refuse(429, "You exceeded your current quota.", "insufficient_quota")


@dataclass(frozen=True)
class ServerError(Fault):
    """The server fails.

    Attributes:
        status: 500 to 599.
    """

    status: int = 500

    def reply(self, call: Call) -> Reply:
        """Say that it is our fault."""
        return call.refuse(self.status, "The server had an error.", "server_error")


@dataclass(frozen=True)
class Slow(Fault):
    """A good answer, late.

    Attributes:
        seconds: how late.
    """

    seconds: float

    def reply(self, call: Call) -> Reply | None:
        """Wait, then answer; hang up where the server stops meanwhile."""
        return None if call.stopping.wait(self.seconds) else call.answer()


@dataclass(frozen=True)
class Drip(Fault):
    """An answer that starts at once and never ends: a space now and then, which JSON allows before an object.

    Attributes:
        seconds_between: two bytes.
    """

    seconds_between: float = 0.2

    def reply(self, call: Call) -> Reply:
        """Send bytes until the server stops."""
        return Reply(200, self._bytes(call), {"Content-Type": "application/json"})

    def _bytes(self, call: Call) -> Iterator[bytes]:
        while not call.stopping.wait(self.seconds_between):
            yield b" "


@dataclass(frozen=True)
class Malformed(Fault):
    """A completion whose JSON is broken, though the model thinks that it is done."""

    def reply(self, call: Call) -> Reply:
        """Leave a quote and the end out."""
        return call.complete('Sure! Here are the names: {"names": [{"id": "c0", "name": "Broken}, {"id": c1')


@dataclass(frozen=True)
class NotJson(Fault):
    """200 with an HTML page, as proxies answer."""

    def reply(self, call: Call) -> Reply:
        """Send the page."""
        return Reply(200, [_HTML], {"Content-Type": "text/html"}, len(_HTML))


@dataclass(frozen=True)
class Cut(Fault):
    """Half an answer, which ended at the limit of tokens."""

    def reply(self, call: Call) -> Reply:
        """Say half of it."""
        text = call.say(call.names())
        return call.complete(text[: len(text) // 2], is_cut=True)


@dataclass(frozen=True)
class Empty(Fault):
    """A completion that says nothing."""

    def reply(self, call: Call) -> Reply:
        """Say nothing."""
        return call.complete(None)


@dataclass(frozen=True)
class Injected(Fault):
    """A well-formed answer by a model that obeyed a document: one name for every cluster.

    Attributes:
        name: what the document dictated.
    """

    name: str

    def reply(self, call: Call) -> Reply:
        """Give every cluster that name."""
        return call.complete(call.say([{**named, "name": self.name} for named in call.names()]))


@dataclass(frozen=True)
class Partial(Fault):
    """A well-formed answer that forgets the last clusters.

    Attributes:
        keep: how many names it gives.
    """

    keep: int

    def reply(self, call: Call) -> Reply:
        """Name the first clusters."""
        return call.complete(call.say(call.names()[: self.keep]))


@dataclass(frozen=True)
class Refused(Fault):
    """The key is not accepted.

    Attributes:
        status: 401, or 403 where the key is known and may not do this.
    """

    status: int = 401

    def reply(self, call: Call) -> Reply:
        """Refuse the key."""
        return call.refuse_key(self.status)


@dataclass(frozen=True)
class UnknownModel(Fault):
    """404: there is no such model."""

    def reply(self, call: Call) -> Reply:
        """Deny the model."""
        return call.refuse(404, f"The model {call.request.body.get('model')} does not exist.", "model_not_found")


@dataclass(frozen=True)
class RejectsParameter(Fault):
    """400 for a parameter that this model does not take; other requests are answered.

    Attributes:
        param: its name, e.g. `temperature`.
    """

    param: str

    def reply(self, call: Call) -> Reply:
        """Refuse or answer."""
        if self.param not in call.request.body:
            return call.answer()
        message = f"Unsupported parameter: '{self.param}' is not supported with this model."
        return call.refuse(400, message, "unsupported_parameter", self.param)


@dataclass(frozen=True)
class Hangup(Fault):
    """The connection ends without an answer."""

    def reply(self, call: Call) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Redirect(Fault):
    """307 to another address.

    Attributes:
        location: the address.
    """

    location: str

    def reply(self, call: Call) -> Reply:
        """Point there."""
        return Reply(307, [], {"Location": self.location}, 0)


@dataclass(frozen=True)
class Huge(Fault):
    """A good answer after very many spaces, which JSON allows, of a size that is not told before.

    Attributes:
        size_bytes: of the spaces.
    """

    size_bytes: int

    def reply(self, call: Call) -> Reply:
        """Send it all to a caller who lets us."""
        answer = call.answer()
        return Reply(answer.status, self._parts(call, answer), answer.headers)

    def _parts(self, call: Call, answer: Reply) -> Iterator[bytes]:
        for start in range(0, self.size_bytes, _PART_BYTES):
            if call.stopping.is_set():
                return
            yield b" " * min(_PART_BYTES, self.size_bytes - start)
        yield from answer.parts
