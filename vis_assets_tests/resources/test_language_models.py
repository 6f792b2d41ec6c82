"""Which language models a job asks, with which keys, at which addresses: the real SDKs against the local double."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from vis_assets.llm.model import Question
from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets.protocol.job import LlmOptions
from vis_assets.resources.language_models import Dialogue, LanguageModels, Wanted
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import LLM_OPTIONS, SpecStore
from vis_assets_tests.protocol.messages import CANARY, parsed
from vis_assets_tests.resources.conftest import settings_for

pytestmark = pytest.mark.enable_socket
KEY = "fD0l5y1Fh6-nsAahLDcMeHPsSPkzVIkJmkfCxKQyR4M="
OWN_KEY = "sk-installation-0c41"
QUESTION = Question(
    "Name them.", '{"clusters": [{"id": "c0", "keyphrases": ["sparse matrix"]}]}', {"type": "object"}, 100
)


def sealed(folder: Path, llm_config: dict[str, Any] | None, **config: Any) -> tuple[SpecStore, Any]:
    specs = SpecStore(FolderStore(folder / "store"), Sealer([KEY]))
    return specs, specs.save(parsed(llm_config=llm_config, visualization_config=config))


def asking(folder: Path, llm_config: dict[str, Any] | None, environment: dict[str, Any], **config: Any) -> Any:
    """The dialogue of a job in an installation with these variables, as a context manager."""
    specs, spec = sealed(folder, llm_config, **config)
    return LanguageModels(settings_for({"VIS_ASSETS_HOME": folder} | environment), specs).open(spec)


def keys_sent(llm: EmbeddedLlm) -> list[str | None]:
    return [request.headers.get("authorization") for request in llm.requests]


def ask(dialogue: Dialogue) -> str:
    assert dialogue.chain is not None
    return dialogue.chain.ask(QUESTION, lambda completion: completion.text).model


def test_without_configuration_nobody_is_asked(tmp_path: Path) -> None:
    """A job without llm_config in an installation without LLM_PROVIDER has no chain, whatever keys there are."""
    with asking(tmp_path, None, {"OPENAI_API_KEY": OWN_KEY}) as dialogue:
        assert dialogue.chain is None
        assert dialogue.notes == ()


def test_the_installation_has_an_ordered_chain(tmp_path: Path) -> None:
    """LLM_PROVIDER names models in order, with their usual model where it says none."""
    environment = {"LLM_PROVIDER": "openai/gpt-4o, groq/a/b , cohere,ollama/llama3.2:3b"}
    environment |= dict.fromkeys(("OPENAI_API_KEY", "GROQ_API_KEY", "COHERE_API_KEY"), OWN_KEY)
    with asking(tmp_path, None, environment) as dialogue:
        assert dialogue.chain is not None
        assert dialogue.chain.names == (
            "openai/gpt-4o", "groq/a/b", "cohere/command-r-plus-08-2024", "ollama/llama3.2:3b",
        )  # fmt: skip


def test_a_job_comes_before_the_installation(tmp_path: Path) -> None:
    """A job's llm_config with its fallbacks is asked instead of the installation's models."""
    fallback = {"provider": "Cohere", "model": "command-a", "api_key": "co-1"}
    llm = {"provider": "openai", "model": "gpt-4", "api_key": "sk-1", "fallbacks": [fallback]}
    with asking(tmp_path, llm, {"LLM_PROVIDER": "groq"}) as dialogue:
        assert dialogue.chain is not None
        assert dialogue.chain.names == ("openai/gpt-4", "cohere/command-a")


def test_nobody_is_asked_where_names_are_not_wanted(tmp_path: Path) -> None:
    """Where names come from elsewhere no model is opened."""
    specs, spec = sealed(tmp_path, {"provider": "nonsense", "model": "m"})
    with LanguageModels(settings_for({"VIS_ASSETS_HOME": tmp_path}), specs).open(spec, is_wanted=False) as dialogue:
        assert dialogue.chain is None
        assert dialogue.notes == ()


@pytest.mark.parametrize("provider", ["openai", "cohere", "internal", "openai_compatible", "vllm", "ollama"])
def test_sealed_key_goes_to_the_address_of_the_job(tmp_path: Path, provider: str) -> None:
    """Each provider is asked at the job's address, with the job's own key, which was sealed meanwhile."""
    with EmbeddedLlm(api_key=CANARY) as llm:
        url = llm.url if provider in {"cohere", "internal"} else llm.openai_url
        job = {"provider": provider, "model": "m", "api_key": CANARY, "config": {"base_url": url}}
        with asking(tmp_path, job, {"VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1"}) as dialogue:
            assert ask(dialogue) == f"{provider}/m"
            assert CANARY not in repr(dialogue)
        assert keys_sent(llm) == [f"Bearer {CANARY}"]


def test_the_key_of_a_fallback_is_its_own(tmp_path: Path) -> None:
    """Each model of a job's chain is asked with its own key only."""
    with EmbeddedLlm(api_key="sk-second") as llm:
        place = {"base_url": llm.openai_url}
        first = {"provider": "openai_compatible", "model": "a", "api_key": "sk-first", "config": place}
        second = {"provider": "openai_compatible", "model": "b", "api_key": "sk-second", "config": place}
        keyless = {"provider": "openai_compatible", "model": "c", "config": place}
        chain = first | {"fallbacks": [keyless, second]}
        with asking(tmp_path, chain, {"VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1"}) as dialogue:
            assert ask(dialogue) == "openai_compatible/b"
            reasons = {fallback.model for fallback in dialogue.ledger.usage.fallbacks}
        assert reasons == {"openai_compatible/a", "openai_compatible/c"}
        first_key, no_key, second_key = keys_sent(llm)
        assert (first_key, second_key) == ("Bearer sk-first", "Bearer sk-second")
        assert "sk-" not in (no_key or "")


