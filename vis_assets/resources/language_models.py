"""Opening the language models that a job, or else the installation, wants to be asked, with the keys that they need."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from urllib.parse import urlsplit

from pydantic import SecretStr, ValidationError

from vis_assets.errors import InvalidJob, SecretUnreadable, VisAssetsError
from vis_assets.llm import URL_FIELD, check_access, open_model, registered_providers
from vis_assets.llm.chain import Link, ModelChain, Patience
from vis_assets.llm.ledger import Budget, Ledger
from vis_assets.llm.model import ModelAccess
from vis_assets.llm.prices import FREE, Price, find_price, read_prices
from vis_assets.naming.prompt import MAX_INPUT_TOKENS
from vis_assets.protocol.job import LanguageModel, LlmOptions
from vis_assets.resources.specs import LLM_FALLBACKS, LLM_KEY, LLM_OPTIONS, Spec, SpecStore
from vis_assets.resources.vector_database import access_policy
from vis_assets.settings import Settings
from vis_assets.sources.hosts import judge_host

_OF_INSTALLATION = "LLM_PROVIDER"
NO_MODEL_LEFT = "no language model is asked: keyphrases name the clusters"


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
class Unusable:
    """A model that is wanted and cannot be asked.

    Attributes:
        name: what people are told.
        reason: why; a sentence.
    """

    name: str
    reason: str


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
        wanted = self._wanted(spec) if is_wanted else ()
        links, notes = self._links(wanted, ledger)
        asked = [one.options.max_input_tokens or MAX_INPUT_TOKENS for one in wanted if isinstance(one, Wanted)]
        most_tokens = min(asked, default=MAX_INPUT_TOKENS)
        if not links:
            yield Dialogue(None, ledger, most_tokens, (*notes, NO_MODEL_LEFT) if notes else ())
            return
        patience = Patience(attempts=self._settings.llm_attempts, total_seconds=self._settings.llm_total_secs)
        with ModelChain(links, ledger, patience) as chain:
            yield Dialogue(chain, ledger, most_tokens, tuple(notes))

    def _links(self, wanted: "Sequence[Wanted | Unusable]", ledger: Ledger) -> tuple[list[Link], list[str]]:
        """Make the links of a chain; what cannot be one is told to the ledger, and as notes."""
        links: list[Link] = []
        notes: list[str] = []
        for one in wanted:
            reason = one.reason if isinstance(one, Unusable) else ""
            if isinstance(one, Wanted):
                try:
                    links.append(self._link(one))
                except VisAssetsError as error:
                    reason = str(error)
            if reason:
                ledger.fall_back(one.name, reason)
                notes.append(f"language model {one.name} is not used: {reason}")
        return links, notes

    def of_installation(self) -> Sequence[tuple[str, Callable[[], Link]]]:
        """Return the models of LLM_PROVIDER in order: the name of each, and what makes its link of a chain.

        Making the link raises InvalidJob or ModelRefused where the model cannot be used, InvalidSetting where the file
        of prices cannot.
        """
        return [(one.name, partial(self._link, one)) for one in self._of_installation()]

    def _wanted(self, spec: Spec) -> "Sequence[Wanted | Unusable]":
        llm = spec.job.llm_config
        if llm is None:
            return self._of_installation()
        fallbacks: Sequence[Wanted | Unusable]
        try:
            hidden = json.loads(self._specs.reveal(spec, LLM_FALLBACKS) or "[]") or [{}] * len(llm.fallbacks)
            fallbacks = [
                _of_job(model, one.get("api_key"), one.get("config") or {})
                for model, one in zip(llm.fallbacks, hidden, strict=True)
            ]
        except SecretUnreadable as error:
            # With their addresses lost too, documents could go elsewhere than the job said.
            fallbacks = [Unusable(f"{model.provider}/{model.model}", str(error)) for model in llm.fallbacks]
        try:
            options = json.loads(self._specs.reveal(spec, LLM_OPTIONS) or "{}")
            return [_of_job(llm, self._reveal_key(spec), options), *fallbacks]
        except SecretUnreadable as error:
            return [Unusable(f"{llm.provider}/{llm.model}", str(error)), *fallbacks]

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
        return [Wanted(provider.lower(), model or None) for provider, _, model in pairs]

    def _link(self, wanted: Wanted) -> Link:
        """Make the link of a chain; where it cannot be, say so in terms of the job, or else of the settings."""
        try:
            access = self._access(wanted)
            check_access(access)
        except VisAssetsError as error:
            if wanted.is_of_job:
                raise
            raise type(error)(_in_terms_of_settings(str(error), wanted.provider)) from None
        overrides = read_prices(self._settings.llm_prices) if self._settings.llm_prices is not None else {}
        return Link(
            name=access.name,
            open=lambda: open_model(access),
            price=_price_of(access, overrides),
            timeout_seconds=_least(wanted.options.timeout_seconds, self._settings.llm_timeout_secs)
            or self._settings.llm_timeout_secs,
            requests_per_minute=_least(wanted.options.requests_per_minute, self._settings.llm_requests_per_minute),
        )

    def _access(self, wanted: Wanted) -> ModelAccess:
        """Say how to reach a model.

        The installation's own key goes only to the installation's own address: a job may name any other.
        """
        known = registered_providers().get(wanted.provider)
        access = ModelAccess(
            provider=wanted.provider,
            model=wanted.model or (known.default_model if known is not None else None) or "",
            api_key=wanted.api_key,
            temperature=wanted.options.temperature or 0.0,
        )
        if not access.model and known is not None:
            raise InvalidJob(
                f"{wanted.provider!r} has no usual model, and none is named; name one, e.g. {wanted.provider}/llama3.2"
            )
        url = wanted.options.base_url
        if url is None:
            own_key = self._setting(known.key_variable if known is not None else None)
            own_url = self._setting(known.url_variable if known is not None else None)
            if own_url is None and known is not None and known.is_local and wanted.is_of_job:
                raise InvalidJob(
                    f"{URL_FIELD} is missing, and this installation has no address for {wanted.provider!r}; "
                    f"the operator can set {known.url_variable}"
                )
            return replace(access, base_url=own_url, api_key=access.api_key or own_key)
        endpoint = judge_host(
            url, access_policy(self._settings), sends_secret=access.api_key is not None, field=URL_FIELD
        )
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
        tokens = [limit for limit in (config.llm_budget_tokens, settings.llm_budget_tokens) if limit is not None]
        return Budget(_least(config.llm_budget_usd, settings.llm_budget_usd), min(tokens, default=None))


def _least(*limits: float | None) -> float | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _in_terms_of_settings(message: str, provider: str) -> str:
    known = registered_providers().get(provider)
    message = message.replace("llm_config.provider", _OF_INSTALLATION)
    if known is not None and known.key_variable:
        message = message.replace(f"llm_config.api_key or {known.key_variable}", known.key_variable)
    if known is not None and known.url_variable:
        message = message.replace(URL_FIELD, known.url_variable)
    return message


def _price_of(access: ModelAccess, overrides: Mapping[str, Price]) -> Price | None:
    """The model's price. One without that this machine serves costs nothing; others may lie behind a proxy on it."""
    price = find_price(access.name, overrides, is_local=registered_providers()[access.provider].is_local)
    host = (urlsplit(access.base_url).hostname if access.base_url else None) or ""
    is_here = host == "localhost" or host.startswith("127.")
    return FREE if price is None and is_here else price


def _of_job(model: LanguageModel, api_key: str | None, options: dict[str, object]) -> Wanted | Unusable:
    """Read what was sealed; an earlier version sealed whatever the job held."""
    try:
        read = LlmOptions.model_validate(options)
    except ValidationError as error:
        names = ", ".join(sorted({".".join(map(str, problem["loc"]))[:64] for problem in error.errors()}))
        reason = f"its stored options are not valid ({names}); send the job again"
        return Unusable(f"{model.provider}/{model.model}", reason)
    return Wanted(model.provider.lower(), model.model, api_key or None, read, is_of_job=True)
