"""Asks models in order until one answers, patiently where that helps and not where it does not.

    link 1: budget? breaker? pace? -> call -> read -> answer
              | busy, failing, unusable once: wait, and again
              | this question refused: the next model
              | refused: never again for this job
              | timed out, or attempts used up
    link 2: the same ...
    none, and all of them failed quickly: wait a little, and again from link 1; else `NoModelAnswered`, with what each
    of them said.

Why a model did not answer goes into the ledger; nothing that a document or an answer says goes into a log or a message.
"""

import json
import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, partial
from types import TracebackType
from typing import TYPE_CHECKING, Generic, Self, TypeVar

from vis_assets.errors import (
    AnswerUnusable,
    BudgetSpent,
    ModelBusy,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    NoModelAnswered,
    PermanentError,
    QuestionRefused,
    TransientError,
    VisAssetsError,
)
from vis_assets.llm.breaker import Breaker
from vis_assets.llm.ledger import Ledger
from vis_assets.llm.model import MOST_NAME_CHARACTERS, Completion, Model, Question, one_line, requests_behind
from vis_assets.llm.pace import Pace
from vis_assets.llm.prices import Price
from vis_assets.llm.rest import Rest
from vis_assets.llm.tokens import count_tokens

if TYPE_CHECKING:
    from stamina import Attempt

MOST_OUTPUT_TOKENS = 8192
"""An answer that was cut is asked for again with more room, up to this much."""
MORE_ROOM = 4
LONGEST_RETRY_AFTER_SECONDS = 60.0
"""A server that asks for a longer rest than this is not waited for."""
MESSAGE_TOKENS = 20
"""What a provider adds around instructions, content and schema."""
MOST_REASON_CHARACTERS = 300

Value = TypeVar("Value")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Link:
    """A model of a chain.

    Attributes:
        name: what people are told, e.g. `openai/gpt-4o-mini`.
        open: makes the model; called when it is first needed, since the SDKs load slowly.
        price: None where it is unknown.
        timeout_seconds: of each call, more than 0.
        requests_per_minute: None for any number.
    """

    name: str
    open: Callable[[], Model]
    price: Price | None
    timeout_seconds: float
    requests_per_minute: float | None = None


@dataclass(frozen=True)
class Patience:
    """How long a chain tries.

    Attributes:
        attempts: calls to one model for one question, at most; from 1.
        total_seconds: for all questions of a chain, from its first.
        first_wait_seconds: before the second attempt; each further wait is twice as long, less up to half by chance.
        longest_wait_seconds: between two attempts.
        breaker_failures: failed questions in a row after which a model is left alone.
        breaker_seconds: for how long, before one question tries it again.
        longest_rest_seconds: that questions wait where every model failed, and quickly: from the first wait of any of
            them to the next answer. 0 for not at all. A model that let timeouts pass is not waited for.
    """

    attempts: int = 3
    total_seconds: float = 300.0
    first_wait_seconds: float = 1.0
    longest_wait_seconds: float = 20.0
    breaker_failures: int = 3
    breaker_seconds: float = 10.0
    longest_rest_seconds: float = 30.0

    def wait_seconds(self, attempt: int) -> float:
        """Return how long to wait after so many attempts; by chance shorter, so that not all come back at once."""
        longest = min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** (attempt - 1))
        return longest * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing


@dataclass(frozen=True)
class Answer(Generic[Value]):
    """What a chain answered.

    Attributes:
        value: what was read from the completion.
        model: name of the model that gave it.
    """

    value: Value
    model: str


