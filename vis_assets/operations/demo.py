"""The demo: a real job, through real servers, to a real map of the docstrings of the installed packages."""

import shutil
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vis_assets.operations.demo_corpus import demo_corpus
from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.job_client import JobClient, Message
from vis_assets.operations.stack import running_stack
from vis_assets.protocol.result import is_success
from vis_assets.settings import Settings

COLLECTION = "python_docstrings"
STAND_IN_PROVIDER = "openai_compatible"
STAND_IN_MODEL = "local-double"
OWNER = "demo@example.com"
TRANSFORM_ID = 1
VISUALIZATION_ID = 1
LONGEST_SECONDS = 1800.0
IDLE_SECONDS = 10.0
"""How long the acknowledgement may lag behind the result before the demo stops everything."""


@dataclass(frozen=True)
class DemoResult:
    """How the demo ended.

    Attributes:
        result: the terminal result message.
        page: the map as a file of this machine; None unless completed.
    """

    result: Message
    page: Path | None


def run_demo(
    settings: Settings, points: int, say: Callable[[str], None], on_progress: Callable[[Message], None]
) -> DemoResult:
    """Start everything, publish one job as a client would, and wait for its result.

    Args:
        settings: of this installation; its NATS, bucket and Qdrant are not touched, the demo has its own. Its language
            models name the topics, where it has any.
        points: how many docstrings to map.
        say: told what happens.
        on_progress: given each progress message.
    """
    home = settings.home.absolute()
    say(f"reading docstrings of the packages of Python {sys.version_info.major}.{sys.version_info.minor}")
    corpus = demo_corpus(points, home / "demo")
    with EmbeddedQdrant() as qdrant, naming_model(settings, say) as llm_config:
        qdrant.load_corpus(COLLECTION, corpus.vectors, corpus.table)
        say(f"Qdrant serves {corpus.count} points of {corpus.dimension} dimensions at {qdrant.url}")
        overrides = {"VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1,localhost"}
        with running_stack(settings, overrides, embedded_nats=True, embedded_store=True, with_ui=False) as stack:
            say(f"NATS, S3 and Dagster are up; publishing a job on {stack.nats_url}")
            client = JobClient(stack.nats_url, settings.result_subject)
            result = client.run(demo_job(qdrant.url, llm_config), on_progress, LONGEST_SECONDS, stack.require_running)
            client.wait_until_idle(IDLE_SECONDS)
            page = None
            if is_success(result) and stack.bucket_folder is not None:
                page = Path(shutil.copy(stack.bucket_folder / result["htmlS3Key"], home / "demo" / "map.html"))
    return DemoResult(result, page)


@contextmanager
def naming_model(settings: Settings, say: Callable[[str], None]) -> Iterator[dict[str, Any] | None]:
    """Serve a stand-in for a language model until the block ends, where the installation has none and wants one.

    Args:
        settings: of this installation.
        say: told who names the topics.

    Yields:
        The `llm_config` of a job that is to be named by the stand-in; None leaves it to the installation.
    """
    if settings.topic_names != "llm":
        say(f"topics are named by {settings.topic_names}, as VIS_ASSETS_TOPIC_NAMES says")
        yield None
    elif settings.llm_provider is not None:
        say(f"topics are named by {settings.llm_provider}, as LLM_PROVIDER says")
        yield None
    else:
        with EmbeddedLlm() as llm:
            say(
                f"a local stand-in for a language model answers at {llm.openai_url}: it only puts keyphrases together. "
                "For names by a real one set LLM_PROVIDER=openai and OPENAI_API_KEY"
            )
            yield {
                "provider": STAND_IN_PROVIDER,
                "model": STAND_IN_MODEL,
                "api_key": None,
                "config": {"base_url": llm.openai_url},
            }


def demo_job(qdrant_url: str, llm_config: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the job message that the demo publishes.

    Args:
        qdrant_url: where the collection is.
        llm_config: which language model names the topics; None leaves it to the installation.
    """
    return {
        "job_id": str(uuid.uuid4()),
        "visualization_transform_id": TRANSFORM_ID,
        "visualization_id": VISUALIZATION_ID,
        "owner": OWNER,
        "embedded_dataset_id": 1,
        "qdrant_collection_name": COLLECTION,
        "visualization_config": {
            "n_neighbors": 15,
            "min_dist": 0.1,
            "metric": "cosine",
            "min_cluster_size": 15,
            "min_samples": 5,
            "title": "What Python packages say about themselves",
            "sub_title": "Docstrings of the installed packages, one point each",
            "noise_label": "In no topic",
            "enable_topic_tree": True,
        },
        "vector_database_config": {"database_type": "qdrant", "connection_url": qdrant_url, "api_key": None},
        "llm_config": llm_config,
    }
