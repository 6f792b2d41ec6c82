"""Jobs through the whole system, as an application sees it: from the published message to the result."""

import contextlib
import queue
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from vis_assets.errors import ComputeFailed
from vis_assets.operations.bench.machine import busy_cpu_seconds
from vis_assets.operations.bench.noop import NoopReport, run_noops
from vis_assets.operations.demo import COLLECTION, demo_job
from vis_assets.operations.demo_corpus import demo_corpus
from vis_assets.operations.embedded_qdrant import EmbeddedQdrant
from vis_assets.operations.job_client import JobClient, Message
from vis_assets.operations.stack import Stack, running_stack
from vis_assets.protocol.result import is_success, is_terminal
from vis_assets.settings import Settings

DIMENSION = 384
LONGEST_SECONDS = 900.0
"""How long nothing may be heard."""
NINTH_TENTH = 0.9


@dataclass(frozen=True)
class JobsReport:
    """What the system did.

    Attributes:
        jobs: how many one after the other, and how many at once.
        points: of each job's map.
        start_seconds: from the command to a system that takes jobs.
        first_seconds: publish to result of the first job.
        median_seconds: publish to result of the others, one after the other.
        p90_seconds: of the same, nine of ten took no longer.
        jobs_per_minute: `jobs` published at once, from the first publish to the last result.
        cpu_seconds_per_job: of the whole machine, while those ran.
        noop: the same number of runs that do nothing, by stock Dagster.
    """

    jobs: int
    points: int
    start_seconds: float
    first_seconds: float
    median_seconds: float
    p90_seconds: float
    jobs_per_minute: float
    cpu_seconds_per_job: float
    noop: NoopReport


def run_jobs(settings: Settings, jobs: int, points: int, say: Callable[[str], None]) -> JobsReport:
    """Start everything that `dev` starts, in a home of its own, and send jobs; then the same with runs that do nothing.

    Args:
        settings: of this installation; its NATS, bucket, Qdrant and Dagster are not touched.
        jobs: how many to send one after the other, and then at once; each makes a map of its own.
        points: of each map, docstrings of the installed packages.
        say: told what is being done.

    Raises:
        ComputeFailed: a job did not complete.
        ProcessFailed: a process ended.
        TimeoutError: a result did not come.
    """
    corpus = demo_corpus(points, settings.home.absolute() / "bench" / "docstrings", DIMENSION)
    with tempfile.TemporaryDirectory(prefix="vis-assets-bench-") as name:
        began = time.monotonic()
        own = settings.model_copy(update={"home": Path(name) / "jobs"})
        with EmbeddedQdrant() as qdrant, _running(own) as stack:
            qdrant.load_corpus(COLLECTION, corpus.vectors, corpus.table)
            say(f"the system is up; {jobs} jobs of {points} points one after the other, then at once")
            sender = _Sender(stack, settings, qdrant.url)
            started = time.monotonic() - began
            first = sender.send_and_wait(1)
            single = [sender.send_and_wait(1) for _ in range(jobs)]
            busy = busy_cpu_seconds()
            together = sender.send_and_wait(jobs)
            cpu_seconds = busy_cpu_seconds() - busy
        say(f"{jobs} runs that do nothing, by stock Dagster")
        noop = run_noops(settings.model_copy(update={"home": Path(name) / "noop"}), jobs)
    return JobsReport(
        jobs=jobs,
        points=corpus.count,
        start_seconds=started,
        first_seconds=first,
        median_seconds=statistics.median(single),
        p90_seconds=sorted(single)[int(NINTH_TENTH * (len(single) - 1) + 0.5)],
        jobs_per_minute=60 * jobs / together,
        cpu_seconds_per_job=cpu_seconds / jobs,
        noop=noop,
    )


@contextlib.contextmanager
def _running(settings: Settings) -> Iterator[Stack]:
    overrides = {"VIS_ASSETS_ALLOWED_HOSTS": "127.0.0.1,localhost"}
    with running_stack(settings, overrides, embedded_nats=True, embedded_store=True, with_ui=True) as stack:
        yield stack


class _Sender:
    """Publishes jobs and hears of their ends; each job is a map of its own."""

    def __init__(self, stack: Stack, settings: Settings, qdrant_url: str) -> None:
        self._stack = stack
        self._client = JobClient(stack.nats_url, settings.result_subject)
        self._qdrant_url = qdrant_url
        self._sent = 0
        self._ends: queue.SimpleQueue[tuple[float, Message]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="bench results", daemon=True).start()

    def send_and_wait(self, count: int) -> float:
        """Publish so many jobs; return the seconds from the first publish to the last result."""
        began = time.monotonic()
        waiting = {self._send() for _ in range(count)}
        last = began
        while waiting:
            try:
                heard, result = self._ends.get(timeout=1)
            except queue.Empty:
                self._stack.require_running()
                if time.monotonic() - last > LONGEST_SECONDS:
                    raise TimeoutError(f"no result of {len(waiting)} jobs for {LONGEST_SECONDS:.0f} s") from None
                continue
            if not is_success(result):
                raise ComputeFailed(f"job {result['jobId']} of the benchmark failed: {result.get('errorMessage')}")
            waiting.discard(result["jobId"])
            last = heard
        return last - began

    def _send(self) -> str:
        self._sent += 1
        job = demo_job(self._qdrant_url)
        job |= {"visualization_transform_id": self._sent, "visualization_id": self._sent}
        self._client.submit(job)
        return str(job["job_id"])

    def _listen(self) -> None:
        for message in self._client.watch():
            if is_terminal(message):
                self._ends.put((time.monotonic(), message))
