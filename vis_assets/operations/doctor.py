"""Checks of every configured connection, each with the way to mend what fails."""

import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from nats.aio.client import Client

from vis_assets.delivery.access import NatsAccess
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_stream import ensure_stream, queue_depth
from vis_assets.errors import ModelUnavailable, NoModelAnswered, VisAssetsError
from vis_assets.llm.chain import Link, ModelChain, Patience
from vis_assets.llm.ledger import Ledger
from vis_assets.naming.answer import read_names
from vis_assets.naming.evidence import ClusterEvidence
from vis_assets.naming.prompt import MAX_INPUT_TOKENS, Request, Style, ask, describe
from vis_assets.page.fonts import fonts_available
from vis_assets.resources.compute.dask_compute import describe_cluster
from vis_assets.resources.language_models import LanguageModels
from vis_assets.resources.object_store import open_store
from vis_assets.resources.sealing import open_sealer
from vis_assets.resources.specs import SpecStore
from vis_assets.resources.vector_database import access_policy
from vis_assets.settings import Settings
from vis_assets.sources.points import SourceRequest
from vis_assets.sources.qdrant import check_connection

MODELS = "language models"
NO_MODEL = (
    "none, so keyphrases name clusters, except those of jobs with an llm_config; LLM_PROVIDER names one for all others"
)
_BAKING = ClusterEvidence(
    layer=0,
    label=0,
    parent=-1,
    size=3,
    keyphrases=("sourdough bread", "oven", "yeast"),
    documents=("Sourdough bread needs no yeast from a shop.", "How hot must an oven be for bread?"),
)
"""What a model is asked a name for: the smallest question that is like those of jobs."""


@dataclass(frozen=True)
class Finding:
    """What one check found.

    Attributes:
        name: what was checked.
        passed: whether it works.
        detail: what was found, and how to mend it.
    """

    name: str
    passed: bool
    detail: str


def examine(settings: Settings, qdrant_url: str | None = None) -> Iterator[Finding]:
    """Check each connection in turn; language models are asked one small question each, which may cost money.

    Args:
        settings: of this installation.
        qdrant_url: a Qdrant to check too; jobs bring their own, so none is configured.
    """
    yield _try("nats", lambda: _nats(settings))
    yield _try("store", lambda: _store(settings))
    yield _try("secrets", lambda: _sealing(settings))
    yield _try("home", lambda: _home(settings))
    yield Finding(
        "page fonts",
        fonts_available(),
        "built"
        if fonts_available()
        else "not built, so pages use their readers' own; run `make setup` or `python -m vis_assets.page.fonts`",
    )
    address = settings.dask_scheduler
    if settings.compute == "dask" and address is not None:
        yield _try("compute", lambda: describe_cluster(address))
    yield from _language_models(settings)
    if qdrant_url is not None:
        key = settings.qdrant_api_key
        request = SourceRequest("qdrant", qdrant_url, "", key.get_secret_value() if key else None)
        yield _try("qdrant", lambda: check_connection(request, access_policy(settings)))


def _try(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except VisAssetsError as error:
        return Finding(name, False, str(error))


def _language_models(settings: Settings) -> Iterator[Finding]:
    if settings.llm_provider is None:
        yield Finding(MODELS, True, NO_MODEL)
        return
    try:
        models = LanguageModels(settings, SpecStore(open_store(settings), open_sealer(settings))).of_installation()
    except VisAssetsError as error:
        yield Finding(MODELS, False, str(error))
        return
    for name, make_link in models:
        yield _try(name, partial(_ask, make_link))


def _ask(make_link: Callable[[], Link]) -> str:
    """Ask one model for one name, once, as a job asks."""
    ledger, started = Ledger(), time.perf_counter()
    question = ask([describe(Request(_BAKING), Style(), MAX_INPUT_TOKENS)], Style())
    try:
        with ModelChain([make_link()], ledger, Patience(attempts=1, longest_rest_seconds=0.0)) as chain:
            chain.ask(question, lambda completion: read_names(completion.text, [_BAKING]))
    except NoModelAnswered:
        (fallback,) = ledger.usage.fallbacks
        raise ModelUnavailable(fallback.reason) from None
    seconds, used = time.perf_counter() - started, ledger.usage
    tokens = "tokens (estimated)" if used.estimated_tokens else "tokens"
    return f"answered in {seconds:.1f} s; {used.input_tokens} + {used.output_tokens} {tokens}"


def _nats(settings: Settings) -> str:
    async def look(client: Client) -> tuple[int, int]:
        await ensure_stream(client)
        return await queue_depth(client)

    access = NatsAccess.of(settings)
    with NatsConnection(access, "vis-assets doctor") as connection:
        waiting, handed_out = connection.run(look)
    return f"{access.servers}: {waiting} jobs wait, {handed_out} are being worked on"


def _store(settings: Settings) -> str:
    store, key = open_store(settings), f"doctor/{uuid.uuid4().hex}.txt"
    store.write(key, b"vis-assets doctor", "text/plain")
    with tempfile.TemporaryDirectory() as folder:
        store.download(key, Path(folder) / "copy")
    store.delete(key)
    return f"{store.describe()}: can write, read and delete"


def _sealing(settings: Settings) -> str:
    sealer = open_sealer(settings)
    sealer.open(sealer.seal("doctor"))
    return "sealing key from VIS_ASSETS_SECRET_KEY" if settings.secret_key else "sealing key from the home folder"


def _home(settings: Settings) -> str:
    home = settings.home.absolute()
    try:
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return f"{home}: can write"
    except OSError as error:
        raise VisAssetsError(
            f"{home} cannot be written: {error.strerror}; set VIS_ASSETS_HOME to a folder of yours"
        ) from None