def test_own_key_goes_to_own_address(tmp_path: Path) -> None:
    """A job without a key at the installation's own address uses the installation's key."""
    with EmbeddedLlm(api_key=OWN_KEY) as llm:
        environment = {"OPENAI_API_KEY": OWN_KEY, "OPENAI_BASE_URL": llm.openai_url}
        with asking(tmp_path, {"provider": "openai", "model": "gpt-4"}, environment) as dialogue:
            assert ask(dialogue) == "openai/gpt-4"
        with asking(tmp_path, None, environment | {"LLM_PROVIDER": "openai/gpt-4"}) as dialogue:
            assert ask(dialogue) == "openai/gpt-4"
        assert len(llm.requests) == 2


def test_own_key_goes_nowhere_else(tmp_path: Path) -> None:
    """At an address of the job's choice the installation's key is not used, even if the operator listed the host."""
    with EmbeddedLlm() as llm:
        options = {"base_url": llm.openai_url}
        environment = {"OPENAI_API_KEY": OWN_KEY, "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1"}
        with asking(tmp_path, {"provider": "openai", "model": "m", "config": options}, environment) as dialogue:
            assert dialogue.chain is None
        own = {"OPENAI_COMPATIBLE_API_KEY": OWN_KEY}
        job = {"provider": "openai_compatible", "model": "m", "config": options}
        with asking(tmp_path, job, environment | own) as dialogue:
            ask(dialogue)
        (sent,) = keys_sent(llm)
        assert OWN_KEY not in (sent or "")


@pytest.mark.parametrize(
    ("llm_config", "says"),
    [
        ({"provider": "openia", "model": "m"}, "llm_config.provider is 'openia', which is no known provider"),
        ({"provider": "openai", "model": "m"}, "set llm_config.api_key or OPENAI_API_KEY"),
        ({"provider": "vllm", "model": "m"}, "VLLM_BASE_URL"),
        ({"provider": "ollama", "model": "m"}, "OLLAMA_BASE_URL"),
        ({"provider": "internal", "model": "m"}, "LLM_INFERENCE_API_URL"),
        ({"provider": "vllm", "model": "m", "config": {"base_url": "http://127.0.0.1:9/v1"}}, "internal address"),
        ({"provider": "vllm", "model": "m", "config": {"base_url": "http://169.254.169.254/v1"}}, "internal address"),
        ({"provider": "vllm", "model": "m", "config": {"base_url": "http://[::1]:9/v1"}}, "internal address"),
        (
            {"provider": "vllm", "model": "m", "api_key": "k", "config": {"base_url": "http://192.0.2.7/v1"}},
            "would send the API key in clear text",
        ),
    ],
)
def test_what_cannot_be_asked_is_told(tmp_path: Path, llm_config: dict[str, Any], says: str) -> None:
    """A model that cannot be used fails no job: it is left out, and a note names the field and the remedy."""
    with asking(tmp_path, llm_config, {}) as dialogue:
        assert dialogue.chain is None
        note, consequence = dialogue.notes
        (fallback,) = dialogue.ledger.usage.fallbacks
    assert says in note
    assert note.startswith("language model ")
    assert "keyphrases name the clusters" in consequence
    assert says in fallback.reason


