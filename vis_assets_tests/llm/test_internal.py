"""What only Semantic Explorer's own service does."""

import pytest

from vis_assets.llm import open_model
from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets_tests.llm.wire import KEY, NAMED, QUESTION, access_to

pytestmark = [pytest.mark.enable_socket]


@pytest.mark.parametrize("slash", ["", "/"])
def test_the_request_is_the_four_fields_of_its_contract(slash: str):
    """A prompt of instructions and content goes to /api/generate, and a text comes back, of no counted tokens."""
    with EmbeddedLlm() as llm:
        access = access_to("internal", llm)
        model = open_model(type(access)("internal", "some-model", KEY, f"{llm.url}{slash}", temperature=0.3))
        answer = model.complete(QUESTION, 10)
        model.close()
        received = llm.requests[-1]
    assert NAMED in answer.text
    assert (answer.input_tokens, answer.output_tokens) == (None, None)
    assert received.path == "/api/generate"
    assert received.body == {
        "model": "some-model",
        "prompt": f"{QUESTION.instructions}\n\n{QUESTION.content}",
        "max_tokens": 300,
        "temperature": 0.3,
    }


@pytest.mark.parametrize(("api_key", "sent"), [(KEY, f"Bearer {KEY}"), (None, None)])
def test_a_key_is_sent_where_there_is_one(api_key: str | None, sent: str | None):
    """The service may stand behind something that wants a bearer token."""
    with EmbeddedLlm() as llm:
        model = open_model(access_to("internal", llm, api_key))
        model.complete(QUESTION, 10)
        model.close()
        assert llm.requests[-1].headers.get("authorization") == sent
