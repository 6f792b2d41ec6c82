"""Stored jobs and their pages: the attempt that won gets the public key, and nothing else does."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from vis_assets.delivery.job_record import JobRecord
from vis_assets.errors import StoreUnavailable
from vis_assets.protocol.job import Dialect, parse_job
from vis_assets.resources.content_types import HTML
from vis_assets.resources.delivered_jobs import DeliveredJobs
from vis_assets.resources.object_store import FolderStore, ObjectStore
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import SpecStore
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, explorer_job, parsed

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
KEY = "fD0l5y1Fh6-nsAahLDcMeHPsSPkzVIkJmkfCxKQyR4M="
RECORD = JobRecord(EXAMPLE["job_id"], "123", 456, EXAMPLE["owner"], (1, 1), None, attempt=2)
ASIDE = f"attempts/{RECORD.job_id}"
PUBLIC = f"visualizations/{EXAMPLE['owner']}/123"


class WatchedStore(FolderStore):
    """A folder that remembers what was written, in order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[tuple[str, str]] = []

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.written.append((key, content_type))
        super().write(key, source, content_type, metadata)


def jobs_in(store: ObjectStore) -> DeliveredJobs:
    return DeliveredJobs(store, SpecStore(store, Sealer([KEY])))


def fill(store: ObjectStore) -> None:
    """Two attempts at a job, and one at another whose id begins with the same letters."""
    for attempt in (1, 2):
        store.write(f"{ASIDE}/{attempt}/456.html", b"<html>%d" % attempt, HTML)
        store.write(f"{ASIDE}/{attempt}/456_points.zip", b"data %d" % attempt, "application/octet-stream")
    store.write(f"{ASIDE}2/2/456.html", b"<html>other", HTML)


def test_the_page_of_the_record_is_promoted(store: ObjectStore) -> None:
    """Page and data of the record's attempt get their public keys, in a folder and in a bucket, spec or no spec."""
    fill(store)
    jobs_in(store).promote(RECORD)
    assert sorted(store.keys("visualizations/")) == [f"{PUBLIC}/456.html", f"{PUBLIC}/456_points.zip"]
    assert store.read(f"{PUBLIC}/456.html") == b"<html>2"
    assert store.read(f"{PUBLIC}/456_points.zip") == b"data 2"


def test_the_page_is_promoted_last(tmp_path: Path) -> None:
    """The data come before the page that points to them, each with its type."""
    store = WatchedStore(tmp_path)
    fill(store)
    store.written.clear()
    jobs_in(store).promote(RECORD)
    assert store.written == [
        (f"{PUBLIC}/456_points.zip", "application/octet-stream"),
        (f"{PUBLIC}/456.html", HTML),
    ]


def test_promoting_and_discarding_may_be_repeated(store: ObjectStore) -> None:
    """Done again, also after the attempts were removed, promoting changes nothing: the page stays."""
    fill(store)
    jobs = jobs_in(store)
    for _ in range(2):
        jobs.promote(RECORD)
    for _ in range(2):
        jobs.discard(RECORD)
        jobs.promote(RECORD)
    assert store.read(f"{PUBLIC}/456.html") == b"<html>2"


def test_promoted_pages_come_into_the_gallery(store: ObjectStore) -> None:
    """The gallery of the record's owner lists the page once it is asked for, and only because a page was promoted."""
    fill(store)
    jobs = jobs_in(store)
    jobs.update_galleries()
    gallery = f"visualizations/{EXAMPLE['owner']}/index.html"
    assert not store.exists(gallery)
    jobs.promote(RECORD)
    jobs.update_galleries()
    assert b'href="./123/456.html"' in store.read(gallery)


def test_only_the_attempts_of_the_job_are_discarded(store: ObjectStore) -> None:
    """All attempts of a job are removed, and those of a job with a similar id stay."""
    fill(store)
    jobs_in(store).discard(RECORD)
    assert list(store.keys("attempts/")) == [f"{ASIDE}2/2/456.html"]


def test_an_attempt_that_made_no_page_promotes_nothing(store: ObjectStore) -> None:
    """Attempt 1 is not promoted as attempt 10, nor the other way round."""
    store.write(f"{ASIDE}/10/456.html", b"<html>10", HTML)
    jobs_in(store).promote(replace(RECORD, attempt=1))
    assert list(store.keys("visualizations/")) == []


def test_the_sender_is_known_from_the_spec(folder_store: FolderStore) -> None:
    """Who asked, in which dialect, and what to warn of come from the stored job."""
    jobs = jobs_in(folder_store)
    jobs.save(parse_job(explorer_job(visualization_config={"cluster_layer_colormaps": True})))
    sender, warnings = jobs.sender(RECORD)
    assert (sender.dialect, sender.job_id, sender.owner) == (
        Dialect.SEMANTIC_EXPLORER, RECORD.job_id, EXAMPLE["owner"],
    )  # fmt: skip
    assert any("cluster_layer_colormaps" in warning for warning in warnings)


def test_the_sender_is_known_from_the_record_where_the_spec_is_gone(folder_store: FolderStore) -> None:
    """Where the spec was deleted, all ids of the sender are still known."""
    sender, warnings = jobs_in(folder_store).sender(RECORD)
    assert (sender.job_id, sender.visualization_transform_id, sender.visualization_id, sender.owner) == (
        RECORD.job_id, 123, 456, EXAMPLE["owner"],
    )  # fmt: skip
    assert list(warnings) == []


def test_a_dead_letter_holds_no_readable_secret(folder_store: FolderStore) -> None:
    """The stored form of a job has its secrets sealed; of a job whose spec is gone there is none."""
    jobs = jobs_in(folder_store)
    assert jobs.sealed(RECORD) == b"null"
    jobs.save(parsed(vector_database_config={"connection_url": "http://q:6334", "api_key": CANARY}))
    body = jobs.sealed(RECORD)
    assert b"sealed" in body
    assert CANARY.encode() not in body


def test_a_store_that_cannot_be_written_is_not_reachable(tmp_path: Path) -> None:
    """Where no job could be stored it is told before a message is taken."""
    (tmp_path / "store").write_bytes(b"a file in the way")
    with pytest.raises(StoreUnavailable):
        jobs_in(FolderStore(tmp_path / "store")).require_reachable()
