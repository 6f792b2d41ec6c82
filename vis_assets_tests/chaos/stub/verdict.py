"""What became of the jobs: the judge of the long tier, and the pages, which many jobs share here."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from nats.aio.client import Client

from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.ledger import read_result
from vis_assets.errors import ObjectMissing
from vis_assets.resources.object_store import ObjectStore
from vis_assets_tests.chaos.producer import Ledger, Verdict, judge, make_jobs
from vis_assets_tests.chaos.stub.runner import ABSENT, DEAD_URL

QDRANT_URL = "http://127.0.0.1:6334"
SHARED_PAGE = 1_000_000
"""The page of a transform that all its good and missing jobs make; each poison job has one of its own."""
JOBS_OF_A_TRANSFORM = 20
SUPERSEDED = "superseded by "


@dataclass(frozen=True)
class Message:
    """One message that is sent.

    Attributes:
        kind: see producer.Ledger.
        payload: its body.
        job_id: as in the body; empty for a message that is no job.
        number: its place in the order of sending.
        page: object key of its page.
    """

    kind: str
    payload: bytes
    job_id: str = ""
    number: int = 0
    page: str = ""


@dataclass(frozen=True)
class StubVerdict:
    """What the long tier counts, and what only many jobs of one page can show.

    Attributes:
        base: the counts of the long tier; `wrong` and `poison` know of superseded and canceled jobs.
        superseded: jobs that failed because a newer one had made their page.
        canceled: jobs that were told to stop, and did.
        pages: public pages.
        wrong_pages: those that are not of the attempt that won at the newest completed job.
    """

    base: Verdict
    superseded: int
    canceled: int
    pages: int
    wrong_pages: int

    @property
    def is_clean(self) -> bool:
        """Whether nothing was lost, told wrongly, drawn over or left over."""
        return self.base.is_clean and self.wrong_pages == 0

    @property
    def rows(self) -> list[tuple[str, int]]:
        """The table."""
        own = [(name, value) for name, value in self.__dict__.items() if name != "base"]
        return [*self.base.__dict__.items(), *own]


def make_messages(count: int, seed: int) -> list[Message]:
    """Make the messages of the long tier, but let the good and missing jobs of one transform share one page."""
    made = []
    for number, (kind, payload) in enumerate(make_jobs(count, seed, QDRANT_URL, DEAD_URL)):
        if kind == "invalid":
            made.append(Message(kind, payload, number=number))
            continue
        job = json.loads(payload)
        job["visualization_transform_id"] = number % max(7, count // JOBS_OF_A_TRANSFORM)
        if kind != "poison":
            job["visualization_id"] = SHARED_PAGE
        assert (job["qdrant_collection_name"] == ABSENT) == (kind == "missing")
        page = f"visualizations/{job['owner']}/{job['visualization_transform_id']}/{job['visualization_id']}.html"
        made.append(Message(kind, json.dumps(job).encode(), job["job_id"], number, page))
    return made


def judge_stub(
    connection: NatsConnection, store: ObjectStore, ledger: Ledger, sent: list[Message], canceled: set[str]
) -> StubVerdict:
    """Compare what was sent with the records, with what was told, and with the pages."""
    jobs = {message.job_id: message for message in sent if message.job_id}
    told = connection.run(lambda c: _results(c, jobs), timeout=120)
    excused = {job_id for job_id in jobs if _is_superseded(job_id, jobs, told)}
    stopped = {job_id for job_id in canceled if _status(told, job_id) == "canceled"}
    expected = {"good": "completed", "missing": "failed", "poison": "failed"}
    wrong = [
        job_id
        for job_id, message in jobs.items()
        if job_id in told and job_id not in excused | stopped and _status(told, job_id) != expected[message.kind]
    ]
    newest = _newest_completed(jobs, told)
    base = judge(connection, ledger)
    stopped_poison = sum(jobs[job_id].kind == "poison" for job_id in stopped)
    return StubVerdict(
        base=replace(base, wrong=len(wrong), poison=base.poison - stopped_poison),
        superseded=len(excused),
        canceled=len(stopped),
        pages=len(newest),
        wrong_pages=sum(not _is_of(store, page, told[job_id]) for page, job_id in newest.items()),
    )


async def _results(client: Client, job_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read the terminal results that there are."""
    results = {job_id: await read_result(client, job_id) for job_id in job_ids}
    return {job_id: json.loads(result) for job_id, result in results.items() if result is not None}


def _status(told: dict[str, dict[str, Any]], job_id: str) -> str:
    return str(told.get(job_id, {}).get("status", "nothing"))


def _is_superseded(job_id: str, jobs: dict[str, Message], told: dict[str, dict[str, Any]]) -> bool:
    """Whether it failed because a newer job of its page completed, and that is true."""
    error = told.get(job_id, {}).get("errorMessage") or ""
    winner = error.removeprefix(SUPERSEDED)
    if _status(told, job_id) != "failed" or winner == error or winner not in jobs:
        return False
    newer, older = jobs[winner], jobs[job_id]
    return newer.page == older.page and newer.number > older.number and _status(told, winner) == "completed"


def _newest_completed(jobs: dict[str, Message], told: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Page -> the newest job that completed it."""
    done = [message for job_id, message in jobs.items() if _status(told, job_id) == "completed"]
    return {message.page: message.job_id for message in sorted(done, key=lambda message: message.number)}


def _is_of(store: ObjectStore, page: str, result: dict[str, Any]) -> bool:
    """Whether the page, and the file beside it, are of the attempt that the job's result tells of."""
    wanted = [result["jobId"], str(result["statsJson"]["attempt"])]
    try:
        made = [store.read(key).decode() for key in (page, f"{page.removesuffix('.html')}_points.zip")]
    except ObjectMissing:
        return False
    return all(text.removeprefix("<html>").split()[:2] == wanted for text in made)
