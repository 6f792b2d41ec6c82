"""What only servers that speak like OpenAI do."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from vis_assets.errors import AnswerUnusable, ModelRefused, VisAssetsError
from vis_assets.llm import Completion, Model, ModelAccess, open_model
from vis_assets.operations.embedded_llm import EmbeddedLlm, QuotaExhausted, RejectsParameter
from vis_assets_tests.llm.wire import KEY, NAMED, QUESTION, SCHEMA, Script, access_to, always, say

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture
def llm() -> Iterator[EmbeddedLlm]:
    with EmbeddedLlm() as server:
        yield server


@pytest.fixture
def model(llm: EmbeddedLlm) -> Iterator[Model]:
    opened = open_model(access_to("openai", llm))
    yield opened
    opened.close()


def answer_to(answer: bytes, provider: str = "vllm") -> Completion | VisAssetsError:
    with Script(always(answer)) as server:
        model = open_model(ModelAccess(provider, "m", KEY, server.url))
        try:
            return model.complete(QUESTION, 5)
        except VisAssetsError as error:
            return error
        finally:
            model.close()


def completion(message: dict[str, Any], finish_reason: str = "stop") -> bytes:
    body = {"choices": [{"message": message, "finish_reason": finish_reason}]}
    return say(json.dumps(body).encode())


def test_the_answer_s_schema_is_demanded(model: Model, llm: EmbeddedLlm):
    """The server is asked for JSON by the question's own schema, strictly, and tells how many tokens it took."""
    answer = model.complete(QUESTION, 10)
    assert json.loads(answer.text) == {"names": [{"id": "c0", "name": NAMED}]}
    assert answer.input_tokens is not None
    assert answer.input_tokens > 0
    assert answer.output_tokens is not None
    assert llm.requests[-1].path == "/v1/chat/completions"
    assert llm.requests[-1].body["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "strict": True, "schema": SCHEMA},
    }


@pytest.mark.parametrize(
    ("provider", "limit"),
    [("openai", "max_completion_tokens"), ("groq", "max_tokens"), ("gemini", "max_tokens"), ("vllm", "max_tokens")],
)
def test_the_longest_answer_is_said_in_the_server_s_words(provider: str, limit: str, llm: EmbeddedLlm):
    """OpenAI's own models refuse max_tokens; most others know nothing else."""
    model = open_model(access_to(provider, llm))
    model.complete(QUESTION, 10)
    model.close()
    body = llm.requests[-1].body
    assert {name: body[name] for name in body if "max" in name} == {limit: QUESTION.max_output_tokens}


@pytest.mark.parametrize(
    ("parameter", "then"),
    [
        ("temperature", {"temperature": None, "max_completion_tokens": 300}),
        ("max_completion_tokens", {"max_completion_tokens": None, "max_tokens": 300}),
        ("response_format", {"response_format": None, "max_completion_tokens": 300}),
    ],
)
def test_a_parameter_that_is_refused_is_left_out_and_stays_so(
    model: Model, llm: EmbeddedLlm, parameter: str, then: dict[str, Any]
):
    """A model is asked again without what it does not take, and the next question does without from the start."""
    llm.fail_always(RejectsParameter(parameter))
    assert NAMED in model.complete(QUESTION, 10).text
    asked = len(llm.requests)
    assert NAMED in model.complete(QUESTION, 10).text
    assert len(llm.requests) == asked + 1
    assert {name: llm.requests[-1].body.get(name) for name in then} == then


def test_json_is_asked_for_without_a_schema_where_there_is_no_schema(model: Model, llm: EmbeddedLlm):
    """A refused schema leaves the demand for any JSON object."""
    llm.fail_next(RejectsParameter("response_format"))
    model.complete(QUESTION, 10)
    assert llm.requests[-1].body["response_format"] == {"type": "json_object"}


def test_a_reasoning_model_that_refuses_all_three_is_understood(llm: EmbeddedLlm):
    """Temperature, format and limit may all be refused, one after the other, within one call."""
    model = open_model(access_to("vllm", llm))
    llm.fail_next(
        RejectsParameter("max_tokens"),
        RejectsParameter("temperature"),
        RejectsParameter("response_format"),
        RejectsParameter("response_format"),
    )
    assert NAMED in model.complete(QUESTION, 10).text
    assert set(llm.requests[-1].body) == {"model", "messages", "max_completion_tokens"}
    model.close()


