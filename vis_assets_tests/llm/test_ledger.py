"""What a job's account counts, and when it turns a call down."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from vis_assets.errors import BudgetSpent
from vis_assets.llm.ledger import MOST_REASONS, OTHER_REASONS, Budget, Fallback, Ledger, ModelUsage
from vis_assets.llm.model import Completion
from vis_assets.llm.prices import FREE, Price

DOLLAR = Price(1_000_000.0, 1_000_000.0)
"""A dollar a token."""


def book(ledger: Ledger, completion: Completion | None, price: Price | None = DOLLAR, model: str = "a/b") -> None:
    ledger.settle(ledger.reserve(price, 10, 20), model, completion)


def test_a_fresh_account_is_empty() -> None:
    """A job that asked nothing used nothing, and costs nothing."""
    usage = Ledger().usage
    assert (usage.calls, usage.cost_usd, usage.by_model, usage.fallbacks) == (0, 0.0, {}, ())


def test_tokens_are_those_the_server_counted() -> None:
    """Where a server says how many tokens there were, these are booked and priced."""
    ledger = Ledger()
    book(ledger, Completion("hello", 7, 3))
    assert ledger.usage.by_model == {"a/b": ModelUsage(1, 0, 7, 3, 10.0, estimated_tokens=False)}


def test_tokens_are_estimated_where_the_server_is_silent() -> None:
    """Where a server says nothing, the estimate of the question and of the answer's text counts, and usage says so."""
    ledger = Ledger()
    book(ledger, Completion("one two three", None, None))
    assert ledger.usage.by_model == {"a/b": ModelUsage(1, 0, 10, 3, 13.0, estimated_tokens=True)}


def test_counts_below_zero_give_nothing_back() -> None:
    """A server that counts less than nothing cannot refill a budget."""
    ledger = Ledger(Budget(tokens=40))
    book(ledger, Completion("x", -1000, -1000))
    assert (ledger.usage.input_tokens, ledger.usage.output_tokens) == (10, 1)


@pytest.mark.parametrize(("told", "booked"), [((0, 0), (200, 30)), ((19, 2), (200, 30)), ((20, 3), (20, 3))])
def test_absurdly_few_tokens_are_not_believed(told: tuple[int, int], booked: tuple[int, int]) -> None:
    """Where a server counts less than a tenth of our estimate the estimate counts, and usage says so."""
    ledger = Ledger()
    ledger.settle(ledger.reserve(DOLLAR, 200, 300), "a/b", Completion("word " * 30, *told))
    assert ledger.usage.by_model == {"a/b": ModelUsage(1, 0, *booked, float(sum(booked)), told != booked)}


def test_a_server_that_counts_nothing_cannot_pass_the_budget() -> None:
    """The budget ends the questions to a server that says that they cost nothing."""
    ledger = Ledger(Budget(tokens=100))
    for _ in range(5):
        book(ledger, Completion("word " * 5, 0, 0))
    with pytest.raises(BudgetSpent):
        book(ledger, Completion("word " * 5, 0, 0))


def test_every_request_counts_as_a_call() -> None:
    """Requests that were refused before the one that was answered, or before the call failed, are failed calls."""
    ledger = Ledger()
    book(ledger, Completion("x", 7, 3, requests=4))
    ledger.settle(ledger.reserve(DOLLAR, 10, 20), "a/b", None, failed_requests=2)
    assert ledger.usage.by_model == {"a/b": ModelUsage(6, 5, 7, 3, 10.0)}


def test_a_failed_call_counts_and_costs_nothing() -> None:
    """A call that a server refused or that never reached it is a failed call without tokens."""
    ledger = Ledger()
    book(ledger, None)
    assert ledger.usage.by_model == {"a/b": ModelUsage(1, 1, 0, 0, 0.0)}


def test_the_question_of_a_call_that_timed_out_counts() -> None:
    """A call that may have been worked on costs its question, by estimate."""
    ledger = Ledger()
    ledger.settle(ledger.reserve(DOLLAR, 10, 20), "a/b", None, may_be_billed=True)
    assert ledger.usage.by_model == {"a/b": ModelUsage(1, 1, 10, 0, 10.0, estimated_tokens=True)}


def test_models_are_counted_apart_and_together() -> None:
    """Usage holds each model's numbers and their sum."""
    ledger = Ledger()
    book(ledger, Completion("x", 1, 2), model="a/b")
    book(ledger, Completion("x", 3, 4), model="c/d")
    book(ledger, None, model="c/d")
    usage = ledger.usage
    assert (usage.calls, usage.failed_calls, usage.input_tokens, usage.output_tokens) == (3, 1, 4, 6)
    assert usage.by_model["c/d"].calls == 2
    assert usage.cost_usd == 10.0


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    """The cost of models without a price is unknown, and so is the sum; the result says what to do."""
    ledger = Ledger(Budget(usd=0.0))
    book(ledger, Completion("x", 1, 2), price=None)
    told = ledger.usage.as_json()
    assert ledger.usage.cost_usd is None
    assert told["cost_usd"] is None
    assert "a/b" in told["note"]
    assert "VIS_ASSETS_LLM_PRICES" in told["note"]


