"""What models cost, and what an operator says they cost."""

import json
from pathlib import Path

import pytest

from vis_assets.errors import InvalidSetting
from vis_assets.llm.prices import FREE, PRICES, Price, find_price, read_prices


def test_a_known_model_has_its_list_price() -> None:
    """A well-known model costs what the list says, question and answer priced apart."""
    price = find_price("openai/gpt-4o-mini", {}, is_local=False)
    assert price == Price(0.15, 0.60)
    assert price.cost_usd(1_000_000, 500_000) == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("version", "model"),
    [
        ("openai/gpt-4o-mini-2024-07-18", "openai/gpt-4o-mini"),
        ("openai/gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("gemini/gemini-2.0-flash-001", "gemini/gemini-2.0-flash"),
    ],
)
def test_a_dated_version_costs_what_its_model_does(version: str, model: str) -> None:
    """A version of a model that differs by a date or number has the model's price."""
    assert find_price(version, {}, is_local=False) == PRICES[model]


def test_a_version_with_a_price_of_its_own_keeps_it() -> None:
    """A dated version that is listed costs what its own entry says."""
    assert find_price("openai/gpt-4o-2024-05-13", {}, is_local=False) == Price(5.0, 15.0)


@pytest.mark.parametrize("name", ["openai/gpt-4o-audio-preview", "openai/gpt-4o-minimal", "nvidia/some-model", "x/y"])
def test_an_unknown_model_has_no_price(name: str) -> None:
    """A model that merely begins like a known one, or is not listed, has no price."""
    assert find_price(name, {}, is_local=False) is None


def test_a_local_model_is_free_unless_the_operator_says_otherwise() -> None:
    """A model that runs here costs nothing, or what the operator says it does."""
    mine = {"ollama/llama3": Price(1.0, 2.0)}
    assert find_price("ollama/llama3", {}, is_local=True) == FREE
    assert find_price("ollama/llama3", mine, is_local=True) == Price(1.0, 2.0)


def test_the_operators_price_comes_first() -> None:
    """An operator's price wins over the list, also for a dated version of the model."""
    mine = {"openai/gpt-4o-mini": Price(0.1, 0.2)}
    assert find_price("openai/gpt-4o-mini-2024-07-18", mine, is_local=False) == Price(0.1, 0.2)


def test_prices_are_read_from_a_file(tmp_path: Path) -> None:
    """A file of prices gives each model's price."""
    path = tmp_path / "prices.json"
    path.write_text(json.dumps({"openai/gpt-4o-mini": {"input_usd": 0.15, "output_usd": 1}}))
    assert read_prices(path) == {"openai/gpt-4o-mini": Price(0.15, 1.0)}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "no JSON object"),
        ('{"gpt-4o": {"input_usd": 1, "output_usd": 1}}', "gpt-4o"),
        ('{"a/b": 3}', "a/b"),
        ('{"a/b": {"input_usd": 1}}', "output_usd"),
        ('{"a/b": {"input_usd": 1, "output_usd": 1, "per": 1000}}', "nothing else"),
        ('{"a/b": {"input_usd": "1", "output_usd": 1}}', "input_usd is '1'"),
        ('{"a/b": {"input_usd": 1, "output_usd": -2}}', "output_usd is -2"),
        ('{"a/b": {"input_usd": NaN, "output_usd": 1}}', "input_usd is nan"),
        (f'{{"a/b": {{"input_usd": 1{"0" * 400}, "output_usd": 1}}}}', "input_usd is 1000"),
        (f'{{"a/b": {{"input_usd": 1{"0" * 5000}, "output_usd": 1}}}}', "no JSON"),
        ('{"a/b": {"input_usd": 1e999, "output_usd": 1}}', "input_usd is inf"),
        ('{"a/b": {"input_usd": 1000001, "output_usd": 1}}', "from 0 to 1000000"),
        ('{"a/b": {"input_usd": true, "output_usd": 1}}', "input_usd is True"),
    ],
)
def test_a_file_that_holds_no_prices_is_refused(tmp_path: Path, content: str, told: str) -> None:
    """A malformed file is refused with a message that names the setting and the fault."""
    path = tmp_path / "prices.json"
    path.write_text(content)
    with pytest.raises(InvalidSetting, match="VIS_ASSETS_LLM_PRICES") as caught:
        read_prices(path)
    assert told in str(caught.value)


def test_a_missing_file_of_prices_is_told(tmp_path: Path) -> None:
    """A file that is not there is an invalid setting."""
    with pytest.raises(InvalidSetting, match="cannot be read"):
        read_prices(tmp_path / "none.json")
