"""What a model's refusals teach."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from vis_assets.errors import ModelRefused, ModelUnavailable
from vis_assets.llm import Completion
from vis_assets.llm.dialect import Dialect, LearnedDialect, Refusal
from vis_assets.llm.model import requests_behind

ALL = Dialect(limits=("max_tokens", "max_completion_tokens"), efforts=("none",))
REFUSED = Refusal(ModelRefused("no"), {"message": "response_format"})
ANSWER = Completion("fine", None, None)


@pytest.mark.parametrize(
    ("body", "about"),
    [
        ({"error": {"param": "response_format.json_schema", "message": "temperature"}}, "formats"),
        ({"error": {"param": None, "message": "'temperature' must be 1; you sent response_format"}}, "has_temperature"),
        ({"message": "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead."}, "limits"),
        ({"detail": "Guided decoding is off"}, "formats"),
        ([{"error": {"message": "Thinking budget 0 is invalid; temperature is 0"}}], "efforts"),
        ({"error": "This model does not support JSON mode"}, "formats"),
        ({"error": {"param": "messages", "message": "temperature"}}, None),
        ({"message": ["temperature"]}, None),
        ({"message": "my_max_tokens_too"}, None),
        ("temperature", None),
        (None, None),
    ],
)
def test_the_first_parameter_that_is_named_is_meant(body: object, about: str | None):
    """A field decides; without one the first mention in words, since servers may quote the whole request after it."""
    assert ALL.refused(body) == about


def test_what_was_not_sent_is_not_meant():
    """A refusal of something that is not sent any more ends the questions."""
    assert (
        Dialect((), ("max_tokens",), (), has_temperature=False).refused({"message": "temperature max_tokens"}) is None
    )


def test_the_same_lesson_counts_once():
    """Of two questions that are refused at the same time, the second does not give up the next best, too."""
    learned = LearnedDialect(Dialect())
    tried: list[tuple[str, ...]] = []

    def ask(dialect: Dialect, _: float) -> Completion | Refusal:
        tried.append(dialect.formats)
        if len(tried) == 1:
            # Another thread's question meanwhile, from the refusal to the answer.
            learned.complete(ask, 1)
            return REFUSED
        return REFUSED if dialect.formats == ("json_schema", "json_object") else ANSWER

    assert learned.complete(ask, 1).text == "fine"
    assert tried[-1] == ("json_object",)


def test_all_questions_share_the_time():
    """Whoever asks again has what is left of the first question's time."""
    left: list[float] = []

    def ask(dialect: Dialect, seconds: float) -> Completion | Refusal:
        left.append(seconds)
        return REFUSED if dialect.formats else ANSWER

    LearnedDialect(Dialect()).complete(ask, 5)
    assert 5 >= left[0] >= left[1] >= left[2]


def refuse_all(dialect: Dialect, _: float) -> Completion | Refusal:
    """A server that takes none of the parameters, and names one at a time."""
    if dialect.formats:
        return REFUSED
    if dialect.efforts:
        return Refusal(ModelRefused("no"), {"message": "reasoning"})
    return Refusal(ModelRefused("no"), {"message": "temperature"}) if dialect.has_temperature else ANSWER


def test_refused_requests_are_counted():
    """A completion tells how many requests it took, and the next one profits from what was learned."""
    learned = LearnedDialect(ALL)
    assert [learned.complete(refuse_all, 5).requests for _ in range(2)] == [5, 1]


@pytest.mark.parametrize("last", [Refusal(ModelRefused("no"), {}), ModelUnavailable("no")])
def test_the_requests_of_a_failure_are_counted(last: Refusal | Exception):
    """The error of a call that failed in the end tells how many requests it took."""

    def ask(dialect: Dialect, _: float) -> Completion | Refusal:
        if dialect.formats:
            return REFUSED
        if isinstance(last, Exception):
            raise last
        return last

    with pytest.raises((ModelRefused, ModelUnavailable)) as caught:
        LearnedDialect(Dialect()).complete(ask, 5)
    assert requests_behind(caught.value) == 3


def test_a_call_without_time_counts_no_request():
    """Where there is no time left nothing is sent, and nothing counted."""

    def ask(dialect: Dialect, seconds: float) -> Completion | Refusal:
        assert seconds <= 0
        raise ModelUnavailable("late")

    with pytest.raises(ModelUnavailable) as caught:
        LearnedDialect(Dialect()).complete(ask, 0)
    assert requests_behind(caught.value) == 0


def test_threads_share_their_lessons():
    """Of four questions at the same time each is refused once, and together they learn the rest but once."""
    learned, together = LearnedDialect(ALL), threading.Barrier(4)

    def ask(dialect: Dialect, seconds: float) -> Completion | Refusal:
        if dialect == ALL:
            together.wait(5)
        return refuse_all(dialect, seconds)

    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda _: learned.complete(ask, 5), range(4)))
    assert sum(answer.requests for answer in answers) == 4 + 3 + 4
