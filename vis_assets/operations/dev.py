"""The development stack: everything on this machine, with the Dagster UI, until Ctrl-C."""

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from vis_assets.operations.demo import COLLECTION, STAND_IN_MODEL, STAND_IN_PROVIDER
from vis_assets.operations.demo_corpus import demo_corpus
from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.maps_server import serving_maps
from vis_assets.operations.processes import free_port
from vis_assets.operations.stack import DAGSTER_PORT, Stack, running_stack
from vis_assets.resources.object_store import open_store
from vis_assets.settings import Settings, load_settings, redacted

QDRANT_PORT = 6334
LLM_PORT = 8082


@dataclass(frozen=True)
class DevStack:
    """A running development stack.

    Attributes:
        stack: NATS, store and Dagster.
        maps_url: where maps are served.
        qdrant_url: a Qdrant with the demo collection.
        llm: who names topics where a job does not say: the address of a stand-in for a language model, or the models
            of LLM_PROVIDER.
    """

    stack: Stack
    maps_url: str
    qdrant_url: str
    llm: str

    def addresses(self) -> dict[str, str]:
        """Say where everything is."""
        return {
            "dagster": str(self.stack.dagster_url),
            "nats": redacted(self.stack.nats_url),
            "maps": f"{self.maps_url}/maps/",
            "qdrant": self.qdrant_url,
            "collection": COLLECTION,
            "llm": self.llm,
            "home": str(self.stack.home),
        }

    def wait(self) -> None:
        """Return never; raise ProcessFailed where a process ends."""
        while True:
            self.stack.require_running()
            time.sleep(1)


@contextlib.contextmanager
def running_dev_stack(settings: Settings, points: int) -> Iterator[DevStack]:
    """Run the development stack until the block ends.

    A NATS, a bucket or a language model that the environment names is used; else there are embedded ones.

    Args:
        settings: of this installation.
        points: size of the demo collection.

    Raises:
        ProcessFailed: a process did not start.
    """
    corpus = demo_corpus(points, settings.home.absolute() / "demo")
    http_port = free_port(settings.health_check_port)
    overrides = {"HEALTH_CHECK_PORT": str(http_port)}
    overrides["VIS_ASSETS_ALLOWED_HOSTS"] = ",".join({*(settings.allowed_hosts or {"*"}), "127.0.0.1", "localhost"})
    embedded_nats = not os.environ.get("NATS_URL")
    embedded_store = settings.s3_bucket_name is None and settings.store_dir is None
    with contextlib.ExitStack() as open_until_exit:
        qdrant = open_until_exit.enter_context(EmbeddedQdrant(free_port(QDRANT_PORT)))
        qdrant.load_corpus(COLLECTION, corpus.vectors, corpus.table)
        if settings.llm_provider is None:
            llm = open_until_exit.enter_context(EmbeddedLlm(free_port(LLM_PORT))).openai_url
            overrides["LLM_PROVIDER"] = f"{STAND_IN_PROVIDER}/{STAND_IN_MODEL}"
            overrides["OPENAI_COMPATIBLE_BASE_URL"] = llm
        else:
            llm = settings.llm_provider
        stack = open_until_exit.enter_context(
            running_stack(
                settings,
                overrides,
                embedded_nats=embedded_nats,
                embedded_store=embedded_store,
                with_ui=True,
                dagster_port=DAGSTER_PORT,
            )
        )
        store = open_store(load_settings(stack.environment))
        maps_url = open_until_exit.enter_context(serving_maps(store, http_port))
        yield DevStack(stack, maps_url, qdrant.url, llm)
