"""A message goes in, messages come out."""

from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.wire import TERMINAL, eventually

RESULT_KEYS = {
    "jobId",
    "visualizationTransformId",
    "visualizationId",
    "owner",
    "status",
    "htmlS3Key",
    "pointCount",
    "clusterCount",
    "processingDurationMs",
    "errorMessage",
    "statsJson",
}
PROGRESS_KEYS = {"jobId", "visualizationTransformId", "visualizationId", "owner", "status", "statsJson"}
RANGES = {
    "starting": (0, 0),
    "fetching_vectors": (5, 20),
    "applying_umap": (25, 50),
    "clustering": (55, 70),
    "naming_clusters": (72, 85),
    "generating_html": (88, 100),
}


def test_example_of_the_document_is_answered(live: Live) -> None:
    """The example message of the protocol's document is answered by one result with exactly the documented keys."""
    job = live.sent.example
    result = live.application.result(job["job_id"])
    assert set(result) == RESULT_KEYS
    assert result["status"] == "completed"
    assert result["errorMessage"] is None
    assert result["htmlS3Key"] == "visualizations/user@example.com/123/456.html"
    ids = [result[key] for key in ("jobId", "visualizationTransformId", "visualizationId", "owner")]
    assert ids == [job["job_id"], 123, 456, "user@example.com"]
    assert result["pointCount"] == 200
    assert result["processingDurationMs"] > 0
    stats = result["statsJson"]
    assert stats["unique_clusters"] == result["clusterCount"] == 4
    assert 0 <= stats["noise_points"] < 50
    assert stats["umap_n_neighbors"] == 15
    assert stats["hdbscan_min_cluster_size"] == 15
    assert any("llm_config" in warning for warning in stats["warnings"])


def test_progress_comes_in_order(live: Live) -> None:
    """Progress passes through the documented stages, in order, within each stage's percent range, never backwards."""
    job_id = live.sent.example["job_id"]
    live.application.result(job_id)
    said = live.application.about(job_id)
    assert [message["status"] for message in said].index("completed") == len(said) - 1
    progress = said[:-1]
    assert all(set(message) == PROGRESS_KEYS for message in progress)
    assert {message["status"] for message in progress} == {"processing"}
    steps = [(message["statsJson"]["stage"], message["statsJson"]["progress_percent"]) for message in progress]
    assert list(dict.fromkeys(stage for stage, _ in steps)) == list(RANGES)
    assert all(RANGES[stage][0] <= percent <= RANGES[stage][1] for stage, percent in steps)
    assert [percent for _, percent in steps] == sorted(percent for _, percent in steps)
    assert {RANGES[stage][1] for stage in RANGES} <= {percent for _, percent in steps}


def test_page_stands_in_the_store(live: Live) -> None:
    """The page lies at the key of the result, as HTML, and says which job made it."""
    result = live.application.result(live.sent.example["job_id"])
    page = live.object(result["htmlS3Key"])
    assert page.content_type.startswith("text/html")
    assert page.metadata["job-id"] == result["jobId"]
    assert b"Document Clusters" in page.body
    assert len(page.body) == result["statsJson"]["html_bytes"]


def test_message_is_acknowledged(live: Live) -> None:
    """The stream lets go of a job's message once its result was published."""
    job_id = live.sent.example["job_id"]
    live.application.result(job_id)
    sequence, _ = live.application.published[job_id]
    eventually(lambda: live.application.is_acknowledged(sequence), "the message is acknowledged")


def test_platform_is_answered_in_its_own_words(live: Live) -> None:
    """A job in the Semantic Explorer platform's dialect is answered in it: `ownerId`, and `success`."""
    job_id = live.sent.platform["job_id"]
    result = live.application.result(job_id)
    assert set(result) == RESULT_KEYS - {"owner"} | {"ownerId"}
    assert (result["status"], result["ownerId"]) == ("success", "auth0+62.ab")
    assert result["htmlS3Key"] == "visualizations/auth0+62.ab/124/9.html"
    progress = [message for message in live.application.about(job_id) if message["status"] not in TERMINAL]
    assert progress
    assert all(message["ownerId"] == "auth0+62.ab" and "owner" not in message for message in progress)


def test_filter_vector_name_and_text_field_are_honoured(live: Live) -> None:
    """A job gets the points its filter lets through, the vector and the texts it asks for."""
    result = live.application.result(live.sent.platform["job_id"])
    assert result["pointCount"] == 100
    about = live.dagster.metadata("vectors", "124")
    assert about["point_count"]["intValue"] == 100
    assert about["dimension"]["intValue"] == 16
    assert about["text_field"]["text"] == "caption"
    records = live.dagster.metadata("cluster_names", "124")["clusters"]["table"]["records"]
    assert records
    assert all('"caption of ' in record for record in records)


def test_unknown_keys_are_warned_about(live: Live) -> None:
    """Keys of `visualization_config` that nobody knows are ignored, and the result names them."""
    warnings = live.application.result(live.sent.first["job_id"])["statsJson"]["warnings"]
    assert any("glow_keywords" in warning and "cluster_layer_colormaps" in warning for warning in warnings)
    assert live.application.result(live.sent.platform["job_id"])["status"] == "success"


def test_jobs_of_one_map_take_turns(live: Live) -> None:
    """Of two jobs for the same map both are answered, one after the other, and the second one's page stands."""
    first, second = (live.application.result(job["job_id"]) for job in (live.sent.first, live.sent.second))
    assert (first["status"], first["pointCount"]) == ("completed", 3)
    assert (second["status"], second["pointCount"]) == ("completed", 2)
    assert first["htmlS3Key"] == second["htmlS3Key"]
    runs = [live.dagster.run_of_job(job["job_id"]) for job in (live.sent.first, live.sent.second)]
    assert runs[0]["endTime"] <= runs[1]["startTime"]
    page = live.object(second["htmlS3Key"])
    assert page.metadata["job-id"] == second["jobId"]
    assert b"second" in page.body
