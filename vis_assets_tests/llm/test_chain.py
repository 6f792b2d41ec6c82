"""Which model is asked, how often, and what happens when none answers."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import stamina
from stamina.instrumentation import RetryDetails, get_on_retry_hooks, set_on_retry_hooks

from vis_assets.errors import (
    AnswerUnusable,
    BudgetSpent,
    InvalidJob,
    ModelBusy,
    ModelRefused,
    ModelTimedOut,
    ModelUnavailable,
    NoModelAnswered,
    SourceUnavailable,
)
from vis_assets.llm.chain import MOST_OUTPUT_TOKENS, Link, ModelChain, Patience
from vis_assets.llm.ledger import Budget, Fallback, Ledger
from vis_assets.llm.model import Completion, ModelAccess, Question, note_requests
from vis_assets.llm.prices import FREE, Price
from vis_assets_tests.manual_clock import Clock

QUESTION = Question("Name the clusters.", "a secret document", {"type": "object"}, 300)
GOOD = Completion("solar panels", 50, 5)
USUAL = Patience()
CUT = Completion("sol", 50, 300, is_cut=True)

Outcome = Completion | BaseException


class Scripted:
    """A model that answers what the test says, the last again and again."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = outcomes
        self.asked: list[tuple[Question, float]] = []
        self.opened = 0
        self.closed = 0
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        return len(self.asked)

    def open(self) -> "Scripted":
        self.opened += 1
        return self

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        with self._lock:
            outcome = self.outcomes[min(self.calls, len(self.outcomes) - 1)]
            self.asked.append((question, timeout_seconds))
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    def close(self) -> None:
        self.closed += 1


class Patient:
    """A model that uses time before it fails."""

    def __init__(self, clock: Clock, seconds: float, error: Exception) -> None:
        self._clock, self._seconds, self._error = clock, seconds, error
        self.calls = 0

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        self.calls += 1
        self._clock.now += min(self._seconds, timeout_seconds)
        raise self._error

    def close(self) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def ledger() -> Ledger:
    return Ledger()


def chain_of(
    ledger: Ledger,
    clock: Clock,
    *models: Scripted,
    patience: Patience = USUAL,
    prices: Sequence[Price | None] = (FREE, FREE),
    requests_per_minute: float | None = None,
) -> ModelChain:
    links = [
        Link(f"test/{number}", model.open, price, 60.0, requests_per_minute)
        for number, (model, price) in enumerate(zip(models, prices, strict=False), start=1)
    ]
    return ModelChain(links, ledger, patience, clock, clock.sleep)


def read_text(completion: Completion) -> str:
    return completion.text


def read_whole(completion: Completion) -> str:
    if completion.is_cut:
        raise AnswerUnusable("half an answer")
    return completion.text


def unanswered(chain: ModelChain, read: Callable[[Completion], str] = read_text) -> str:
    with pytest.raises(NoModelAnswered) as caught:
        chain.ask(QUESTION, read)
    return str(caught.value)


def test_the_first_model_that_answers_is_the_one_asked(ledger: Ledger, clock: Clock) -> None:
    """An answer of the first model is returned with its name, and no other model is even opened."""
    first, second = Scripted(GOOD), Scripted(GOOD)
    answer = chain_of(ledger, clock, first, second).ask(QUESTION, read_text)
    assert (answer.value, answer.model) == ("solar panels", "test/1")
    assert (first.calls, second.opened) == (1, 0)
    assert ledger.usage.fallbacks == ()


def test_names_are_in_order(ledger: Ledger, clock: Clock) -> None:
    """A chain tells its models in the order in which it asks them."""
    assert chain_of(ledger, clock, Scripted(GOOD), Scripted(GOOD)).names == ("test/1", "test/2")


def test_a_refused_model_is_not_asked_again(ledger: Ledger, clock: Clock) -> None:
    """A model that refuses is left out for the rest of the job, and each request that it missed is counted."""
    first, second = Scripted(ModelRefused("key refused")), Scripted(GOOD)
    chain = chain_of(ledger, clock, first, second)
    assert [chain.ask(QUESTION, read_text).model for _ in range(3)] == ["test/2"] * 3
    assert first.calls == 1
    assert ledger.usage.fallbacks == (Fallback("test/1", "key refused", 3),)


