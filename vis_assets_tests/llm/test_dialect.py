"""What a model's refusals teach."""

import pytest

from vis_assets.errors import ModelRefused
from vis_assets.llm import Completion
from vis_assets.llm.dialect import Dialect, LearnedDialect, Refusal

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

    assert learned.complete(ask, 1) is ANSWER
    assert tried[-1] == ("json_object",)


def test_all_questions_share_the_time():
    """Whoever asks again has what is left of the first question's time."""
    left: list[float] = []

    def ask(dialect: Dialect, seconds: float) -> Completion | Refusal:
        left.append(seconds)
        return REFUSED if dialect.formats else ANSWER

    LearnedDialect(Dialect()).complete(ask, 5)
    assert 5 >= left[0] >= left[1] >= left[2]
