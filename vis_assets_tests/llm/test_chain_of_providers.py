"""The chain over real providers and their clients, against the double."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
import stamina

from vis_assets.errors import AnswerUnusable, NoModelAnswered
from vis_assets.llm import Completion, open_model
from vis_assets.llm.chain import Link, ModelChain, Patience
from vis_assets.llm.ledger import Fallback, Ledger
from vis_assets.llm.prices import FREE, Price
from vis_assets.operations.embedded_llm import Cut, EmbeddedLlm, QuotaExhausted, RateLimited, Refused, ServerError, Slow
from vis_assets_tests.llm.wire import NAMED, QUESTION, access_to

pytestmark = [pytest.mark.enable_socket]

TIMEOUT_SECONDS = 0.3


@pytest.fixture(autouse=True)
def _no_waiting() -> Iterator[None]:
    with stamina.set_testing(True, attempts=100, cap=True):
        yield


def link_to(provider: str, llm: EmbeddedLlm, price: Price | None = FREE, timeout_seconds: float = 20.0) -> Link:
    access = access_to(provider, llm)
    return Link(access.name, partial(open_model, access), price, timeout_seconds)


def read_name(completion: Completion) -> str:
    text = completion.text
    try:
        return str(json.loads(text[text.index("{") : text.rindex("}") + 1])["names"][0]["name"])
    except (ValueError, LookupError):
        raise AnswerUnusable("no names") from None


def test_a_chain_falls_back_to_another_provider() -> None:
    """A provider that refuses or fails is replaced by the next one, of another kind, which gives the name."""
    ledger = Ledger()
    with EmbeddedLlm(every=Refused(401)) as refusing, EmbeddedLlm(every=ServerError(502)) as failing:
        with EmbeddedLlm() as llm:
            links = [link_to("openai", refusing), link_to("cohere", failing), link_to("internal", llm)]
            with ModelChain(links, ledger) as chain:
                answers = [chain.ask(QUESTION, read_name) for _ in range(2)]
        asked = [len(server.requests) for server in (refusing, failing, llm)]
    assert [(answer.value, answer.model) for answer in answers] == [(NAMED, "internal/some-model")] * 2
    assert asked == [1, 6, 2]
    assert [(fallback.model, fallback.requests) for fallback in ledger.usage.fallbacks] == [
        ("openai/some-model", 2),
        ("cohere/some-model", 2),
    ]


def test_a_busy_server_is_asked_again_and_its_tokens_are_booked() -> None:
    """After a 429 and a 500 the same server answers, and the tokens that it counted are priced."""
    ledger = Ledger()
    with (
        EmbeddedLlm(faults=[RateLimited(0.01), ServerError(500)]) as llm,
        ModelChain([link_to("openai", llm, Price(1.0, 1.0))], ledger) as chain,
    ):
        assert chain.ask(QUESTION, read_name).value == NAMED
    usage = ledger.usage
    assert (usage.calls, usage.failed_calls, usage.estimated_tokens) == (3, 2, False)
    assert usage.cost_usd == pytest.approx((usage.input_tokens + usage.output_tokens) / 1e6)


@pytest.mark.parametrize("provider", ["openai", "cohere"])
def test_an_answer_that_was_cut_is_asked_for_with_more_room(provider: str) -> None:
    """Half an answer is asked for again with more room, through the provider's own parameter."""
    with EmbeddedLlm(faults=[Cut()]) as llm:
        with ModelChain([link_to(provider, llm)], Ledger()) as chain:
            assert chain.ask(QUESTION, read_name).value == NAMED
        rooms = [body.get("max_tokens") or body.get("max_completion_tokens") for body in (r.body for r in llm.requests)]
    assert rooms == [QUESTION.max_output_tokens, 4 * QUESTION.max_output_tokens]


def test_a_total_outage_waits_for_few_calls() -> None:
    """Of 40 questions to a server that never answers, four at a time, only those of the first round wait for it."""
    ledger = Ledger()
    with EmbeddedLlm(every=Slow(60)) as llm:
        link = link_to("openai", llm, timeout_seconds=TIMEOUT_SECONDS)
        with ModelChain([link], ledger, Patience(breaker_failures=3)) as chain, ThreadPoolExecutor(4) as threads:

            def fails(_: int) -> bool:
                with pytest.raises(NoModelAnswered):
                    chain.ask(QUESTION, read_name)
                return True

            assert all(threads.map(fails, range(40)))
        assert 3 <= len(llm.requests) <= 3 + 3
    late, left_alone = ledger.usage.fallbacks
    assert late == Fallback("openai/some-model", "it did not answer in time", len(llm.requests))
    assert left_alone.requests == 40 - len(llm.requests)


def test_neither_key_nor_document_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Though the server echoes the key and the question, neither log nor message nor account holds them."""
    ledger = Ledger()
    caplog.set_level("DEBUG", logger="vis_assets")
    with (
        EmbeddedLlm(every=QuotaExhausted()) as llm,
        ModelChain([link_to("openai", llm)], ledger) as chain,
        pytest.raises(NoModelAnswered) as caught,
    ):
        chain.ask(QUESTION, read_name)
    told = caplog.text + str(caught.value) + json.dumps(ledger.usage.as_json())
    assert "insufficient_quota" in told
    assert "canary" not in told
    assert "private" not in told