@pytest.mark.parametrize("error", [ModelUnavailable("HTTP 500"), ModelBusy("HTTP 429"), ModelBusy("HTTP 429", 5.0)])
def test_a_passing_failure_is_tried_again(ledger: Ledger, clock: Clock, error: Exception) -> None:
    """A model that fails or is busy is asked again, and its answer counts."""
    model = Scripted(error, error, GOOD)
    assert chain_of(ledger, clock, model).ask(QUESTION, read_text).value == "solar panels"
    assert (ledger.usage.calls, ledger.usage.failed_calls) == (3, 2)


def test_attempts_are_limited(ledger: Ledger, clock: Clock) -> None:
    """A model that keeps failing is asked as often as allowed, then the next one is."""
    first, second = Scripted(ModelUnavailable("HTTP 500")), Scripted(GOOD)
    assert (
        chain_of(ledger, clock, first, second, patience=Patience(attempts=4)).ask(QUESTION, read_text).model == "test/2"
    )
    assert first.calls == 4
    assert ledger.usage.fallbacks == (Fallback("test/1", "HTTP 500", 1),)


def test_a_timeout_is_not_tried_again(ledger: Ledger, clock: Clock) -> None:
    """A model that let a whole timeout pass is not asked the same question again."""
    first, second = Scripted(ModelTimedOut("12.3 s")), Scripted(GOOD)
    chain_of(ledger, clock, first, second).ask(QUESTION, read_text)
    assert first.calls == 1
    assert ledger.usage.fallbacks == (Fallback("test/1", "it did not answer in time", 1),)


def test_an_unusable_answer_is_tried_again_once(ledger: Ledger, clock: Clock) -> None:
    """A model whose answers cannot be read is asked once more, the same question, then the next one is."""
    first, second = Scripted(Completion("no", 1, 1)), Scripted(GOOD)

    def read(completion: Completion) -> str:
        if completion.text == "no":
            raise AnswerUnusable("no names")
        return completion.text

    assert chain_of(ledger, clock, first, second).ask(QUESTION, read).model == "test/2"
    assert [question for question, _ in first.asked] == [QUESTION, QUESTION]


def test_a_cut_answer_is_asked_for_with_more_room(ledger: Ledger, clock: Clock) -> None:
    """An answer that ended at its longest is asked for again with four times the room."""
    model = Scripted(CUT, GOOD)
    assert chain_of(ledger, clock, model).ask(QUESTION, read_whole).value == "solar panels"
    assert [question.max_output_tokens for question, _ in model.asked] == [300, 1200]


def test_a_cut_answer_that_can_be_read_is_taken(ledger: Ledger, clock: Clock) -> None:
    """A cut answer is asked for again only where it cannot be read."""
    model = Scripted(CUT)
    assert chain_of(ledger, clock, model).ask(QUESTION, read_text).value == "sol"


@pytest.mark.parametrize(
    ("room", "rooms"), [(4000, [4000, MOST_OUTPUT_TOKENS]), (MOST_OUTPUT_TOKENS, [MOST_OUTPUT_TOKENS]), (9000, [9000])]
)
def test_room_has_a_limit(ledger: Ledger, clock: Clock, room: int, rooms: list[int]) -> None:
    """No answer gets more room than the limit, and one that was cut there is not asked for again."""
    model = Scripted(CUT)
    with pytest.raises(NoModelAnswered):
        chain_of(ledger, clock, model).ask(Question("a", "b", {}, room), read_whole)
    assert [question.max_output_tokens for question, _ in model.asked] == rooms


def test_a_model_that_says_nothing_gets_more_room(ledger: Ledger, clock: Clock) -> None:
    """A completion without text, e.g. of a model that thought until the end, is asked for again with more room."""
    model = Scripted(AnswerUnusable("no text"), GOOD)
    chain_of(ledger, clock, model).ask(QUESTION, read_text)
    assert [question.max_output_tokens for question, _ in model.asked] == [300, 1200]


def test_retry_after_is_honoured_exactly(ledger: Ledger, clock: Clock) -> None:
    """The wait that a server asks for is kept to, neither doubled nor varied."""
    model = Scripted(GOOD, ModelBusy("busy", 0.013), ModelBusy("busy", 0.0), GOOD)
    chain = chain_of(ledger, clock, model)
    chain.ask(QUESTION, read_text)
    waits: list[float] = []
    hooks = get_on_retry_hooks()

    def note(details: RetryDetails) -> None:
        waits.append(details.wait_for)

    set_on_retry_hooks([note])
    try:
        with stamina.set_testing(False):
            chain.ask(QUESTION, read_text)
    finally:
        set_on_retry_hooks(hooks)
    assert waits == [pytest.approx(0.013), 0.0]