def test_a_model_of_unknown_price_that_answered_nothing_leaves_the_cost_known() -> None:
    """Calls that used no tokens cost nothing, whatever the price."""
    ledger = Ledger()
    book(ledger, None, price=None)
    assert ledger.usage.cost_usd == 0.0
    assert "note" not in ledger.usage.as_json()


def test_a_call_beyond_the_budget_of_tokens_is_turned_down() -> None:
    """A call that may use more tokens than are left is turned down, with a message that says what to raise."""
    ledger = Ledger(Budget(tokens=59))
    book(ledger, Completion("x", 20, 10))
    with pytest.raises(BudgetSpent, match="VIS_ASSETS_LLM_BUDGET_TOKENS or the job's llm_budget_tokens") as caught:
        ledger.reserve(FREE, 10, 20)
    assert "30 tokens are used of a budget of 59" in str(caught.value)


def test_a_call_beyond_the_budget_of_money_is_turned_down() -> None:
    """A call that may cost more than is left is turned down, with a message that says what to raise."""
    ledger = Ledger(Budget(usd=59.0))
    book(ledger, Completion("x", 20, 10))
    with pytest.raises(BudgetSpent, match="VIS_ASSETS_LLM_BUDGET_USD or the job's llm_budget_usd") as caught:
        ledger.reserve(DOLLAR, 10, 20)
    assert "30.0000 USD are spent of a budget of 59" in str(caught.value)


def test_what_costs_nothing_fits_into_a_spent_budget() -> None:
    """A free model, and one whose price is unknown, may be asked when the money is spent."""
    ledger = Ledger(Budget(usd=30.0))
    book(ledger, Completion("x", 20, 20))
    ledger.reserve(FREE, 10, 20)
    ledger.reserve(None, 10, 20)


def test_settling_frees_what_was_not_used() -> None:
    """A budget is charged with what a call used, not with what it might have used."""
    ledger = Ledger(Budget(tokens=36))
    book(ledger, Completion("x", 2, 4))
    ledger.reserve(DOLLAR, 10, 20)


def test_a_call_is_settled_once() -> None:
    """Settling a call a second time is an error and changes nothing."""
    ledger = Ledger()
    reservation = ledger.reserve(DOLLAR, 10, 20)
    ledger.settle(reservation, "a/b", None)
    with pytest.raises(KeyError):
        ledger.settle(reservation, "a/b", None)
    assert ledger.usage.calls == 1


@pytest.mark.parametrize("budget", [Budget(tokens=30 * 7 + 29), Budget(usd=30.0 * 7 + 29)])
def test_concurrent_calls_do_not_pass_the_budget(budget: Budget) -> None:
    """Of many threads that want to call at the same time, only so many may as the budget holds."""
    ledger = Ledger(budget)

    def is_let_through(_: int) -> bool:
        try:
            ledger.reserve(DOLLAR, 10, 20)
        except BudgetSpent:
            return False
        return True

    with ThreadPoolExecutor(16) as threads:
        assert sum(threads.map(is_let_through, range(200))) == 7


def test_the_same_fallbacks_are_counted_together() -> None:
    """Requests that a model did not answer for the same reason are one entry with their number."""
    ledger = Ledger()
    for reason in ("busy", "late", "busy"):
        ledger.fall_back("a/b", reason)
    assert ledger.usage.fallbacks == (Fallback("a/b", "busy", 2), Fallback("a/b", "late", 1))


def test_reasons_without_end_are_merged() -> None:
    """A result does not grow with the number of different reasons, and no request is lost from the count."""
    ledger = Ledger()
    for number in range(10 * MOST_REASONS):
        ledger.fall_back("a/b", f"reason {number}")
    fallbacks = ledger.usage.fallbacks
    assert len(fallbacks) == MOST_REASONS + 1
    assert fallbacks[-1] == Fallback("a/b", OTHER_REASONS, 9 * MOST_REASONS)


def test_usage_is_plain_and_rounded() -> None:
    """What a result tells survives JSON, and money is rounded to a millionth."""
    ledger = Ledger()
    book(ledger, Completion("x", 1, 2), price=Price(1 / 3, 1 / 3))
    ledger.fall_back("a/b", "busy")
    told = ledger.usage.as_json()
    assert json.loads(json.dumps(told)) == told
    assert told["cost_usd"] == 1e-06
    assert told["fallbacks"] == [{"model": "a/b", "reason": "busy", "requests": 1}]
    assert told["by_model"]["a/b"]["output_tokens"] == 2
