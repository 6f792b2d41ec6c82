"""A message goes in, messages come out."""

import io
import re
from typing import Any

import pyarrow.parquet as pq

from vis_assets.resources.content_types import NAMES
from vis_assets_tests.integration import jobs
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


def names_of(live: Live, page: str) -> list[dict[str, Any]]:
    """The clusters of the finest layer of a map, from the table beside its page."""
    table = pq.read_table(io.BytesIO(live.object(page.removesuffix(".html") + NAMES).body))
    return [row for row in table.to_pylist() if row["layer"] == 0]


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
    assert stats["warnings"] == []


def test_clusters_are_named_by_the_model_of_the_job(live: Live) -> None:
    """The model that a job names is asked with the job's key, and its names are those of the map."""
    result = live.application.result(live.sent.example["job_id"])
    naming = result["statsJson"]["naming"]
    assert naming["named_by"] == {"openai/gpt-4": 4}
    assert (naming["named_by_models"], naming["failed_calls"], naming["fallbacks"]) == (4, 0, [])
    assert naming["calls"] >= 1
    assert naming["input_tokens"] > naming["output_tokens"] > 0
    asked = [request for request in live.llm.requests if request.body.get("model") == "gpt-4"]
    assert {request.headers["authorization"] for request in asked} == {f"Bearer {jobs.LLM_KEY}"}
    names = [row["name"] for row in names_of(live, result["htmlS3Key"])]
    topics = [set(words.split()) for pair in jobs.TOPICS.values() for words in pair]
    words = [set(re.findall("[a-z]+", name.lower())) for name in names]
    assert [sum(bool(topic & said) for said in words) for topic in topics] == [1, 1, 1, 1], names


def test_platform_names_by_its_own_service(live: Live) -> None:
    """`internal` asks Semantic Explorer's inference service, with the job's own prompt around the documents."""
    result = live.application.result(live.sent.platform["job_id"])
    assert result["statsJson"]["naming"]["named_by"] == {"internal/m": result["clusterCount"]}
    asked = [request for request in live.llm.requests if request.path == "/api/generate"]
    assert asked
    assert {request.body["model"] for request in asked} == {"m"}
    assert all("Name <documents>\\n- caption of " in request.body["prompt"] for request in asked)


def test_numbers_are_names_where_they_are_wanted(live: Live) -> None:
    """`topic_names: numbers` calls clusters by their number, and asks no model, though the job names one."""
    result = live.application.result(live.sent.numbered["job_id"])
    assert (result["status"], result["clusterCount"]) == ("completed", 4)
    assert [row["name"] for row in names_of(live, result["htmlS3Key"])] == [f"Cluster {n}" for n in range(4)]
    naming = result["statsJson"]["naming"]
    assert (naming["named_by"], naming["calls"]) == ({"numbers": 4}, 0)
    assert not any(request.body.get("model") == "never-asked" for request in live.llm.requests)


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
    table = names_of(live, result["htmlS3Key"])
    assert table
    assert all(text.startswith("caption of ") for row in table for text in row["exemplar_texts"])


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