@pytest.mark.parametrize("seconds", [61.0, 1e9, float("inf"), float("nan"), -1.0])
def test_a_long_rest_is_not_waited_for(ledger: Ledger, clock: Clock, seconds: float) -> None:
    """A server that asks for a longer rest than is sensible, or for nonsense, is given up for now."""
    first, second = Scripted(ModelBusy("busy", seconds)), Scripted(GOOD)
    assert chain_of(ledger, clock, first, second).ask(QUESTION, read_text).model == "test/2"
    assert first.calls == 1


def test_a_rest_beyond_the_time_left_is_not_waited_for(ledger: Ledger, clock: Clock) -> None:
    """A server that asks for more rest than there is time is given up at once."""
    first, second = Scripted(ModelBusy("busy", 20.0)), Scripted(GOOD)
    chain_of(ledger, clock, first, second, patience=Patience(total_seconds=15)).ask(QUESTION, read_text)
    assert first.calls == 1


def test_waits_grow_and_vary() -> None:
    """Waits double up to the longest, less up to half by chance."""
    patience = Patience(first_wait_seconds=1.0, longest_wait_seconds=5.0)
    for attempt, longest in enumerate((1.0, 2.0, 4.0, 5.0, 5.0), start=1):
        waits = {patience.wait_seconds(attempt) for _ in range(20)}
        assert len(waits) > 1
        assert all(longest / 2 <= wait <= longest for wait in waits)


def test_a_failing_model_is_left_alone(ledger: Ledger, clock: Clock) -> None:
    """After failed questions in a row a model is not asked, and the next one answers at once."""
    first, second = Scripted(ModelTimedOut("late")), Scripted(GOOD)
    chain = chain_of(ledger, clock, first, second)
    assert [chain.ask(QUESTION, read_text).model for _ in range(10)] == ["test/2"] * 10
    assert first.calls == 3
    assert ledger.usage.fallbacks[1] == Fallback("test/1", "it was left alone after 3 failures in a row", 7)


def test_a_model_left_alone_is_tried_again_later(ledger: Ledger, clock: Clock) -> None:
    """When the rest is over one question tries the model, once, and its answer ends the rest."""
    first = Scripted(*[ModelTimedOut("late")] * 3, ModelUnavailable("HTTP 500"), GOOD)
    chain = chain_of(ledger, clock, first, Scripted(GOOD))
    for _ in range(3):
        chain.ask(QUESTION, read_text)
    clock.now += 10
    assert chain.ask(QUESTION, read_text).model == "test/2"
    assert first.calls == 4
    clock.now += 10
    assert [chain.ask(QUESTION, read_text).model for _ in range(2)] == ["test/1", "test/1"]


def test_a_total_outage_costs_few_calls(ledger: Ledger, clock: Clock) -> None:
    """Of many concurrent questions to a dead server, only those in flight and a few more wait for it."""
    model = Scripted(ModelTimedOut("late"))
    chain = chain_of(ledger, clock, model)
    with ThreadPoolExecutor(4) as threads:
        said = list(threads.map(lambda _: unanswered(chain), range(40)))
    assert 3 <= model.calls <= 3 + 3
    assert sum(fallback.requests for fallback in ledger.usage.fallbacks) == len(said) == 40


def test_each_call_has_the_time_that_is_left(ledger: Ledger, clock: Clock) -> None:
    """A call may take its own timeout, or the rest of the time for all questions where that is shorter."""
    model = Scripted(GOOD)
    chain = chain_of(ledger, clock, model, patience=Patience(total_seconds=100))
    chain.ask(QUESTION, read_text)
    clock.now += 70
    chain.ask(QUESTION, read_text)
    assert [seconds for _, seconds in model.asked] == [60.0, 30.0]


def test_nothing_is_asked_when_the_time_is_over(ledger: Ledger, clock: Clock) -> None:
    """When the time for all questions is over every question fails at once, and says why."""
    model = Scripted(GOOD)
    chain = chain_of(ledger, clock, model, patience=Patience(total_seconds=100))
    chain.ask(QUESTION, read_text)
    clock.now += 100
    assert unanswered(chain) == (
        "no language model gave a usable answer: test/1: the 100 s for language models are over"
    )
    assert model.calls == 1


