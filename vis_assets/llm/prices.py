"""What tokens of well-known models cost.

Prices change; these are list prices of text models as of November 2025 (USD, standard tier, no caching, questions below
the size from which some providers charge more), compared in November 2026 with another public table, which agrees where
it still lists them. An operator states better ones in the file of `VIS_ASSETS_LLM_PRICES`. NVIDIA's catalogue publishes
no price per token, so its models have none here; a model without a price is not guessed at.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vis_assets.errors import InvalidSetting

SETTING = "VIS_ASSETS_LLM_PRICES"
MOST_USD = 1e6
"""Per million tokens: a dollar a token. What is larger is a slip, and its sums may be no numbers."""
_MILLION = 1_000_000
# A dated or numbered version costs what its model does; any other ending is another model: gpt-4o-mini is no gpt-4o.
_VERSION = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{2}-\d{4}|0\d\d|latest)")
_NAME = re.compile(r"[^\s/]+/\S+")
_EXAMPLE = '{"openai/gpt-4o-mini": {"input_usd": 0.15, "output_usd": 0.6}}'


@dataclass(frozen=True)
class Price:
    """USD per million tokens.

    Attributes:
        input_usd: of the question.
        output_usd: of the answer.
    """

    input_usd: float
    output_usd: float

    def cost_usd(self, input_tokens: int, output_tokens: int) -> float:
        """Return what so many tokens cost."""
        return (self.input_usd * input_tokens + self.output_usd * output_tokens) / _MILLION


FREE = Price(0.0, 0.0)
"""Models that run here, on machines that are paid for anyway."""

PRICES: Mapping[str, Price] = MappingProxyType(
    {
        "openai/gpt-3.5-turbo": Price(0.50, 1.50),
        "openai/gpt-3.5-turbo-0125": Price(0.50, 1.50),
        "openai/gpt-4": Price(30.00, 60.00),
        "openai/gpt-4-turbo": Price(10.00, 30.00),
        "openai/gpt-4o": Price(2.50, 10.00),
        "openai/gpt-4o-2024-05-13": Price(5.00, 15.00),
        "openai/gpt-4o-mini": Price(0.15, 0.60),
        "openai/gpt-4.1": Price(2.00, 8.00),
        "openai/gpt-4.1-mini": Price(0.40, 1.60),
        "openai/gpt-4.1-nano": Price(0.10, 0.40),
        "openai/gpt-5": Price(1.25, 10.00),
        "openai/gpt-5-mini": Price(0.25, 2.00),
        "openai/gpt-5-nano": Price(0.05, 0.40),
        "openai/gpt-5.1": Price(1.25, 10.00),
        "openai/o3": Price(2.00, 8.00),
        "openai/o3-mini": Price(1.10, 4.40),
        "openai/o4-mini": Price(1.10, 4.40),
        "cohere/command-a-03-2025": Price(2.50, 10.00),
        "cohere/command-r-08-2024": Price(0.15, 0.60),
        "cohere/command-r-plus-08-2024": Price(2.50, 10.00),
        "cohere/command-r7b-12-2024": Price(0.0375, 0.15),
        "groq/llama-3.1-8b-instant": Price(0.05, 0.08),
        "groq/llama-3.3-70b-versatile": Price(0.59, 0.79),
        "groq/openai/gpt-oss-20b": Price(0.075, 0.30),
        "groq/openai/gpt-oss-120b": Price(0.15, 0.60),
        "gemini/gemini-2.0-flash": Price(0.10, 0.40),
        "gemini/gemini-2.5-flash": Price(0.30, 2.50),
        "gemini/gemini-2.5-flash-lite": Price(0.10, 0.40),
        "gemini/gemini-2.5-pro": Price(1.25, 10.00),
    }
)
"""By provider/model."""


def find_price(name: str, overrides: Mapping[str, Price], is_local: bool) -> Price | None:
    """Return what a model costs: what the operator says, else nothing for a local one, else the list price.

    A dated version of a model, e.g. `openai/gpt-4o-mini-2024-07-18`, costs what the model does where it has no price
    of its own.

    Args:
        name: provider/model.
        overrides: the operator's prices, by provider/model.
        is_local: whether the provider costs nothing.

    Returns:
        The price; None where it is unknown.
    """
    stated = _of_version(name, overrides)
    if stated is not None:
        return stated
    return FREE if is_local else _of_version(name, PRICES)


def read_prices(path: Path) -> dict[str, Price]:
    """Read an operator's prices: a JSON object, provider/model -> `input_usd` and `output_usd` per million tokens.

    Args:
        path: of the file.

    Returns:
        Prices by provider/model.

    Raises:
        InvalidSetting: there is no such file, it is no JSON, or an entry is none; the message names it.
    """
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidSetting(f"{SETTING}: {path} cannot be read ({error.strerror}); check the path") from error
    except (ValueError, RecursionError) as error:
        raise InvalidSetting(f"{SETTING}: {path} is no JSON; write it like {_EXAMPLE}") from error
    if not isinstance(stated, dict):
        raise InvalidSetting(f"{SETTING}: {path} holds no JSON object; write it like {_EXAMPLE}")
    return {_name(name, path): _price(name, entry, path) for name, entry in stated.items()}


def _of_version(name: str, prices: Mapping[str, Price]) -> Price | None:
    if name in prices:
        return prices[name]
    models = [model for model in prices if name.startswith(model) and _VERSION.fullmatch(name, len(model))]
    return prices[max(models, key=len)] if models else None


def _name(name: str, path: Path) -> str:
    if not _NAME.fullmatch(name):
        raise InvalidSetting(f"{SETTING}: {path} names {name!r:.80}, which is no provider/model; e.g. {_EXAMPLE}")
    return name


def _price(name: str, entry: Any, path: Path) -> Price:
    if not isinstance(entry, dict) or set(entry) != {"input_usd", "output_usd"}:
        raise InvalidSetting(
            f"{SETTING}: {path}, entry {name!r:.80}, must hold input_usd and output_usd and nothing else; "
            f"write it like {_EXAMPLE}"
        )
    return Price(*(_amount(name, field, entry[field], path) for field in ("input_usd", "output_usd")))


def _amount(name: str, field: str, value: Any, path: Path) -> float:
    # Compared as it is: an integer may be too large for a float.
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= MOST_USD:
        raise InvalidSetting(
            f"{SETTING}: {path}, entry {name!r:.80}, {field} is {value!r:.40}; "
            f"give USD per million tokens, a number from 0 to {MOST_USD:.0f}"
        )
    return float(value)
