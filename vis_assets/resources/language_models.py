"""Opening the language models that a job, or else the installation, wants to be asked, with the keys that they need."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from pydantic import SecretStr

from vis_assets.errors import InvalidJob, VisAssetsError
from vis_assets.llm import check_access, open_model, registered_providers
from vis_assets.llm.chain import Link, ModelChain, Patience
from vis_assets.llm.ledger import Budget, Ledger
from vis_assets.llm.model import ModelAccess
from vis_assets.llm.prices import FREE, Price, find_price, read_prices
from vis_assets.protocol.job import LanguageModel, LlmOptions
from vis_assets.resources.specs import LLM_FALLBACKS, LLM_KEY, LLM_OPTIONS, Spec, SpecStore
from vis_assets.resources.vector_database import access_policy
from vis_assets.settings import Settings
from vis_assets.sources.hosts import judge_host, names_listed_host

MAX_INPUT_TOKENS = 12_000
"""Of one request, where the job does not say; what most models can read."""
URL_FIELD = "llm_config.config.base_url"


@dataclass(frozen=True)
class Wanted:
    """A model that is to be asked.

    Attributes:
        provider: in lower case.
        model: None takes the provider's usual one.
        api_key: the job's own.
        options: the job's own.
        is_of_job: whether a job asked for it, and not the installation.
    """

    provider: str
    model: str | None = None
    api_key: str | None = field(default=None, repr=False)
    options: LlmOptions = field(default_factory=LlmOptions, repr=False)
    is_of_job: bool = False

    @property
    def name(self) -> str:
        """What people are told."""
        return f"{self.provider}/{self.model}" if self.model else self.provider


@dataclass(frozen=True)
class Dialogue:
    """The models of one job, ready to be asked.

    Attributes:
        chain: None where no model is wanted, or none can be used.
        ledger: what is asked and spent.
        max_input_tokens: of one request.
        notes: why a model that is wanted is not used.
    """

    chain: ModelChain | None
    ledger: Ledger
    max_input_tokens: int = MAX_INPUT_TOKENS
    notes: tuple[str, ...] = ()


class LanguageModels:
    """Opens the chain of models of a job."""

    def __init__(self, settings: Settings, specs: SpecStore) -> None:
        """Apply the settings' limits and host rules; open secrets with `specs`."""
        self._settings = settings
        self._specs = specs

    @contextlib.contextmanager
    def open(self, spec: Spec, *, is_wanted: bool = True) -> Iterator[Dialogue]:
        """Open the models that a job names, or else those of the installation; they are closed with the block.

        No job fails because of a language model: one that cannot be used is left out, and the notes say why.

        Args:
            spec: the job.
            is_wanted: whether a model is to be asked at all.
        """
        ledger = Ledger(self._budget(spec))
        links: list[Link] = []
        notes: list[str] = []
        try:
            wanted = self._wanted(spec) if is_wanted else ()
        except VisAssetsError as error:
            wanted, notes = (), [f"no language model is used: {error}"]
        for one in wanted:
            try:
                links.append(self._link(one))
            except VisAssetsError as error:
                ledger.fall_back(one.name, str(error))
                notes.append(f"language model {one.name} is not used: {error}")
        most_tokens = min(
            (one.options.max_input_tokens or MAX_INPUT_TOKENS for one in wanted), default=MAX_INPUT_TOKENS
        )
        if not links:
            yield Dialogue(None, ledger, most_tokens, tuple(notes))
            return
        patience = Patience(attempts=self._settings.llm_attempts, total_seconds=self._settings.llm_total_secs)
        with ModelChain(links, ledger, patience) as chain:
            yield Dialogue(chain, ledger, most_tokens, tuple(notes))

    def of_installation(self) -> Sequence[tuple[str, Callable[[], Link]]]:
        """Return the models of LLM_PROVIDER in order: the name of each, and what makes its link of a chain.

        Making the link raises InvalidJob or ModelRefused where the model cannot be used, InvalidSetting where the file
        of prices cannot.
        """
        return [(one.name, partial(self._link, one)) for one in self._of_installation()]

    def _wanted(self, spec: Spec) -> Sequence[Wanted]:
        if spec.job.llm_config is None:
            return self._of_installation()
        options = json.loads(self._specs.reveal(spec, LLM_OPTIONS) or "{}")
        hidden = [{"api_key": self._reveal_key(spec), "config": options}]
        hidden += json.loads(self._specs.reveal(spec, LLM_FALLBACKS) or "[]")
        chain = spec.job.llm_config.chain
        hidden += [{}] * (len(chain) - len(hidden))
        return [
            _of_job(model, one.get("api_key"), one.get("config") or {})
            for model, one in zip(chain, hidden, strict=True)
        ]

    def _reveal_key(self, spec: Spec) -> str | None:
        """Return the job's own key; where it can no longer be opened, None, if the installation has one to take."""
        assert spec.job.llm_config is not None
        known = registered_providers().get(spec.job.llm_config.provider.lower())
        variable = known.key_variable if known is not None else None
        if LLM_KEY not in spec.sealed:
            return None
        substitute = SecretStr("") if self._setting(variable) else None
        return self._specs.reveal(spec, LLM_KEY, substitute, variable or "") or None

    def _of_installation(self) -> Sequence[Wanted]:
        named = (self._settings.llm_provider or "").split(",")
        pairs = (name.strip().partition("/") for name in named if name.strip())
        return [Wanted(provider, model or None) for provider, _, model in pairs]

    def _link(self, wanted: Wanted) -> Link:
        access = self._access(wanted)
        check_access(access)
        overrides = read_prices(self._settings.llm_prices) if self._settings.llm_prices is not None else {}
        return Link(
            name=access.name,
            open=lambda: open_model(access),
            price=_price_of(access, overrides),
            timeout_seconds=min(
                wanted.options.timeout_seconds or self._settings.llm_timeout_secs, self._settings.llm_timeout_secs
            ),
            requests_per_minute=wanted.options.requests_per_minute or self._settings.llm_requests_per_minute,
        )

    def _access(self, wanted: Wanted) -> ModelAccess:
        """Say how to reach a model.

        The installation's own key goes only where the installation sends it, or to hosts that the operator listed: a
        job may name any other host.
        """
        known = registered_providers().get(wanted.provider)
        access = ModelAccess(
            provider=wanted.provider,
            model=wanted.model or (known.default_model if known is not None else None) or "",
            api_key=wanted.api_key,
            temperature=wanted.options.temperature or 0.0,
        )
        own_key = self._setting(known.key_variable if known is not None else None)
        url = wanted.options.base_url
        if url is None:
            own_url = self._setting(known.url_variable if known is not None else None)
            if own_url is None and known is not None and known.is_local and wanted.is_of_job:
                raise InvalidJob(
                    f"{URL_FIELD} is missing, and this installation has no address for {wanted.provider!r}; "
                    f"the operator can set {known.url_variable}"
                )
            return replace(access, base_url=own_url, api_key=access.api_key or own_key)
        policy = access_policy(self._settings)
        if names_listed_host(url, policy, URL_FIELD):
            access = replace(access, api_key=access.api_key or own_key)
        endpoint = judge_host(url, policy, sends_secret=access.api_key is not None, field=URL_FIELD)
        return replace(access, base_url=url, address=endpoint.address)

    def _setting(self, variable: str | None) -> str | None:
        """The value of a setting by the name of its environment variable, None where there is none."""
        if variable is None:
            return None
        for name, option in type(self._settings).model_fields.items():
            if option.alias == variable:
                value = getattr(self._settings, name)
                return value.get_secret_value() if isinstance(value, SecretStr) else value
        return None

    def _budget(self, spec: Spec) -> Budget:
        """The smaller of what the job and what the installation allows."""
        config, settings = spec.job.visualization_config, self._settings
        usd = [limit for limit in (config.llm_budget_usd, settings.llm_budget_usd) if limit is not None]
        tokens = [limit for limit in (config.llm_budget_tokens, settings.llm_budget_tokens) if limit is not None]
        return Budget(min(usd, default=None), min(tokens, default=None))


def _price_of(access: ModelAccess, overrides: Mapping[str, Price]) -> Price | None:
    """The model's price. One without that this machine serves costs nothing; others may lie behind a proxy on it."""
    price = find_price(access.name, overrides, is_local=registered_providers()[access.provider].is_local)
    host = (urlsplit(access.base_url).hostname if access.base_url else None) or ""
    is_here = host == "localhost" or host.startswith("127.")
    return FREE if price is None and is_here else price


def _of_job(model: LanguageModel, api_key: str | None, options: dict[str, object]) -> Wanted:
    return Wanted(
        model.provider.lower(), model.model, api_key or None, LlmOptions.model_validate(options), is_of_job=True
    )