def test_the_time_begins_with_the_first_question(ledger: Ledger, clock: Clock) -> None:
    """A chain that waits before its first question loses no time."""
    chain = chain_of(ledger, clock, Scripted(GOOD), patience=Patience(total_seconds=100))
    clock.now += 1000
    assert chain.ask(QUESTION, read_text).value == "solar panels"


def test_retries_end_with_the_time(ledger: Ledger, clock: Clock) -> None:
    """A question is not repeated once the time for all questions is used up, and the model's own failure is told."""
    model = Patient(clock, 40.0, ModelUnavailable("HTTP 500"))
    chain = ModelChain([Link("test/1", lambda: model, FREE, 60.0)], ledger, Patience(10, 100.0), clock, clock.sleep)
    assert "test/1: HTTP 500" in unanswered(chain)
    assert model.calls == 3


def test_a_dear_model_gives_way_to_a_cheaper_one(clock: Clock) -> None:
    """Where one model would cost more than is left, a later one that fits is asked."""
    ledger = Ledger(Budget(usd=0.01))
    first, second = Scripted(GOOD), Scripted(GOOD)
    chain = chain_of(ledger, clock, first, second, prices=(Price(1e6, 1e6), Price(0.1, 0.1)))
    assert chain.ask(QUESTION, read_text).model == "test/2"
    assert first.calls == 0
    assert ledger.usage.fallbacks == (Fallback("test/1", "the budget is spent", 1),)


def test_a_spent_budget_is_told(clock: Clock) -> None:
    """Where every model that could be asked is too dear the budget is the reason, with what to raise."""
    chain = chain_of(Ledger(Budget(tokens=10)), clock, Scripted(GOOD), Scripted(GOOD))
    with pytest.raises(BudgetSpent, match="VIS_ASSETS_LLM_BUDGET_TOKENS"):
        chain.ask(QUESTION, read_text)


def test_a_spent_budget_is_the_reason_where_the_others_cannot_be_asked(clock: Clock) -> None:
    """A model that is left out for other reasons does not hide that the budget is spent."""
    ledger = Ledger(Budget(tokens=500))
    chain = chain_of(ledger, clock, Scripted(ModelRefused("key refused")), Scripted(Completion("x", 400, 50)))
    chain.ask(QUESTION, read_text)
    with pytest.raises(BudgetSpent):
        chain.ask(QUESTION, read_text)


def test_a_failure_is_the_reason_where_one_could_be_asked(clock: Clock) -> None:
    """Where one model was too dear and another failed nobody answered, and both reasons are told."""
    first, second = Scripted(GOOD), Scripted(ModelUnavailable("HTTP 502"))
    chain = chain_of(Ledger(Budget(usd=0.0)), clock, first, second, prices=(Price(1.0, 1.0), FREE))
    said = unanswered(chain)
    assert "test/1: the budget is spent" in said
    assert "test/2: HTTP 502" in said


def test_every_model_tells_why(ledger: Ledger, clock: Clock) -> None:
    """When no model answers the message holds each model's reason, and names no model twice."""
    chain = chain_of(
        ledger,
        clock,
        Scripted(ModelRefused("test/1 refused the key")),
        Scripted(ModelTimedOut("x")),
        prices=(None, None),
    )
    assert unanswered(chain) == (
        "no language model gave a usable answer: test/1 refused the key; test/2: it did not answer in time"
    )


def test_a_chain_of_no_models_says_so(ledger: Ledger, clock: Clock) -> None:
    """Without any model nobody answers, and the message says what to set."""
    assert "LLM_PROVIDER" in unanswered(chain_of(ledger, clock))


