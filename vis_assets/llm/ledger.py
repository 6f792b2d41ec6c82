"""What a job asked of language models, what it cost, and whether it may ask more."""

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from vis_assets.errors import BudgetSpent
from vis_assets.llm.model import Completion
from vis_assets.llm.prices import Price
from vis_assets.llm.tokens import count_tokens

MOST_REASONS = 50
"""Different reasons of one job that are kept apart; a result message must not grow with the number of requests."""
OTHER_REASONS = "other reasons"
LEAST_BELIEVED = 0.1
"""A server that counts fewer tokens than this part of our estimate is not believed: no budget would hold."""
_DECIMALS = 6
_TOKEN_SETTINGS = "VIS_ASSETS_LLM_BUDGET_TOKENS or the job's llm_budget_tokens"  # noqa: S105  the names of settings
_MONEY_SETTINGS = "VIS_ASSETS_LLM_BUDGET_USD or the job's llm_budget_usd"


@dataclass(frozen=True)
class Budget:
    """The most that a job may use; None for any amount.

    Attributes:
        usd: money. It binds where the price of a model is known.
        tokens: of questions and answers together.
    """

    usd: float | None = None
    tokens: int | None = None


@dataclass(frozen=True, eq=False)
class Reservation:
    """What a call may use at most, held back from the budget until it is settled.

    Attributes:
        price: of the model; None where it is unknown.
        input_tokens: of the question, estimated.
        max_output_tokens: of the answer, at most.
    """

    price: Price | None
    input_tokens: int
    max_output_tokens: int

    @property
    def tokens(self) -> int:
        """Of question and answer, at most."""
        return self.input_tokens + self.max_output_tokens

    @property
    def usd(self) -> float:
        """Cost at most; 0 where the price is unknown."""
        return self.price.cost_usd(self.input_tokens, self.max_output_tokens) if self.price else 0.0


