"""Dagster's real UI in a headless browser: what an operator sees and clicks.

SCREENSHOTS=1 also writes the pictures of the README to docs/images.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from vis_assets.operations.chromium import HEADLESS_ARGUMENTS, find_browser
from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.wire import eventually

IMAGES = Path(__file__).parents[2] / "docs" / "images"
GROUP = "/locations/__repository__@vis_assets/asset-groups/visualization/lineage"
ASSETS = ("visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map")
FINISHED = ("123", "124", "125", "126")
"""Partitions of maps; beside them are those of jobs that had to fail, of which the README shows none."""
PATIENCE_MS = 60_000
COLUMNS_OF_NAMES = ["Layer (0 = finest)", "Name", "Points", "Named by", "Keyphrases", "Examples"]
WITH_PICTURES = os.environ.get("SCREENSHOTS") == "1"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    program = find_browser()
    if program is None:
        pytest.skip("NO BROWSER: run python -m vis_assets_tests.install_browser, or set CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=list(HEADLESS_ARGUMENTS))
        yield browser
        browser.close()


@pytest.fixture
def tab(browser: Any, live: Live) -> Iterator[Any]:
    """An empty tab that finds Dagster at `/`."""
    context = browser.new_context(viewport={"width": 1400, "height": 900}, base_url=live.dagster.url)
    context.set_default_timeout(PATIENCE_MS)
    yield context.new_page()
    context.close()


def shown(tab: Any, text: str, *, exact: bool = False) -> Any:
    """The last visible element with a text; waits for it."""
    element = tab.get_by_text(text, exact=exact).locator("visible=true").last
    element.wait_for()
    return element


def opened_table(tab: Any) -> Any:
    """The table of names, which Dagster shows at its place or, where it is long, in a dialog."""
    tables = tab.get_by_role("table")
    table = tables.filter(has=tab.get_by_role("columnheader", name="Keyphrases")).filter(has_not=tables)
    dialog = tab.get_by_text("Show Markdown")
    table.or_(dialog).first.wait_for()
    if dialog.count():
        dialog.click()
    table.wait_for()
    return table


def picture(tab: Any, name: str) -> None:
    """Keep a picture for the README where pictures are wanted."""
    if WITH_PICTURES:
        tab.wait_for_timeout(2500)
        IMAGES.mkdir(parents=True, exist_ok=True)
        tab.screenshot(path=str(IMAGES / f"dagster_{name}.png"))


def test_lineage_is_shown(tab: Any, live: Live) -> None:
    """The asset group shows the graph with all six assets."""
    live.application.result(live.sent.big["job_id"])
    if WITH_PICTURES:
        live.dagster.forget([key for key in live.dagster.partitions() if key not in FINISHED])
    tab.goto(GROUP)
    for asset in ASSETS:
        shown(tab, asset, exact=True)
    tab.get_by_text("Hide navigation").click()
    picture(tab, "lineage")


def test_partition_shows_what_was_made(tab: Any, live: Live) -> None:
    """A partition's page shows its metadata, a picture of the map, and a link that opens the map itself."""
    live.application.result(live.sent.big["job_id"])
    tab.goto("/assets/html_map?view=partitions&partition=126")
    shown(tab, "point_count", exact=True)
    shown(tab, "10000", exact=True)
    link = tab.get_by_role("link", name="/maps/user%40example.com/126/1.html").first.get_attribute("href")
    tab.get_by_text("Show Markdown").click()
    image = tab.locator("img[src^='data:image/png;base64,']")
    image.wait_for()
    assert image.evaluate("(image) => image.complete && image.naturalWidth") > 200
    picture(tab, "asset")
    answer = tab.goto(link)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")


def test_names_are_shown_as_a_table(tab: Any, live: Live) -> None:
    """The page of the names shows a table of every cluster."""
    live.application.result(live.sent.big["job_id"])
    tab.goto("/assets/cluster_names?view=partitions&partition=126")
    table = opened_table(tab)
    heads = [cell.strip() for cell in table.locator("th").all_inner_texts()]
    assert heads == COLUMNS_OF_NAMES
    assert table.locator("tbody tr").count() >= 20
    picture(tab, "names")


def test_documents_are_text_in_the_table_of_names(tab: Any, live: Live) -> None:
    """What documents say shows as text in that table: no HTML, no Markdown, no link and no image of theirs."""
    live.application.result(live.sent.platform["job_id"])
    tab.goto("/assets/cluster_names?view=partitions&partition=124")
    table = opened_table(tab)
    assert table.locator("tbody tr").count() == 2
    assert table.locator("td").count() == 2 * len(COLUMNS_OF_NAMES)
    shown_texts = [row.replace("\u200b", "") for row in table.locator("tbody tr").all_inner_texts()]
    assert all(jobs.HOSTILE in row for row in shown_texts)
    assert table.locator("img, a, strong, em, code, script, br").count() == 0


def test_runs_are_shown_with_their_job(tab: Any, live: Live) -> None:
    """The list of runs shows the runs of jobs, and a run's page its partition, its steps and its log."""
    job_id = live.sent.big["job_id"]
    live.application.result(job_id)
    tab.goto("/runs")
    shown(tab, "visualization_map")
    run = live.dagster.run_of_job(job_id)
    tab.goto(f"/runs/{run['runId']}")
    shown(tab, "partition: 126")
    shown(tab, "6 assets")
    shown(tab, "html_map", exact=True)
    shown(tab, "RUN_SUCCESS", exact=True)
    shown(tab, "Success")
    picture(tab, "run")


def test_one_partition_is_materialized_by_clicking(tab: Any, live: Live) -> None:
    """Materialize, one partition, Launch: that is all it takes to make an asset anew, and NATS hears nothing of it."""
    job_id = live.sent.example["job_id"]
    live.application.result(job_id)
    said, before = live.application.about(job_id), {run["runId"] for run in live.dagster.runs(dagster__partition="123")}
    tab.goto("/assets/cluster_labels")
    tab.get_by_role("button", name="Materialize").first.click()
    tab.get_by_text("Select a partition or create one").click()
    shown(tab, "Select all")
    tab.keyboard.type("123")
    over_the_page = tab.locator(".dagster-portal")
    over_the_page.get_by_text("123", exact=True).locator("visible=true").last.click()
    shown(tab, "Launch runs to materialize cluster_labels").click()
    tab.get_by_role("button", name="Launch 1 run").click()

    def launched() -> set[str]:
        return {run["runId"] for run in live.dagster.runs(dagster__partition="123")} - before

    eventually(lambda: len(launched()) == 1, "the click launched a run")
    assert live.dagster.ended(launched().pop()) == "SUCCESS"
    assert live.application.about(job_id) == said