def test_a_bug_in_a_provider_is_a_failure_like_others(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """An unexpected error counts as an outage and is told by its class only, never by its text."""
    first, second = Scripted(RuntimeError("key sk-canary, a secret document")), Scripted(GOOD)
    chain = chain_of(ledger, clock, first, second)
    with caplog.at_level(logging.DEBUG):
        assert chain.ask(QUESTION, read_text).model == "test/2"
    assert first.calls == 3
    assert ledger.usage.fallbacks[0].reason == "its provider failed with RuntimeError"
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("error", "calls"), [(InvalidJob("unknown provider"), 1), (SourceUnavailable("no such host"), 3), (OSError("x"), 3)]
)
def test_a_model_that_cannot_be_opened_is_passed_over(
    ledger: Ledger, clock: Clock, error: Exception, calls: int
) -> None:
    """An error while a model is opened moves on to the next, and is tried again only where that may help."""
    tried: list[int] = []

    def open_model() -> Scripted:
        tried.append(1)
        raise error

    links = [Link("test/1", open_model, FREE, 60.0), Link("test/2", Scripted(GOOD).open, FREE, 60.0)]
    chain = ModelChain(links, ledger, Patience(), clock, clock.sleep)
    assert chain.ask(QUESTION, read_text).model == "test/2"
    assert len(tried) == calls


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_an_interrupt_goes_through(ledger: Ledger, clock: Clock, error: BaseException) -> None:
    """What ends the process is never swallowed, and the call is still booked."""
    with pytest.raises(type(error)):
        chain_of(ledger, clock, Scripted(error), Scripted(GOOD)).ask(QUESTION, read_text)
    assert ledger.usage.failed_calls == 1


def test_a_bug_in_reading_goes_through(ledger: Ledger, clock: Clock) -> None:
    """An error of the reader that is not about the answer is ours, and is not hidden by asking on."""

    def read(completion: Completion) -> str:
        raise ZeroDivisionError

    first, second = Scripted(GOOD), Scripted(GOOD)
    with pytest.raises(ZeroDivisionError):
        chain_of(ledger, clock, first, second).ask(QUESTION, read)
    assert (first.calls, second.calls) == (1, 0)


def test_a_model_is_opened_once(ledger: Ledger, clock: Clock) -> None:
    """Threads that ask at the same time share one model."""
    model = Scripted(GOOD)
    chain = chain_of(ledger, clock, model)
    with ThreadPoolExecutor(8) as threads:
        assert len(list(threads.map(lambda _: chain.ask(QUESTION, read_text), range(40)))) == 40
    assert (model.opened, model.calls) == (1, 40)


