"""What only Cohere does."""

import json
import logging
from collections.abc import Iterator

import pytest

from vis_assets.errors import ModelRefused
from vis_assets.llm import Model, ModelAccess, open_model
from vis_assets.operations.embedded_llm import EmbeddedLlm, RejectsParameter
from vis_assets_tests.llm.wire import KEY, NAMED, QUESTION, SCHEMA, Script, access_to, always, say

pytestmark = [pytest.mark.enable_socket]


@pytest.fixture
def llm() -> Iterator[EmbeddedLlm]:
    with EmbeddedLlm() as server:
        yield server


@pytest.fixture
def model(llm: EmbeddedLlm) -> Iterator[Model]:
    opened = open_model(access_to("cohere", llm))
    yield opened
    opened.close()


def test_the_answer_s_schema_is_demanded(model: Model, llm: EmbeddedLlm, caplog: pytest.LogCaptureFixture):
    """The second version of the chat is asked for JSON by the question's schema, and nothing warns of experiments."""
    with caplog.at_level(logging.WARNING):
        answer = model.complete(QUESTION, 10)
    assert json.loads(answer.text) == {"names": [{"id": "c0", "name": NAMED}]}
    assert llm.requests[-1].path == "/v2/chat"
    assert llm.requests[-1].body["response_format"] == {"type": "json_object", "json_schema": SCHEMA}
    assert llm.requests[-1].body["stream"] is False
    assert caplog.records == []


@pytest.mark.parametrize("parameter", ["response_format", "temperature"])
def test_a_parameter_that_is_refused_is_left_out_and_stays_so(model: Model, llm: EmbeddedLlm, parameter: str):
    """Cohere names what it refuses in words alone, and the other parameters, which it may quote, stay."""
    llm.fail_always(RejectsParameter(parameter))
    assert NAMED in model.complete(QUESTION, 10).text
    asked = len(llm.requests)
    model.complete(QUESTION, 10)
    assert len(llm.requests) == asked + 1
    kept = {"response_format", "temperature", "max_tokens"} - {parameter}
    assert kept <= set(llm.requests[-1].body)
    assert parameter not in llm.requests[-1].body


@pytest.mark.parametrize(
    ("usage", "counted"),
    [
        ({"billed_units": {"input_tokens": 3.0, "output_tokens": 2.0}, "tokens": {"input_tokens": 90}}, (3, 2)),
        ({"tokens": {"input_tokens": 90, "output_tokens": 7}}, (90, 7)),
        ({}, (None, None)),
        (None, (None, None)),
    ],
)
def test_what_is_billed_is_counted(usage: object, counted: tuple[int | None, int | None]):
    """Billed tokens are what costs; without them all tokens count, without those nothing is known."""
    message = {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "x"}]}
    body = {"id": "1", "finish_reason": "COMPLETE", "message": message, "usage": usage}
    with Script(always(say(json.dumps(body).encode()))) as server:
        model = open_model(ModelAccess("cohere", "m", KEY, server.url))
        answer = model.complete(QUESTION, 5)
        model.close()
    assert (answer.text, answer.input_tokens, answer.output_tokens) == ("x", *counted)


@pytest.mark.parametrize(("status", "said"), [(402, "quota"), (498, "API key")])
def test_its_own_statuses_are_known(status: int, said: str):
    """Cohere has a status for a token that it does not take, and one for an empty purse."""
    with Script(always(say(b'{"message": "x"}', status=f"{status} No"))) as server:
        model = open_model(ModelAccess("cohere", "m", KEY, server.url))
        with pytest.raises(ModelRefused, match=said):
            model.complete(QUESTION, 5)
        model.close()
