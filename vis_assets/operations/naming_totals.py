"""Who named the clusters of all maps, and what was asked of language models for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MOST_MODELS = 100
"""Models that are told apart: a job may name any, and Prometheus keeps a series for each."""
OTHER_MODELS = "other"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class ModelTotals:
    """What was asked of one model.

    Attributes:
        answered: requests with a completion.
        failed: requests without.
        input_tokens: of the questions.
        output_tokens: of the answers.
        cost_usd: as far as it is known; None where it never was.
    """

    answered: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None

    def plus(self, told: Mapping[str, Any]) -> "ModelTotals":
        """Add one map's use of the model, in the words of `statsJson.naming.by_model`."""
        failed, cost_usd = told.get("failed_calls", 0), told.get("cost_usd")
        return ModelTotals(
            self.answered + told.get("calls", 0) - failed,
            self.failed + failed,
            self.input_tokens + told.get("input_tokens", 0),
            self.output_tokens + told.get("output_tokens", 0),
            self.cost_usd if cost_usd is None else (self.cost_usd or 0.0) + cost_usd,
        )


@dataclass(frozen=True)
class NamingTotals:
    """Sums over maps; never changed in place, so that one thread may add while another tells.

    Attributes:
        models: what was asked, by model.
        named: clusters, by who named them: a model, "keyphrases" or "numbers".
        remembered: clusters that kept the name that a model gave in an earlier run.
    """

    models: Mapping[str, ModelTotals] = field(default_factory=dict)
    named: Mapping[str, int] = field(default_factory=dict)
    remembered: int = 0

    def plus(self, told: Mapping[str, Any]) -> "NamingTotals":
        """Add one map.

        Args:
            told: `statsJson.naming`; what an earlier version left out counts as nothing.
        """
        models, named = dict(self.models), dict(self.named)
        for model, usage in told.get("by_model", _NOTHING).items():
            key = _within_limit(model, models)
            models[key] = models.get(key, ModelTotals()).plus(usage)
        for who, count in told.get("named_by", _NOTHING).items():
            key = _within_limit(who, named)
            named[key] = named.get(key, 0) + count
        return NamingTotals(models, named, self.remembered + told.get("cache_hits", 0))


def _within_limit(name: str, known: Mapping[str, object]) -> str:
    return name if name in known or len(known) < MOST_MODELS else OTHER_MODELS