def test_leaving_closes_what_was_opened(ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """Models that were used are closed, others not, and one that cannot be closed ends nothing."""

    class Stuck(Scripted):
        def close(self) -> None:
            super().close()
            raise RuntimeError("a secret")

    first, second, third = Stuck(ModelRefused("no")), Scripted(GOOD), Scripted(GOOD)
    with chain_of(ledger, clock, first, second, third, prices=(FREE, FREE, FREE)) as chain:
        chain.ask(QUESTION, read_text)
    assert (first.closed, second.closed, third.closed) == (1, 1, 0)
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


def test_a_pace_is_kept(ledger: Ledger, clock: Clock) -> None:
    """Calls to a model are spaced by its requests per minute."""
    chain = chain_of(ledger, clock, Scripted(GOOD), requests_per_minute=20)
    for _ in range(3):
        chain.ask(QUESTION, read_text)
    assert clock.slept == [3.0, 3.0]


def test_a_pace_that_leaves_no_turn_moves_on(ledger: Ledger, clock: Clock) -> None:
    """Where the next turn lies beyond the time for all questions, the model is passed over without waiting."""
    chain = chain_of(ledger, clock, Scripted(GOOD), patience=Patience(total_seconds=30), requests_per_minute=1)
    chain.ask(QUESTION, read_text)
    assert "requests per minute" in unanswered(chain)
    assert clock.slept == []


def test_a_given_up_model_is_logged_once_a_request(
    ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """Each question that a model failed is one line of the log, those that it was not asked none."""
    chain = chain_of(ledger, clock, Scripted(ModelTimedOut("late")), Scripted(GOOD))
    for _ in range(10):
        chain.ask(QUESTION, read_text)
    assert [record.getMessage() for record in caplog.records] == ["no answer: test/1: it did not answer in time"] * 3


def test_a_closed_chain_asks_nobody(ledger: Ledger, clock: Clock) -> None:
    """A question after the end opens no model again."""
    model = Scripted(GOOD)
    with chain_of(ledger, clock, model) as chain:
        pass
    assert unanswered(chain) == "the chain is closed; open another one to ask more"
    assert model.opened == 0


def test_a_repetition_ends_where_others_found_the_server_dead(ledger: Ledger, clock: Clock) -> None:
    """A question that waits to be repeated is given up once the failures of others show that the server is gone."""
    others: list[str] = []

    class Failing(Scripted):
        def complete(self, question: Question, timeout_seconds: float) -> Completion:
            while len(others) < 3:
                others.append("begins")
                others[-1] = unanswered(chain)
            return super().complete(question, timeout_seconds)

    model = Failing(ModelUnavailable("HTTP 500"))
    chain = chain_of(ledger, clock, model, patience=Patience(attempts=5, longest_rest_seconds=0.0))
    unanswered(chain)
    assert model.calls == 3 * 5 + 1


def test_repetitions_print_nothing(ledger: Ledger, clock: Clock, capsys: pytest.CaptureFixture[str]) -> None:
    """A question that is repeated leaves the standard output and error to the command that runs."""
    chain_of(ledger, clock, Scripted(ModelUnavailable("HTTP 500"), GOOD)).ask(QUESTION, read_text)
    assert capsys.readouterr() == ("", "")


def test_one_question_at_a_time_tries_a_model_again(ledger: Ledger, clock: Clock) -> None:
    """While one question tries a model that was left alone, others pass it over, however many they are."""
    chain = chain_of(ledger, clock, Scripted(GOOD), Scripted(GOOD))
    models: list[str] = []

    class Failing(Scripted):
        def complete(self, question: Question, timeout_seconds: float) -> Completion:
            if self.calls == 3:
                self.outcomes = (GOOD,)
                models.extend(chain.ask(QUESTION, read_text).model for _ in range(5))
            return super().complete(question, timeout_seconds)

    chain = chain_of(ledger, clock, Failing(ModelTimedOut("late")), Scripted(GOOD))
    for _ in range(3):
        chain.ask(QUESTION, read_text)
    clock.now += 10
    assert chain.ask(QUESTION, read_text).model == "test/1"
    assert models == ["test/2"] * 5


def test_a_trial_that_a_bug_of_ours_ends_leaves_room_for_another(ledger: Ledger, clock: Clock) -> None:
    """A model whose trial ended by an error of the reader is tried by the next question."""

    def read(completion: Completion) -> str:
        raise ZeroDivisionError

    chain = chain_of(ledger, clock, Scripted(*[ModelTimedOut("late")] * 3, GOOD), Scripted(GOOD))
    for _ in range(3):
        chain.ask(QUESTION, read_text)
    clock.now += 10
    with pytest.raises(ZeroDivisionError):
        chain.ask(QUESTION, read)
    assert chain.ask(QUESTION, read_text).model == "test/1"


def test_the_question_of_a_timeout_is_booked(ledger: Ledger, clock: Clock) -> None:
    """A call that timed out costs its question, one that failed otherwise nothing."""
    chain = chain_of(ledger, clock, Scripted(ModelTimedOut("late")), Scripted(ModelUnavailable("HTTP 500")))
    unanswered(chain)
    assert ledger.usage.by_model["test/1"].input_tokens > 0
    assert ledger.usage.by_model["test/2"].input_tokens == 0


def test_the_failure_is_told_where_there_is_no_turn_for_another_attempt(ledger: Ledger, clock: Clock) -> None:
    """Where a failed model's pace leaves no second attempt, what it said is the reason, and not its pace."""
    patience = Patience(total_seconds=30)
    chain = chain_of(ledger, clock, Scripted(ModelUnavailable("HTTP 500")), patience=patience, requests_per_minute=1)
    assert "test/1: HTTP 500" in unanswered(chain)


def test_a_model_left_alone_is_not_waited_for(ledger: Ledger, clock: Clock) -> None:
    """Questions that pass a model over do not wait for its pace, and take no turn of it."""
    chain = chain_of(ledger, clock, Scripted(ModelTimedOut("late")), requests_per_minute=20)
    for _ in range(10):
        unanswered(chain)
    assert clock.slept == [3.0, 3.0]


class Down(Scripted):
    """A server that refuses connections for a while, then answers."""

    def __init__(self, clock: Callable[[], float], seconds: float) -> None:
        super().__init__(GOOD)
        self.up_at = clock() + seconds
        self._clock = clock

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        super().complete(question, timeout_seconds)
        if self._clock() < self.up_at:
            raise ModelUnavailable("refused")
        return GOOD


@pytest.mark.parametrize("questions", [1, 2, 3, 10])
def test_a_blip_costs_no_question(ledger: Ledger, clock: Clock, questions: int) -> None:
    """Questions to a server that is gone for a few seconds wait for it, however few they are."""
    chain = chain_of(ledger, clock, Down(clock, 4.0))
    assert [chain.ask(QUESTION, read_text).value for _ in range(questions)] == ["solar panels"] * questions
    assert sum(clock.slept) == pytest.approx(10.0)
    assert ledger.usage.fallbacks == ()


def test_questions_at_the_same_time_outlast_an_outage(ledger: Ledger) -> None:
    """Of many questions at the same time to a server that fails for a while, all are answered in the end."""
    patience = Patience(breaker_failures=1, breaker_seconds=0.05, longest_rest_seconds=20.0)
    model = Scripted(*[ModelUnavailable("HTTP 503")] * 15, GOOD)
    chain = ModelChain([Link("test/1", model.open, FREE, 60.0)], ledger, patience)
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: chain.ask(QUESTION, read_text), range(40)))
    assert [answer.value for answer in answers] == ["solar panels"] * 40
    assert (ledger.usage.calls, ledger.usage.fallbacks) == (55, ())