@dataclass(frozen=True)
class ModelUsage:
    """What was used of one model.

    Attributes:
        calls: requests sent, failed ones too; also those that a server refused for one of their parameters.
        failed_calls: those without a completion.
        input_tokens: of the questions.
        output_tokens: of the answers.
        cost_usd: None where tokens were used and the price is unknown.
        estimated_tokens: whether some tokens are our estimate, since the server did not say, or absurdly few.
    """

    calls: int = 0
    failed_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = 0.0
    estimated_tokens: bool = False

    def __add__(self, other: "ModelUsage") -> "ModelUsage":
        """Add up; an unknown cost makes the sum unknown."""
        known = self.cost_usd is not None and other.cost_usd is not None
        return ModelUsage(
            self.calls + other.calls,
            self.failed_calls + other.failed_calls,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            (self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            self.estimated_tokens or other.estimated_tokens,
        )

    def as_json(self) -> dict[str, Any]:
        """Return plain values, money rounded to a millionth of a dollar."""
        return {
            "calls": self.calls,
            "failed_calls": self.failed_calls,
            "input_tokens": self.input_tokens,
            "output_tokens": self.output_tokens,
            "cost_usd": None if self.cost_usd is None else round(self.cost_usd, _DECIMALS),
            "estimated_tokens": self.estimated_tokens,
        }


@dataclass(frozen=True)
class Fallback:
    """Requests that a model did not answer.

    Attributes:
        model: its name.
        reason: why; one sentence.
        requests: how many.
    """

    model: str
    reason: str
    requests: int


@dataclass(frozen=True)
class Usage:
    """What a job used of all models.

    Attributes:
        total: of all models together.
        by_model: of each, by its name, in the order of their first calls.
        fallbacks: requests that went on to another model, or to none, and why.
    """

    total: ModelUsage
    by_model: dict[str, ModelUsage]
    fallbacks: tuple[Fallback, ...]

    @property
    def calls(self) -> int:
        """Requests sent, failed ones too."""
        return self.total.calls

    @property
    def failed_calls(self) -> int:
        """Requests without a completion."""
        return self.total.failed_calls

    @property
    def input_tokens(self) -> int:
        """Tokens of the questions."""
        return self.total.input_tokens

    @property
    def output_tokens(self) -> int:
        """Tokens of the answers."""
        return self.total.output_tokens

    @property
    def cost_usd(self) -> float | None:
        """Money; None where a price is unknown."""
        return self.total.cost_usd

    @property
    def estimated_tokens(self) -> bool:
        """Whether some tokens are our estimate."""
        return self.total.estimated_tokens

    def as_json(self) -> dict[str, Any]:
        """Return what `statsJson` tells: plain values, money rounded to a millionth of a dollar."""
        told = self.total.as_json()
        told["by_model"] = {name: usage.as_json() for name, usage in self.by_model.items()}
        told["fallbacks"] = [
            {"model": fallback.model, "reason": fallback.reason, "requests": fallback.requests}
            for fallback in self.fallbacks
        ]
        unknown = [name for name, usage in self.by_model.items() if usage.cost_usd is None]
        if unknown:
            told["note"] = (
                f"the price of {', '.join(unknown)} is unknown, so a budget in USD does not hold for it; "
                "state it in the file of VIS_ASSETS_LLM_PRICES"
            )
        return told


@dataclass
class _Books:
    """The mutable state of a ledger, behind its lock."""

    by_model: dict[str, ModelUsage] = field(default_factory=dict)
    fallbacks: Counter[tuple[str, str]] = field(default_factory=Counter)
    known_cost_usd: float = 0.0
    reservations: set[Reservation] = field(default_factory=set)


class Ledger:
    """The account of one job; threads may share it.

    What calls in flight may use counts as used, so a budget is passed by no more than the error of the estimates. A
    call can so be turned down while others are in flight that will use less than they may.
    """

    def __init__(self, budget: Budget = Budget()) -> None:
        """Open the account."""
        self._budget = budget
        self._lock = threading.Lock()
        self._books = _Books()

    def reserve(self, price: Price | None, input_tokens: int, max_output_tokens: int) -> Reservation:
        """Hold back what a call may use at most; `settle` it when the call has ended, however it ended.

        Args:
            price: of the model; None where it is unknown: then only the budget of tokens counts.
            input_tokens: of the question, estimated.
            max_output_tokens: of the answer, at most.

        Raises:
            BudgetSpent: the call could use more than is left.
        """
        reservation = Reservation(price, input_tokens, max_output_tokens)
        with self._lock:
            self._require_tokens(reservation)
            self._require_money(reservation)
            self._books.reservations.add(reservation)
        return reservation

    def settle(
        self,
        reservation: Reservation,
        model_name: str,
        completion: Completion | None,
        *,
        may_be_billed: bool = False,
        failed_requests: int = 1,
    ) -> None:
        """Book a call that has ended, and free what it did not use.

        Tokens are those that the server counted, where it says so and they are not absurdly few; else the estimates. A
        call that failed uses none, with one exception: where the server had the question and may have worked on it (it
        timed out, or its answer was none), the question counts, since providers bill it. Its answer does not: nobody
        knows whether there was one, and to count the longest would end a budget after a few timeouts.

        Args:
            reservation: of this call.
            model_name: whose call it was.
            completion: None where the call failed.
            may_be_billed: of a failed call: whether the server may have worked on it.
            failed_requests: of a failed call: how many were sent.

        Raises:
            KeyError: it is settled already.
        """
        used = _used(reservation, completion, may_be_billed, failed_requests)
        with self._lock:
            self._books.reservations.remove(reservation)
            self._books.by_model[model_name] = self._books.by_model.get(model_name, ModelUsage()) + used
            self._books.known_cost_usd += used.cost_usd or 0.0

    def fall_back(self, model_name: str, reason: str) -> None:
        """Note a request that this model did not answer.

        Args:
            model_name: of the model.
            reason: why; the same reasons of a model are counted together.
        """
        with self._lock:
            fallbacks = self._books.fallbacks
            known = (model_name, reason) in fallbacks or len(fallbacks) < MOST_REASONS
            fallbacks[model_name, reason if known else OTHER_REASONS] += 1

    @property
    def usage(self) -> Usage:
        """What was used until now; calls in flight are not in it."""
        with self._lock:
            by_model = dict(self._books.by_model)
            fallbacks = tuple(Fallback(*key, count) for key, count in self._books.fallbacks.items())
        return Usage(sum(by_model.values(), ModelUsage()), by_model, fallbacks)

    def _require_tokens(self, reservation: Reservation) -> None:
        if self._budget.tokens is None:
            return
        spent = sum(usage.input_tokens + usage.output_tokens for usage in self._books.by_model.values())
        held = sum(other.tokens for other in self._books.reservations)
        if spent + held + reservation.tokens > self._budget.tokens:
            raise BudgetSpent(
                f"{spent} tokens are used{_in_flight(held)} of a budget of {self._budget.tokens}, and the next request "
                f"may use {reservation.tokens}; raise {_TOKEN_SETTINGS} to ask more"
            )

    def _require_money(self, reservation: Reservation) -> None:
        if self._budget.usd is None or reservation.price is None:
            return
        spent = self._books.known_cost_usd
        held = sum(other.usd for other in self._books.reservations)
        # What costs nothing fits into a spent budget: a local model may come last in a chain.
        if reservation.usd > 0 and spent + held + reservation.usd > self._budget.usd:
            raise BudgetSpent(
                f"{spent:.4f} USD are spent{_in_flight(held)} of a budget of {self._budget.usd:g}, and the next "
                f"request may cost {reservation.usd:.4f}; raise {_MONEY_SETTINGS} to ask more"
            )


def _in_flight(held: float) -> str:
    return f" and {held:g} are held for requests in flight" if held else ""


def _used(
    reservation: Reservation, completion: Completion | None, may_be_billed: bool, failed_requests: int
) -> ModelUsage:
    if completion is None:
        failed = ModelUsage(calls=failed_requests, failed_calls=failed_requests)
        return failed + _tokens(reservation, (None, reservation.input_tokens), (0, 0)) if may_be_billed else failed
    answered = ModelUsage(calls=completion.requests, failed_calls=completion.requests - 1)
    return answered + _tokens(
        reservation,
        (completion.input_tokens, reservation.input_tokens),
        (completion.output_tokens, count_tokens(completion.text)),
    )


def _tokens(reservation: Reservation, question: tuple[int | None, int], answer: tuple[int | None, int]) -> ModelUsage:
    """What tokens cost, each given as (told, estimated)."""
    input_tokens, output_tokens = (_believed(*counts) for counts in (question, answer))
    return ModelUsage(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cost_usd=reservation.price.cost_usd(input_tokens, output_tokens) if reservation.price else None,
        estimated_tokens=(input_tokens, output_tokens) != (question[0], answer[0]),
    )


def _believed(told: int | None, estimated: int) -> int:
    return estimated if told is None or told < LEAST_BELIEVED * estimated else told
