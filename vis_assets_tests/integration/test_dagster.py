"""The graph as an operator meets it, by Dagster's GraphQL: lineage, metadata, checks, launches by hand, backfills."""

import json
import urllib.request

from vis_assets_tests.integration.dagster_api import LOCATION
from vis_assets_tests.integration.live import DOCSTRING_COUNT, Live

LINEAGE = {
    "visualization_job": set(),
    "vectors": {"visualization_job"},
    "embedding_2d": {"visualization_job", "vectors"},
    "cluster_labels": {"visualization_job", "embedding_2d"},
    "cluster_names": {"visualization_job", "vectors", "cluster_labels"},
    "html_map": {"visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names"},
}
CHECKS = {
    "vectors": {"vectors_present", "vectors_finite", "vectors_of_one_dimension"},
    "cluster_labels": {"noise_share", "every_point_labelled"},
    "cluster_names": {"names_unique"},
    "html_map": {"page_not_empty"},
}
COLUMNS_OF_NAMES = ["Layer (0 = finest)", "Name", "Points", "Named by", "Keyphrases", "Examples"]
FROM_LABELS_ON = ("cluster_labels", "cluster_names", "html_map")
MOST_MEMORY_BYTES = 1_500_000_000


def test_lineage(live: Live) -> None:
    """Dagster shows the six assets in one group, each with its upstream, owner, kinds, description and partitions."""
    nodes = {node["assetKey"]["path"][-1]: node for node in live.dagster.asset_nodes()}
    upstream = {name: {key["path"][-1] for key in node["dependencyKeys"]} for name, node in nodes.items()}
    assert upstream == LINEAGE
    assert {node["groupName"] for node in nodes.values()} == {"visualization"}
    for node in nodes.values():
        assert node["partitionDefinition"] == {"name": "visualization_transform_id", "type": "DYNAMIC"}
        assert node["owners"] == [{"team": "vis-assets"}]
        assert node["description"]
        assert node["kinds"]


def test_metadata_says_what_was_made(live: Live) -> None:
    """A partition's metadata has counts, durations, a table of clusters, a picture, and a link that opens the map."""
    job_id = live.sent.example["job_id"]
    result = live.application.result(job_id)
    page = live.dagster.metadata("html_map", "123")
    assert page["preview"]["__typename"] == "MarkdownMetadataEntry"
    assert page["preview"]["mdStr"].startswith("![map](data:image/png;base64,")
    assert page["point_count"]["intValue"] == 200
    with urllib.request.urlopen(page["map"]["url"], timeout=30) as answer:  # noqa: S310 - our own address
        assert answer.headers["Content-Type"].startswith("text/html")
        assert answer.read() == live.object(result["htmlS3Key"]).body
    names = live.dagster.metadata("cluster_names", "123")
    head, _, *rows = names["clusters"]["mdStr"].splitlines()
    assert [cell.strip() for cell in head.split("|")[1:-1]] == COLUMNS_OF_NAMES
    assert len([row for row in rows if row.startswith("| 0 |")]) == result["clusterCount"]
    assert json.loads(names["llm_usage"]["jsonString"])["named_by"] == result["statsJson"]["naming"]["named_by"]
    sizes = live.dagster.metadata("cluster_labels", "123")["cluster_sizes"]["table"]["records"]
    assert sum(json.loads(row)["points"] for row in sizes) + result["statsJson"]["noise_points"] == 200
    for asset in list(LINEAGE)[1:]:
        assert live.dagster.metadata(asset, "123")["duration_seconds"]["floatValue"] >= 0


def test_checks_are_kept_partition_by_partition(live: Live) -> None:
    """Each map has its own check results: the warning about one map's noise does not touch another's pass."""
    for job in (live.sent.example, live.sent.second):
        live.application.result(job["job_id"])
    for asset, names in CHECKS.items():
        assert live.dagster.checks(asset, "123") == dict.fromkeys(names, True)
    of_two_points = live.dagster.checks("cluster_labels", "125")
    assert of_two_points == {"noise_share": False, "every_point_labelled": True}


def test_ten_thousand_points_fit_into_memory(live: Live) -> None:
    """A map of 10,000 real docstrings takes its whole run process less than 1.5 GB."""
    result = live.application.result(live.sent.big["job_id"])
    assert (result["status"], result["pointCount"]) == ("completed", DOCSTRING_COUNT)
    assert result["clusterCount"] >= 20
    page = live.dagster.metadata("html_map", "126")
    assert page["peak_memory_bytes"]["intValue"] < MOST_MEMORY_BYTES


def test_launch_by_hand(live: Live) -> None:
    """An operator launches the whole map of one partition with no run config; nothing is said in NATS about it."""
    live.application.result(live.sent.second["job_id"])
    before = live.object("visualizations/user@example.com/125/1.html")
    said = live.application.about(live.sent.second["job_id"])
    assert live.dagster.ended(live.dagster.launch("125")) == "SUCCESS"
    after = live.object("visualizations/user@example.com/125/1.html")
    assert after.metadata == before.metadata
    assert b"second" in after.body
    assert live.application.about(live.sent.second["job_id"]) == said


def test_backfill_from_the_labels_on(live: Live) -> None:
    """A backfill from `cluster_labels` on, with no run config, rewrites pages in silence, and asks no model again."""
    results = [live.application.result(job["job_id"]) for job in (live.sent.example, live.sent.platform)]
    said = [live.application.about(result["jobId"]) for result in results]
    asked = len(live.llm.requests)
    layouts = [live.dagster.metadata("embedding_2d", partition) for partition in ("123", "124")]
    for result in results:
        live.s3().delete_object(Bucket=live.environment["S3_BUCKET_NAME"], Key=result["htmlS3Key"])
    assert live.dagster.backfill(FROM_LABELS_ON, ["123", "124"]) == "COMPLETED_SUCCESS"
    for result in results:
        page = live.object(result["htmlS3Key"])
        assert page.metadata["job-id"] == result["jobId"]
        assert len(page.body) > 100_000
    assert [live.dagster.metadata("embedding_2d", partition) for partition in ("123", "124")] == layouts
    assert live.dagster.metadata("cluster_names", "123")["names_remembered"]["intValue"] == 4
    assert len(live.llm.requests) == asked
    assert [live.application.about(result["jobId"]) for result in results] == said


def test_reexecution_is_silent(live: Live) -> None:
    """Running a delivered job's run again makes its page again, but publishes nothing: the message was answered."""
    job_id = live.sent.second["job_id"]
    live.application.result(job_id)
    said = live.application.about(job_id)
    again = live.dagster.reexecute(live.dagster.run_of_job(job_id)["runId"])
    assert live.dagster.ended(again) == "SUCCESS"
    assert live.dagster.metadata("vectors", "125")["point_count"]["intValue"] == 2
    assert live.application.about(job_id) == said


def test_partition_without_a_job_fails_clearly(live: Live) -> None:
    """A partition that somebody adds by hand, for which no job ever came, fails saying so."""
    added = live.dagster.ask(
        """mutation ($repository: RepositorySelector!, $name: String!, $key: String!) {
             addDynamicPartition(repositorySelector: $repository, partitionsDefName: $name, partitionKey: $key) {
               __typename } }""",
        repository=LOCATION,
        name="visualization_transform_id",
        key="999",
    )
    assert added["__typename"] == "AddDynamicPartitionSuccess"
    run_id = live.dagster.launch("999", ["visualization_job"])
    assert live.dagster.ended(run_id) == "FAILURE"
    assert "visualization transform 999 has no spec of a job; send a job for it first" in live.dagster.errors(run_id)