def test_an_outage_without_timeouts_ends_soon(ledger: Ledger, clock: Clock) -> None:
    """Questions to a server that stays away wait for half a minute, all together, and few of them are sent."""
    began, model = clock.now, Scripted(ModelUnavailable("refused"))
    chain = chain_of(ledger, clock, model)
    told = {unanswered(chain) for _ in range(40)}
    assert clock.now - began <= 30.0
    assert model.calls <= 12
    assert told == {
        "no language model gave a usable answer: test/1: refused",
        "no language model gave a usable answer: test/1: it was left alone after 3 failures in a row",
    }
    assert sum(fallback.requests for fallback in ledger.usage.fallbacks) == 40


def test_a_server_that_let_timeouts_pass_is_not_waited_for(ledger: Ledger, clock: Clock) -> None:
    """Questions to a model that was left alone after timeouts, or that asks for a long rest, do not wait."""
    for error in (ModelTimedOut("late"), ModelBusy("busy", 3600.0)):
        chain = chain_of(ledger, clock, Scripted(error))
        for _ in range(10):
            unanswered(chain)
    assert clock.slept == []


def test_only_a_chain_without_another_model_waits(ledger: Ledger, clock: Clock) -> None:
    """While one model is left alone another one that answers is asked, without a wait."""
    chain = chain_of(ledger, clock, Scripted(ModelUnavailable("refused")), Scripted(GOOD))
    assert [chain.ask(QUESTION, read_text).model for _ in range(10)] == ["test/2"] * 10
    assert clock.slept == []


def test_models_that_refused_do_not_keep_from_waiting(ledger: Ledger, clock: Clock) -> None:
    """A chain waits for its one model that may be back, and counts the others as passed over."""
    chain = chain_of(ledger, clock, Scripted(ModelRefused("key refused")), Down(clock, 4.0))
    assert chain.ask(QUESTION, read_text).model == "test/2"
    assert ledger.usage.fallbacks == (Fallback("test/1", "key refused", 1),)


def test_the_model_that_may_be_back_first_is_waited_for(ledger: Ledger, clock: Clock) -> None:
    """Where all models of a chain are away, the wait ends with the first that may be asked again."""
    chain = chain_of(ledger, clock, Down(clock, 1000.0), Down(clock, 4.0))
    assert chain.ask(QUESTION, read_text).model == "test/2"
    assert sum(clock.slept) == pytest.approx(10.0)


def test_an_answer_gives_the_next_outage_its_own_time(ledger: Ledger, clock: Clock) -> None:
    """A second outage after an answer is waited for as long as the first."""
    model = Down(clock, 15.0)
    chain = chain_of(ledger, clock, model, patience=Patience(breaker_failures=1, total_seconds=1000.0))
    for _ in range(3):
        assert chain.ask(QUESTION, read_text).value == "solar panels"
        model.up_at = clock.now + 15.0
    assert sum(clock.slept) == pytest.approx(60.0)


def test_nobody_waits_beyond_the_time_for_all_questions(ledger: Ledger, clock: Clock) -> None:
    """A wait that would end after the time for all questions is not begun."""
    chain = chain_of(ledger, clock, Down(clock, 4.0), patience=Patience(total_seconds=9.0))
    assert "refused" in unanswered(chain)
    assert clock.slept == []


def test_a_question_that_alone_fails_is_given_up(ledger: Ledger, clock: Clock) -> None:
    """A question at which a server fails, while it answers others, has a second turn without a wait, and no more."""
    other = Question("Name the clusters.", "fine", {}, 300)

    class Choosy(Scripted):
        def complete(self, question: Question, timeout_seconds: float) -> Completion:
            super().complete(question, timeout_seconds)
            if question == other:
                return GOOD
            chain.ask(other, read_text)
            raise ModelUnavailable("HTTP 500")

    chain = chain_of(ledger, clock, Choosy(GOOD))
    assert "HTTP 500" in unanswered(chain)
    assert (clock.slept, ledger.usage.failed_calls) == ([], 6)


