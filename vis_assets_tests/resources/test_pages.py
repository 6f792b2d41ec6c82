"""Pages: where a map's public objects go."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
from dagster import DagsterInstance, asset, materialize
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.run_tags import tags_for
from vis_assets.errors import PermanentError
from vis_assets.page.gallery import read_card
from vis_assets.protocol.job import parse_job
from vis_assets.resources.content_types import HTML, content_type
from vis_assets.resources.object_store import FolderStore
from vis_assets.resources.pages import MapPage, PageIOManager, files_around, folder_of, page_key
from vis_assets.resources.run_spec import RunSpecs
from vis_assets.resources.sealing import Sealer
from vis_assets.resources.specs import SpecStore
from vis_assets_tests.protocol.messages import parsed, worker_job

KEY = "fD0l5y1Fh6-nsAahLDcMeHPsSPkzVIkJmkfCxKQyR4M="
PAGE = MapPage(page_key(parsed().job), b"<html>", {"456_point.zip": b"data"}, {"job-id": "j", "points": "3"})


class WatchedStore(FolderStore):
    """A folder that remembers what was written, in order."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.written: list[tuple[str, str, Mapping[str, str] | None]] = []

    def write(
        self, key: str, source: bytes | Path, content_type: str, metadata: Mapping[str, str] | None = None
    ) -> None:
        self.written.append((key, content_type, metadata))
        super().write(key, source, content_type, metadata)


def test_the_page_lies_where_the_specification_says() -> None:
    """The key is made of owner, transform and visualization."""
    assert page_key(parsed().job) == "visualizations/user@example.com/123/456.html"


@given(st.from_regex(r"[A-Za-z0-9@_+-][A-Za-z0-9@._+-]{0,127}", fullmatch=True), st.integers(0, 2**63 - 1))
def test_no_owner_escapes_its_folder(owner: str, number: int) -> None:
    """Whatever valid job asks, its page lies three levels below the root, under its owner."""
    job = parse_job(worker_job(owner=owner, visualization_transform_id=number, visualization_id=number)).job
    assert page_key(job).split("/") == ["visualizations", owner, str(number), f"{number}.html"]


@pytest.mark.parametrize("owner", ["..", "../x", ".", "", "a\n"])
def test_a_hostile_owner_is_refused_once_more(owner: str) -> None:
    """Even an owner that came past validation has no folder."""
    with pytest.raises(PermanentError):
        folder_of(owner, "1")
    job = parsed().job.model_copy(update={"owner": owner})
    with pytest.raises(PermanentError):
        page_key(job)


def test_the_page_is_written_last_and_can_be_loaded(tmp_path: Path) -> None:
    """Data files come before the page, each with its type; a later reader gets the page of the latest job."""
    store = WatchedStore(tmp_path)
    run_specs = RunSpecs(SpecStore(store, Sealer([KEY])))
    SpecStore(store, Sealer([KEY])).save(parsed())
    store.written.clear()
    seen: list[MapPage] = []

    @asset(partitions_def=visualization_transforms, io_manager_key="io")
    def page() -> MapPage:
        return PAGE

    @asset(partitions_def=visualization_transforms, io_manager_key="io")
    def reader(page: MapPage) -> MapPage:
        seen.append(page)
        return PAGE

    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("visualization_transform_id", ["123"])
        for name in ("page", "reader"):
            materialize(
                [page, reader],
                selection=[name],
                partition_key="123",
                instance=instance,
                resources={"io": PageIOManager(store, run_specs)},
            )
    assert store.written[:2] == [
        ("visualizations/user@example.com/123/456_point.zip", "application/octet-stream", None),
        (PAGE.key, HTML, {"job-id": "j", "points": "3"}),
    ]
    assert [(page.key, page.html) for page in seen] == [(PAGE.key, PAGE.html)]


def make_page(store: FolderStore, tags: dict[str, str]) -> None:
    """Let a run with these tags make the page."""

    @asset(partitions_def=visualization_transforms, io_manager_key="io")
    def page() -> MapPage:
        return PAGE

    run_specs = RunSpecs(SpecStore(store, Sealer([KEY])))
    with DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions("visualization_transform_id", ["123"])
        materialize(
            [page],
            partition_key="123",
            instance=instance,
            resources={"io": PageIOManager(store, run_specs)},
            tags=tags,
        )


def test_the_page_of_an_attempt_lies_aside(tmp_path: Path) -> None:
    """A run that a job asked for writes its own attempt's folder only, data before the page; the public page stays."""
    store = WatchedStore(tmp_path)
    store.write(PAGE.key, b"<html>public", HTML)
    store.written.clear()
    make_page(store, tags_for(JobRecord("job-1", "123", 456, "o", (1, 1), None, attempt=3), "w"))
    assert store.written == [
        ("attempts/job-1/3/456_point.zip", "application/octet-stream", None),
        ("attempts/job-1/3/456.html", HTML, {"job-id": "j", "points": "3"}),
    ]
    assert store.read(PAGE.key) == b"<html>public"


def test_the_page_of_a_launch_from_the_ui_is_public_at_once(tmp_path: Path) -> None:
    """A run without a job writes where the owner looks, lists the map in the gallery, and leaves no attempt."""
    store = FolderStore(tmp_path)
    make_page(store, {})
    owner = "visualizations/user@example.com"
    assert sorted(store.keys("")) == [
        f"{owner}/123/456.html", f"{owner}/123/456_point.zip", f"{owner}/index.html", f"{owner}/index.json",
    ]  # fmt: skip
    assert b'href="./123/456.html"' in store.read(f"{owner}/index.html")


def test_what_lies_around_a_page() -> None:
    """Picture, tables and card have the names of the visualization, and each its type; hostile titles are cleaned."""
    job = parsed(visualization_config={"title": "A\u202e\x00  map " + "x" * 400}).job
    made_at = datetime(2026, 11, 22, 12, tzinfo=UTC)
    files = files_around(
        job, thumbnail=b"png", points_file=b"points", names_file=b"names", points=3, clusters=2, made_at=made_at
    )
    assert {name: content_type(name) for name in files} == {
        "456.png": "image/png",
        "456.points.parquet": "application/vnd.apache.parquet",
        "456.names.parquet": "application/vnd.apache.parquet",
        "456.json": "application/json",
    }
    card = read_card(files["456.json"])
    assert card is not None
    assert (card.points, card.clusters, card.made_at, card.job_id) == (3, 2, made_at, job.job_id)
    assert card.title.startswith("A map xxx")
    assert len(card.title) == 300
    rest = {"points_file": b"", "names_file": b"", "points": 3, "clusters": 2, "made_at": made_at}
    untitled = files_around(parsed().job, thumbnail=b"", **rest)["456.json"]  # type: ignore[arg-type]
    assert json.loads(untitled)["title"] == "embedded_789_embedder_1"


def test_a_page_is_printed_without_its_content() -> None:
    """The text form of a page shows neither the page nor its data."""
    assert "<html>" not in repr(PAGE)