def test_a_usable_fallback_is_asked_where_the_first_cannot_be(tmp_path: Path) -> None:
    """What cannot be used is left out of a chain, and the others are asked."""
    other = {"provider": "cohere", "model": "c", "api_key": "k"}
    with asking(tmp_path, {"provider": "openia", "model": "m", "fallbacks": [other]}, {}) as dialogue:
        assert dialogue.chain is not None
        assert dialogue.chain.names == ("cohere/c",)
        assert len(dialogue.notes) == 1


def test_lost_sealing_key(tmp_path: Path) -> None:
    """Where the job's key can no longer be opened, the installation's is taken if it has one; else a note says so."""
    _, spec = sealed(tmp_path, {"provider": "openai", "model": "m", "api_key": CANARY})
    lost = SpecStore(FolderStore(tmp_path / "store"), Sealer(["Zkq1oFhJwO0c7GqB0m2yqNqkS3vQm0xXQqZy1k0k3nE="]))
    with LanguageModels(settings_for({"VIS_ASSETS_HOME": tmp_path}), lost).open(spec) as dialogue:
        assert dialogue.chain is None
        assert "OPENAI_API_KEY" in dialogue.notes[0]
    with EmbeddedLlm(api_key=OWN_KEY) as llm:
        environment = {"VIS_ASSETS_HOME": tmp_path, "OPENAI_API_KEY": OWN_KEY, "OPENAI_BASE_URL": llm.openai_url}
        with LanguageModels(settings_for(environment), lost).open(spec) as dialogue:
            assert ask(dialogue) == "openai/m"


@pytest.mark.parametrize(("of_job", "of_installation"), [(0, None), (None, 0), (10**6, 0), (0, 10**6)])
def test_the_smaller_budget_holds(tmp_path: Path, of_job: int | None, of_installation: int | None) -> None:
    """The budget is the smaller one of the job's and the installation's; a budget of nothing asks nobody."""
    from vis_assets.errors import BudgetSpent

    environment: dict[str, Any] = {"LLM_PROVIDER": "openai/gpt-4o-mini", "OPENAI_API_KEY": OWN_KEY}
    if of_installation is not None:
        environment["VIS_ASSETS_LLM_BUDGET_TOKENS"] = of_installation
    with EmbeddedLlm() as llm:
        environment["OPENAI_BASE_URL"] = llm.openai_url
        with asking(tmp_path, None, environment, llm_budget_tokens=of_job) as dialogue, pytest.raises(BudgetSpent):
            ask(dialogue)
        assert llm.requests == []


def test_lost_fallbacks_leave_the_first_model(tmp_path: Path) -> None:
    """Fallbacks that can no longer be opened are left out: with their addresses lost, documents could go elsewhere."""
    fallback = {"provider": "openai", "model": "f", "config": {"base_url": "https://private.example.com/v1"}}
    _, spec = sealed(tmp_path, {"provider": "openai", "model": "m", "api_key": CANARY, "fallbacks": [fallback]})
    lost = SpecStore(FolderStore(tmp_path / "store"), Sealer(["Zkq1oFhJwO0c7GqB0m2yqNqkS3vQm0xXQqZy1k0k3nE="]))
    settings = settings_for({"VIS_ASSETS_HOME": tmp_path, "OPENAI_API_KEY": OWN_KEY})
    with LanguageModels(settings, lost).open(spec) as dialogue:
        assert dialogue.chain is not None
        assert dialogue.chain.names == ("openai/m",)
        assert "llm_config.fallbacks" in dialogue.notes[0]