def test_a_question_that_fails_twice_leaves_the_model_to_others(ledger: Ledger, clock: Clock) -> None:
    """A lone question that a server fails at has a second turn, and the next question is asked as ever."""
    model = Scripted(*[ModelUnavailable("HTTP 500")] * 6, GOOD)
    chain = chain_of(ledger, clock, model)
    unanswered(chain)
    assert sum(clock.slept) == pytest.approx(10.0)
    assert chain.ask(QUESTION, read_text).value == "solar panels"


def test_who_waits_is_told_that_the_chain_is_closed(ledger: Ledger, clock: Clock) -> None:
    """A question that waits for a model when the chain is closed ends there and then."""

    def leave(_: float) -> None:
        clock.slept.append(0.0)
        chain.__exit__(None, None, None)

    chain = ModelChain([Link("test/1", Scripted(ModelUnavailable("refused")).open, FREE, 60.0)], ledger, sleep=leave)
    assert unanswered(chain) == "the chain is closed; open another one to ask more"
    assert len(clock.slept) == 1


def test_a_question_in_flight_is_not_repeated_after_the_end(ledger: Ledger, clock: Clock) -> None:
    """A model that fails while the chain is closed is not asked again."""

    class Leaving(Scripted):
        def complete(self, question: Question, timeout_seconds: float) -> Completion:
            chain.__exit__(None, None, None)
            return super().complete(question, timeout_seconds)

    model = Leaving(ModelUnavailable("HTTP 500"))
    chain = chain_of(ledger, clock, model)
    assert "the chain is closed" in unanswered(chain)
    assert model.calls == 1


def test_requests_that_were_refused_count_and_take_turns(ledger: Ledger, clock: Clock) -> None:
    """A call that took several requests is booked as so many, and the next one waits as if each had its turn."""
    model = Scripted(replace(GOOD, requests=3), GOOD)
    chain = chain_of(ledger, clock, model, requests_per_minute=20)
    for _ in range(2):
        chain.ask(QUESTION, read_text)
    assert (ledger.usage.calls, ledger.usage.failed_calls) == (4, 2)
    assert clock.slept == [9.0]


def test_the_requests_of_a_failed_call_are_booked(ledger: Ledger, clock: Clock) -> None:
    """A call that failed after several requests is booked as so many."""
    error = ModelRefused("no")
    note_requests(error, 4)
    unanswered(chain_of(ledger, clock, Scripted(error)))
    assert (ledger.usage.calls, ledger.usage.failed_calls) == (4, 4)


def test_a_name_is_one_line_everywhere(ledger: Ledger, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    """A model's name brings no line break, control character or endless text into logs, messages and accounts."""
    name = ModelAccess("openai", "m\n2026 ERROR all is lost\x1b[2J\u202e" + "x" * 1000).name
    links = [
        Link(name, Scripted(RuntimeError("x")).open, FREE, 9.0),
        Link("a\nb" * 400, Scripted(GOOD).open, FREE, 9.0),
    ]
    chain = ModelChain(links, ledger, Patience(), clock, clock.sleep)
    chain.ask(QUESTION, read_text)
    told = [*chain.names, *ledger.usage.by_model, *(fallback.model for fallback in ledger.usage.fallbacks)]
    assert all(one.isprintable() and len(one) <= 200 for one in told)
    assert told[0].startswith("openai/m 2026 ERROR all is lost [2J xxx")
    assert all(record.getMessage().isprintable() for record in caplog.records)


@pytest.mark.parametrize("error", [MemoryError(), RecursionError(), Exception(), LookupError("secret")])
def test_no_error_of_a_provider_leaves_a_chain(ledger: Ledger, clock: Clock, error: Exception) -> None:
    """Whatever a model raises, asked or opened, the next one is asked."""

    def fail() -> Scripted:
        raise error

    links = [Link("a", fail, FREE, 9.0), Link("b", Scripted(error).open, FREE, 9.0)]
    links.append(Link("c", Scripted(GOOD).open, FREE, 9.0))
    assert ModelChain(links, ledger, Patience(), clock, clock.sleep).ask(QUESTION, read_text).model == "c"