class ModelChain:
    """An ordered chain of models, for one job; threads may share it. Leaving its context closes the models."""

    def __init__(
        self,
        links: Sequence[Link],
        ledger: Ledger,
        patience: Patience = Patience(),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Prepare; nothing is opened or asked yet.

        Args:
            links: the models, the first choice first.
            ledger: the job's account.
            patience: how long to try.
            clock: seconds that only grow.
            sleep: waits so many seconds for a model's pace, or for all models. Waits between attempts are stamina's.
        """
        self._lines = [_Line(link, patience, clock, sleep) for link in links]
        self._rest = Rest(patience.longest_rest_seconds, clock, sleep)
        self._ledger = ledger
        self._patience = patience
        self._clock = clock
        self._lock = threading.Lock()
        self._started_at: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the models, the first choice first."""
        return tuple(line.link.name for line in self._lines)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close the models that were opened; who still asks, or waits, is told so."""
        self._rest.close()
        for line in self._lines:
            line.close()

    def ask(self, question: Question, read: Callable[[Completion], Value]) -> Answer[Value]:
        """Ask one model after the other until one gives an answer that can be read.

        Args:
            question: what to ask.
            read: makes the value of a completion; raises AnswerUnusable where it is not what was asked for. Its other
                errors are let through.

        Raises:
            NoModelAnswered: none did, and the message says why, for each model; or the chain is closed.
            BudgetSpent: every model that could be asked would have cost more than is left.
        """
        asked = _Asked(question, _input_tokens(question), read, self._deadline())
        while True:
            self._require_open()
            answers = self._rest.answers
            answer = self._ask_each(asked)
            if answer is not None:
                return answer
            trials = self._trials(asked)
            if not trials or not self._rest.wait(trials, answers, asked.deadline):
                break
        self._require_open()
        self._fall_back(asked, asked.said)
        raise _total_failure([(line.link.name, error) for line, error in asked.said.items()])

    def _ask_each(self, asked: "_Asked[Value]") -> Answer[Value] | None:
        """Ask one model after the other, once, as far as they let themselves be asked."""
        asked.failures = {}
        for line in self._lines:
            try:
                value = _Request(line, asked, self._ledger, self._patience, self._clock).answer()
            except (ModelRefused, ModelUnavailable, AnswerUnusable, BudgetSpent) as error:
                asked.failed(line, error)
            else:
                self._rest.answered()
                self._fall_back(asked, asked.failures)
                return Answer(value, line.link.name)
        return None

    def _trials(self, asked: "_Asked[Value]") -> list[Callable[[], float]]:
        """When each model may be asked once more; none where it is not to be waited for."""
        trials: list[Callable[[], float]] = []
        was_repeated = asked.is_repeated
        for line, error in asked.failures.items():
            if _is_hopeless(error):
                continue
            if not isinstance(error, ModelUnavailable) or not _is_brief(error):
                return []
            if line.breaker.is_open or isinstance(error, _LeftAlone):
                if not line.breaker.is_worth_waiting_for:
                    return []
                trials.append(partial(getattr, line.breaker, "trial_at"))
            elif was_repeated:
                # It may be this question that it fails at.
                return []
            else:
                asked.is_repeated = True
                trials.append(partial(float, self._clock() + self._patience.breaker_seconds))
        return trials

    def _fall_back(self, asked: "_Asked[Value]", lines: "Iterable[_Line]") -> None:
        for line in lines:
            self._ledger.fall_back(line.link.name, _reason(asked.said[line]))

    def _require_open(self) -> None:
        if self._rest.is_closed:
            raise NoModelAnswered("the chain is closed; open another one to ask more")

    def _deadline(self) -> float:
        with self._lock:
            if self._started_at is None:
                self._started_at = self._clock()
            return self._started_at + self._patience.total_seconds


class _NotAsked(ModelUnavailable):
    """The model was not asked at all."""


class _LeftAlone(_NotAsked):
    """It was not asked since it failed again and again."""


class _Line:
    """What a chain remembers of one link."""

    def __init__(
        self, link: Link, patience: Patience, clock: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self.link = replace(link, name=one_line(link.name, MOST_NAME_CHARACTERS))
        self.breaker = Breaker(patience.breaker_failures, patience.breaker_seconds, clock)
        self.pace = Pace(link.requests_per_minute, clock, sleep)
        self.refusal: str | None = None
        self._lock = threading.Lock()
        self._model: Model | None = None

    def model(self) -> Model:
        with self._lock:
            if self._model is None:
                try:
                    self._model = self.link.open()
                except Exception as error:  # noqa: BLE001  a bug in a provider must not end a job
                    raise _as_ours(error, self.link.name) from None
            return self._model

    def close(self) -> None:
        with self._lock:
            model, self._model = self._model, None
            # A thread that still asks must not open it again.
            self.refusal = self.refusal or "it is closed"
        if model is None:
            return
        try:
            model.close()
        except Exception as error:  # noqa: BLE001  the answers are in; closing must not end a job
            _log.warning("%s could not be closed: %s", self.link.name, type(error).__name__)

    def note(self, error: VisAssetsError) -> None:
        """Draw the consequences of a question that it did not answer."""
        if isinstance(error, ModelRefused) and not isinstance(error, QuestionRefused):
            self.refusal = _reason(error)
        else:
            self.breaker.failed(is_brief=_is_brief(error))
        _log.warning("no answer: %s", _told(self.link.name, _reason(error)))


@dataclass
class _Asked(Generic[Value]):
    """One question to a chain.

    Attributes:
        question: what is asked.
        input_tokens: of it, estimated.
        read: makes the value of a completion.
        deadline: in the clock's seconds.
        failures: why each model did not answer when it was its turn last.
        said: the same, but what a model said when it was asked outlives that it was not asked later.
        is_repeated: whether a model failed at it, with all attempts, and has another turn.
    """

    question: Question
    input_tokens: int
    read: Callable[[Completion], Value]
    deadline: float
    failures: dict[_Line, VisAssetsError] = field(default_factory=dict)
    said: dict[_Line, VisAssetsError] = field(default_factory=dict)
    is_repeated: bool = False

    def failed(self, line: _Line, error: VisAssetsError) -> None:
        self.failures[line] = error
        if line not in self.said or not isinstance(error, _NotAsked):
            self.said[line] = error


class _Request(Generic[Value]):
    """One question to one model, with its repetitions."""

    def __init__(
        self, line: _Line, asked: _Asked[Value], ledger: Ledger, patience: Patience, clock: Callable[[], float]
    ) -> None:
        self._line = line
        self._question = asked.question
        self._input_tokens = asked.input_tokens
        self._read = asked.read
        self._deadline = asked.deadline
        self._ledger = ledger
        self._patience = patience
        self._clock = clock
        self._failed_attempts = 0
        self._may_ask_again = True
        self._failure: ModelUnavailable | AnswerUnusable | None = None

    def answer(self) -> Value:
        """Ask, repeatedly where that may help; whatever ends it, the breaker learns of it."""
        try:
            value = self._repeat()
        except _NotAsked:
            if self._failure is None:
                raise
            # It was asked, and only not again: what it said then is the reason.
            self._line.note(self._failure)
            raise self._failure from None
        except (ModelRefused, ModelUnavailable, AnswerUnusable) as error:
            self._line.note(error)
            raise
        except BaseException:
            self._line.breaker.withdrawn()
            raise
        self._line.breaker.succeeded()
        return value

    def _repeat(self) -> Value:
        for attempt in _attempts(self._wait_before_next, self._patience.attempts):
            with attempt:
                return self._attempt()
        raise AssertionError("stamina raises the last error")

    def _attempt(self) -> Value:
        self._require_open()
        # Opened before the wait: it loads an SDK, which may take seconds.
        model = self._line.model()
        completion = self._call(model, self._wait_for_turn())
        try:
            return self._read(completion)
        except AnswerUnusable:
            if completion.is_cut:
                # The same question with the same room would be cut at the same place.
                self._may_ask_again &= self._question.max_output_tokens < MOST_OUTPUT_TOKENS
                self._make_room()
            raise

    def _wait_for_turn(self) -> float:
        """Return how long the call may take, once it may begin."""
        if not self._line.pace.wait(self._deadline):
            raise _NotAsked("its requests per minute leave no more turns in the time for language models")
        # The turn may have come long after the question: what was true then may not be now.
        self._require_open()
        if not self._line.breaker.admit():
            raise self._left_alone()
        return min(self._line.link.timeout_seconds, self._deadline - self._clock())

    def _require_open(self) -> None:
        if self._line.refusal is not None:
            raise _NotAsked(self._line.refusal)
        if self._clock() >= self._deadline:
            raise _NotAsked(f"the {self._patience.total_seconds:g} s for language models are over")
        if self._line.breaker.is_open:
            raise self._left_alone()

    def _left_alone(self) -> _LeftAlone:
        return _LeftAlone(f"it was left alone after {self._patience.breaker_failures} failures in a row")

    def _call(self, model: Model, seconds: float) -> Completion:
        name = self._line.link.name
        reservation = self._ledger.reserve(self._line.link.price, self._input_tokens, self._question.max_output_tokens)
        completion: Completion | None = None
        may_be_billed, failed_requests = False, 1
        try:
            completion = model.complete(self._question, seconds)
        except Exception as error:  # noqa: BLE001  a bug in a provider must not end a job
            failure, failed_requests = _as_ours(error, name), requests_behind(error)
            may_be_billed = isinstance(failure, ModelTimedOut | AnswerUnusable)
            if isinstance(failure, AnswerUnusable):
                # A model that thinks first may have used all its room for that and said nothing.
                self._make_room()
            # The cause may hold what the server said, which may hold what the documents say.
            raise failure from None
        finally:
            self._ledger.settle(
                reservation, name, completion, may_be_billed=may_be_billed, failed_requests=failed_requests
            )
            self._line.pace.skip(max(0, (completion.requests if completion else failed_requests) - 1))
        return completion

    def _make_room(self) -> None:
        room = self._question.max_output_tokens
        wider = max(room, min(MORE_ROOM * room, MOST_OUTPUT_TOKENS))
        self._question = replace(self._question, max_output_tokens=wider)

    def _wait_before_next(self, error: Exception) -> bool | float:
        """Tell stamina how long to wait before the next attempt; False for none."""
        self._failed_attempts += 1
        if isinstance(error, ModelUnavailable | AnswerUnusable) and not isinstance(error, _NotAsked):
            self._failure = error
        wait = self._wanted_wait(error)
        if wait is None or self._clock() + wait >= self._deadline or self._is_given_up():
            return False
        _log.debug("%s is asked again in %.3f s", self._line.link.name, wait)
        return wait

    def _is_given_up(self) -> bool:
        return self._line.refusal is not None or self._line.breaker.is_open

    def _wanted_wait(self, error: Exception) -> float | None:
        if isinstance(error, AnswerUnusable):
            again, self._may_ask_again = self._may_ask_again, False
            return 0.0 if again else None
        if isinstance(error, _NotAsked | ModelTimedOut) or not isinstance(error, ModelUnavailable):
            return None
        asked_for = error.retry_after_seconds if isinstance(error, ModelBusy) else None
        if asked_for is None:
            return self._patience.wait_seconds(self._failed_attempts)
        return asked_for if _can_be_waited(asked_for) else None


def _attempts(wait_before_next: Callable[[Exception], bool | float], most: int) -> "Iterable[Attempt]":
    _quieten_stamina()
    import stamina

    return stamina.retry_context(on=wait_before_next, attempts=most, timeout=None)


@cache
def _quieten_stamina() -> None:
    from stamina.instrumentation import set_on_retry_hooks

    # Where structlog is installed, and Dagster brings it, stamina prints every repetition to the standard output, which
    # is where commands write what they were asked for. The ledger counts repetitions.
    set_on_retry_hooks([])


def _as_ours(error: Exception, model_name: str) -> VisAssetsError:
    if isinstance(error, ModelRefused | ModelUnavailable | AnswerUnusable):
        return error
    if isinstance(error, PermanentError):
        return ModelRefused(str(error))
    if isinstance(error, TransientError):
        return ModelUnavailable(str(error))
    # By its class only: a foreign message may hold a key, a document or what the server said.
    _log.warning("%s failed with %s, which its provider does not expect", model_name, type(error).__name__)
    return ModelUnavailable(f"its provider failed with {type(error).__name__}")


def _can_be_waited(seconds: float) -> bool:
    return 0 <= seconds <= LONGEST_RETRY_AFTER_SECONDS


def _is_brief(error: VisAssetsError) -> bool:
    """Whether the failure cost little time, and the model may be back soon."""
    if isinstance(error, ModelBusy) and error.retry_after_seconds is not None:
        return _can_be_waited(error.retry_after_seconds)
    return not isinstance(error, ModelTimedOut)


def _is_hopeless(error: VisAssetsError) -> bool:
    """Whether the model will not answer this question, however long one waits."""
    not_asked_for_good = isinstance(error, _NotAsked) and not isinstance(error, _LeftAlone)
    return not_asked_for_good or isinstance(error, ModelRefused | BudgetSpent)


def _reason(error: VisAssetsError) -> str:
    """Say why in words that are the same for the same reason, so that the ledger can count them."""
    if isinstance(error, BudgetSpent):
        return "the budget is spent"
    if isinstance(error, ModelTimedOut):
        return "it did not answer in time"
    if isinstance(error, ModelBusy):
        return "it asked to be asked later"
    return one_line(str(error), MOST_REASON_CHARACTERS)


def _total_failure(failures: Sequence[tuple[str, VisAssetsError]]) -> BudgetSpent | NoModelAnswered:
    asked = [error for _, error in failures if not isinstance(error, _NotAsked)]
    too_dear = [error for error in asked if isinstance(error, BudgetSpent)]
    if too_dear and len(too_dear) == len(asked):
        return too_dear[0]
    if not failures:
        return NoModelAnswered("no language model is configured; set LLM_PROVIDER, or give the job an llm_config")
    reasons = "; ".join(_told(name, _reason(error)) for name, error in failures)
    answered = frozenset(name for name, error in failures if isinstance(error, AnswerUnusable))
    message = f"no language model gave a usable answer: {reasons}"
    return NoModelAnswered(message, answered, was_asked=bool(asked))


def _told(name: str, reason: str) -> str:
    return reason if reason.startswith(name) else f"{name}: {reason}"


def _input_tokens(question: Question) -> int:
    parts = (question.instructions, question.content, json.dumps(question.schema, ensure_ascii=False))
    return sum(count_tokens(part) for part in parts) + MESSAGE_TOKENS