def test_options_of_an_earlier_version_fail_no_job(tmp_path: Path) -> None:
    """Stored options that are no longer valid leave their model out, and their values are not told."""
    specs, spec = sealed(tmp_path, {"provider": "openai", "model": "m", "api_key": "k"})
    old = json.dumps({"temperature": "hot", "base_url": f"https://user:{CANARY}@llm.example.com"})
    stored = dataclasses.replace(spec, sealed=spec.sealed | {LLM_OPTIONS: Sealer([KEY]).seal(old)})
    with LanguageModels(settings_for({"VIS_ASSETS_HOME": tmp_path}), specs).open(stored) as dialogue:
        assert dialogue.chain is None
        assert "base_url, temperature" in dialogue.notes[0]
        assert CANARY not in " ".join(dialogue.notes)


def test_a_job_does_not_lift_the_limits_of_the_installation(tmp_path: Path) -> None:
    """Of timeouts and rates the smaller of the job's and the installation's holds."""
    options = {"requests_per_minute": 1e6, "timeout_seconds": 500.0}
    job = {"provider": "openai", "model": "m", "api_key": "k", "config": options}
    limits = {"VIS_ASSETS_LLM_REQUESTS_PER_MINUTE": 10, "VIS_ASSETS_LLM_TIMEOUT_SECS": 7}
    specs, _ = sealed(tmp_path, job)
    models = LanguageModels(settings_for({"VIS_ASSETS_HOME": tmp_path, "LLM_PROVIDER": "openai"} | limits), specs)
    wanted = Wanted("openai", "m", "k", LlmOptions.model_validate(options), is_of_job=True)
    link = models._link(wanted)
    assert (link.requests_per_minute, link.timeout_seconds) == (10, 7)


@pytest.mark.parametrize(
    ("environment", "says"),
    [
        ({"LLM_PROVIDER": "opnai"}, "LLM_PROVIDER is 'opnai', which is no known provider"),
        ({"LLM_PROVIDER": "openai"}, "set OPENAI_API_KEY"),
        ({"LLM_PROVIDER": "vllm/m"}, "VLLM_BASE_URL is missing"),
        ({"LLM_PROVIDER": "internal/m"}, "LLM_INFERENCE_API_URL is missing"),
    ],
)
def test_operators_are_told_of_their_settings(tmp_path: Path, environment: dict[str, Any], says: str) -> None:
    """What is wrong with the installation's models is told in terms of its settings, not of a job's fields."""
    with asking(tmp_path, None, environment) as dialogue:
        assert says in dialogue.notes[0]
        assert "llm_config" not in dialogue.notes[0]


@pytest.mark.parametrize("named", ["ollama", "openai_compatible", "vllm"])
def test_a_model_without_a_name_is_told(tmp_path: Path, named: str) -> None:
    """A provider that has no usual model is not asked for a model without a name."""
    urls = dict.fromkeys(("OPENAI_COMPATIBLE_BASE_URL", "VLLM_BASE_URL"), "http://127.0.0.1:9/v1")
    with asking(tmp_path, None, urls | {"LLM_PROVIDER": named}) as dialogue:
        assert dialogue.chain is None
        assert f"e.g. {named}/llama3.2" in dialogue.notes[0]


def test_prices_of_the_user_come_first(tmp_path: Path) -> None:
    """A file of prices makes a model dear, and its damage is told as a note."""
    prices = tmp_path / "prices.json"
    prices.write_text('{"openai/gpt-4o-mini": {"input_usd": 1000000, "output_usd": 1000000}}')
    environment = {"LLM_PROVIDER": "openai", "OPENAI_API_KEY": OWN_KEY, "VIS_ASSETS_LLM_PRICES": prices}
    with EmbeddedLlm() as llm:
        environment["OPENAI_BASE_URL"] = llm.openai_url
        with asking(tmp_path, None, environment | {"VIS_ASSETS_LLM_BUDGET_USD": 10**6}) as dialogue:
            ask(dialogue)
            assert (dialogue.ledger.usage.cost_usd or 0) > 1
        prices.write_text("[]")
        with asking(tmp_path, None, environment) as dialogue:
            assert dialogue.chain is None
            assert "VIS_ASSETS_LLM_PRICES" in dialogue.notes[0]