@pytest.mark.parametrize(
    ("refusals", "effort"),
    [
        ([], "none"),
        (["Budget 0 is invalid. This model only works in thinking mode."], "low"),
        (["thinking", "Invalid value for reasoning_effort"], None),
    ],
)
def test_gemini_is_told_not_to_think(refusals: list[str], effort: str | None):
    """Thoughts are billed and use up the answer's length; a model that cannot but think is asked to think little."""
    answers = [say(json.dumps([{"error": {"message": text}}]).encode(), status="400 Bad") for text in refusals]
    given = iter([*answers, completion({"content": "fine"})])
    with Script(lambda stream, _: stream.sendall(next(given))) as server:
        model = open_model(ModelAccess("gemini", "m", KEY, server.url))
        assert model.complete(QUESTION, 5).text == "fine"
        model.close()
        assert json.loads(server.bodies[-1]).get("reasoning_effort") == effort


def test_nobody_else_is_told_how_much_to_think(model: Model, llm: EmbeddedLlm):
    """Most servers refuse a parameter that they do not know."""
    model.complete(QUESTION, 10)
    assert "reasoning_effort" not in llm.requests[-1].body


def test_threads_learn_together(model: Model, llm: EmbeddedLlm):
    """Several threads that are refused at once lose neither an answer nor what another one learned."""
    llm.fail_always(RejectsParameter("temperature"))
    gate = threading.Barrier(6)

    def ask(_: int) -> str:
        gate.wait()
        return model.complete(QUESTION, 10).text

    with ThreadPoolExecutor(6) as pool:
        assert all(NAMED in text for text in pool.map(ask, range(6)))
    asked = len(llm.requests)
    model.complete(QUESTION, 10)
    assert len(llm.requests) == asked + 1
    assert llm.requests[-1].body["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    "error",
    [
        {"message": "Unsupported value: 'temperature' does not support 0 with this model."},
        {"message": "Sorry", "param": "temperature"},
        {"message": "Only temperature 1 is allowed. You sent: response_format, max_tokens"},
    ],
)
@pytest.mark.parametrize("wrap", [lambda error: {"error": error}, lambda error: [{"error": error}], lambda e: e])
def test_a_refusal_is_understood_in_any_wrapping(error: dict[str, str], wrap):
    """Servers name the parameter in a field or in words, in `error`, in a list, or bare."""
    bodies: list[dict[str, Any]] = []
    good = completion({"content": "fine"})

    def speak(stream, _):
        bodies.append({})
        refused = say(json.dumps(wrap(error)).encode(), status="400 Bad")
        stream.sendall(refused if len(bodies) == 1 else good)

    with Script(speak) as server:
        model = open_model(ModelAccess("vllm", "m", KEY, server.url))
        assert model.complete(QUESTION, 5).text == "fine"
        model.close()


@pytest.mark.parametrize("body", [b'{"error": {"param": "messages", "code": "context_length_exceeded"}}', b"no", b""])
def test_any_other_refusal_is_final(body: bytes):
    """A refusal that is about none of what can be left out is told with its code."""
    failure = answer_to(say(body, status="400 Bad"))
    assert isinstance(failure, ModelRefused)
    assert ("context_length_exceeded" in str(failure)) == (b"context" in body)


def test_a_server_that_refuses_everything_is_asked_a_few_times_only():
    """However often a hostile server names another parameter, the questions end."""
    with Script(always(say(b'{"error": "temperature max_tokens response_format"}', status="400 Bad"))) as server:
        model = open_model(ModelAccess("vllm", "m", KEY, server.url))
        with pytest.raises(ModelRefused):
            model.complete(QUESTION, 5)
        model.close()
        assert len(server.heads) <= 5


def test_a_quota_that_is_used_up_is_no_case_for_waiting(model: Model, llm: EmbeddedLlm):
    """A 429 that no waiting helps is a refusal, and says what does."""
    llm.fail_next(QuotaExhausted())
    with pytest.raises(ModelRefused, match="quota is used up"):
        model.complete(QUESTION, 10)


def test_an_answer_that_missed_the_format_may_be_asked_for_again():
    """Groq refuses its own model's answer with HTTP 400: that is the answer's fault, not the question's."""
    body = b'{"error": {"code": "json_validate_failed", "failed_generation": "secret", "message": "response_format"}}'
    failure = answer_to(say(body, status="400 Bad"))
    assert isinstance(failure, AnswerUnusable)
    assert "secret" not in str(failure)


def test_a_model_that_declines_is_unusable():
    """A refusal in the message is no name."""
    failure = answer_to(completion({"content": None, "refusal": "I cannot"}))
    assert isinstance(failure, AnswerUnusable)
    assert "declined" in str(failure)


def test_an_answer_that_is_all_thought_says_so():
    """A reasoning model that reaches its limit before its answer has said nothing."""
    failure = answer_to(completion({"content": ""}, "length"))
    assert isinstance(failure, AnswerUnusable)
    assert "longest" in str(failure)


def test_an_answer_in_parts_is_joined():
    """Some servers answer in parts, of which those that think aloud hold no text."""
    parts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    assert getattr(answer_to(completion({"content": parts})), "text", None) == "ab"
