"""Which optional parameters a server takes: learned from its refusals, remembered for one model."""

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, Self

from vis_assets.errors import VisAssetsError
from vis_assets.llm.failures import dig, explanation, whole_text
from vis_assets.llm.model import Completion, Question, note_requests

REFUSED_REQUEST = (HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY)
"""How servers answer parameters that they do not take."""
LONGEST_LESSON_SECONDS = 2.0
"""Refusals come at once. A request that takes longer than this is being answered, so its dialect is taken."""
_FORMAT_WORDS = re.compile(r"response.?format|json.?schema|json.?object|json.?mode|structured.?output|guided", re.I)
_EFFORT_WORDS = re.compile("reasoning|thinking", re.I)
_TEMPERATURE_WORDS = re.compile("temperature", re.I)


@dataclass(frozen=True)
class Dialect:
    """What is sent beside the question.

    Attributes:
        formats: names of response formats still worth trying, the first is used; empty asks for JSON in words alone.
        limits: names of the parameter for the longest answer still worth trying, the first is used.
        efforts: values of `reasoning_effort` still worth trying, the first is used; empty leaves it to the model.
        has_temperature: whether a temperature is sent.
    """

    formats: tuple[str, ...] = ("json_schema", "json_object")
    limits: tuple[str, ...] = ("max_tokens",)
    efforts: tuple[str, ...] = ()
    has_temperature: bool = True

    def refused(self, body: object) -> str | None:
        """Return which attribute a refusal is about, if any.

        Args:
            body: what the server says about HTTP 400 or 422, as parsed from JSON. It is only searched: the worst that a
                hostile one brings about is a question without these parameters.
        """
        said = explanation(body)
        named = dig(said, "param")
        if isinstance(named, str):
            return self._about(named)
        texts = (dig(said, key) for key in ("message", "error", "detail"))
        return next((about for text in texts if isinstance(text, str) and (about := self._about(text))), None)

    def without(self, refused: str) -> Self:
        """Return the dialect that tries the next best value of an attribute."""
        value = getattr(self, refused)
        changed: dict[str, Any] = {refused: value[1:] if isinstance(value, tuple) else False}
        return replace(self, **changed)

    def _about(self, text: str) -> str | None:
        """Return the attribute that the text mentions first: after the complaint it may quote the whole request."""
        found = {attribute: match.start() for attribute, words in self._words() if (match := words.search(text))}
        return min(found, key=found.__getitem__, default=None)

    def _words(self) -> Iterator[tuple[str, re.Pattern[str]]]:
        if self.formats:
            yield "formats", _FORMAT_WORDS
        # The last name stays: an answer without a limit has no price.
        if len(self.limits) > 1:
            yield "limits", re.compile(rf"\b{self.limits[0]}\b")
        if self.efforts:
            yield "efforts", _EFFORT_WORDS
        if self.has_temperature:
            yield "has_temperature", _TEMPERATURE_WORDS


@dataclass(frozen=True)
class Refusal:
    """A question that was refused, perhaps for one of its parameters.

    Attributes:
        error: what to raise if it was not.
        body: what the server says about it, as parsed from JSON.
    """

    error: VisAssetsError
    body: object


class LearnedDialect:
    """The dialect of one model; several threads may use and teach it at the same time."""

    def __init__(self, dialect: Dialect) -> None:
        """Begin with what most servers take."""
        self._dialect = dialect
        self._lock = threading.Lock()
        self._learning = threading.Lock()
        self._proven: Dialect | None = None

    def complete(self, ask: Callable[[Dialect, float], Completion | Refusal], timeout_seconds: float) -> Completion:
        """Ask, and again without what the server does not take, until it answers or there is nothing left to leave out.

        Args:
            ask: asks once, in a dialect and within seconds; without a request where these are not more than 0.
            timeout_seconds: for all of it.

        Returns:
            The completion, with the number of requests.

        Raises:
            VisAssetsError: whatever `ask` raises, or the error of the last refusal; with the number of requests.
        """
        asking = _Asking(ask, time.monotonic() + timeout_seconds)
        try:
            used = self._dialect
            answer = asking.ask(used)
            if isinstance(answer, Refusal):
                answer = self._ask_again(asking, used, answer)
        except Exception as error:
            note_requests(error, asking.requests)
            raise
        return replace(answer, requests=asking.requests)

    def _ask_again(self, asking: "_Asking", used: Dialect, refusal: Refusal) -> Completion:
        answer: Completion | Refusal = refusal
        while isinstance(answer, Refusal):
            if not self._learn(used, answer.body):
                raise answer.error
            with self._turn_to_learn(asking.seconds_left):
                used = self._dialect
                answer = asking.ask(used)
        self._proven = used
        return answer

    @contextmanager
    def _turn_to_learn(self, seconds_left: float) -> Iterator[None]:
        """Let one thread at a time try a dialect that may be wrong: its refusal spares the others theirs."""
        is_held = self._learning.acquire(timeout=max(0.0, min(seconds_left, LONGEST_LESSON_SECONDS)))
        try:
            if is_held and self._proven == self._dialect:
                self._learning.release()
                is_held = False
            yield
        finally:
            if is_held:
                self._learning.release()

    def _learn(self, used: Dialect, body: object) -> bool:
        refused = used.refused(body)
        if refused is None:
            return False
        with self._lock:
            # Another thread may have learned the same meanwhile, or something else.
            if getattr(self._dialect, refused) == getattr(used, refused):
                self._dialect = self._dialect.without(refused)
        return True


class _Asking:
    """One question, with the requests that are sent for it."""

    def __init__(self, ask: Callable[[Dialect, float], Completion | Refusal], ends_at: float) -> None:
        self.requests = 0
        self._ask = ask
        self._ends_at = ends_at

    @property
    def seconds_left(self) -> float:
        return self._ends_at - time.monotonic()

    def ask(self, dialect: Dialect) -> Completion | Refusal:
        seconds = self.seconds_left
        self.requests += seconds > 0
        return self._ask(dialect, seconds)


def as_messages(question: Question) -> list[dict[str, str]]:
    """Write a question as the messages of a chat: what to do is the system's, what to do it with is the user's."""
    return [
        {"role": "system", "content": whole_text(question.instructions)},
        {"role": "user", "content": whole_text(question.content)},
    ]
