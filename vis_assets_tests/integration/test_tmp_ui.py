"""Temporary."""

from vis_assets_tests.integration.test_dagster_ui import *


def test_shot(tab, live):
    """Look."""
    live.application.result(live.sent.platform["job_id"])
    live.application.result(live.sent.big["job_id"])
    tab.set_default_timeout(15000)
    for p in ("126", "124"):
        tab.goto(f"/assets/cluster_names?view=partitions&partition={p}")
        tab.get_by_text("Show Markdown").first.click()
        tab.wait_for_timeout(2500)
        tab.screenshot(path=f"/work/scratch/ops_{p}.png")
        open(f"/work/scratch/ops_{p}.html", "w").write(tab.content())
