"""What is answered to messages that cannot become a map."""

import pytest

from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.test_delivery import RESULT_KEYS
from vis_assets_tests.integration.wire import TERMINAL, Message, eventually

REASONS = {
    "missing collection": ["no_such_collection", "check the name"],
    "empty collection": ["'empty'", "no points"],
    "filter that matches nothing": ["embedded_789_embedder_1", "filter"],
    "wrong vector name": ["'abstract'", "'title'", "'body'"],
    "disallowed host": ["169.254.169.254", "VIS_ASSETS_ALLOWED_HOSTS"],
    "wrong key": ["api_key"],
}


def require_acknowledged(live: Live, sequence: int) -> None:
    eventually(lambda: live.application.is_acknowledged(sequence), "the message is acknowledged")


def require_clear(result: Message) -> None:
    """It reads like a sentence for the sender, not like a stack trace."""
    text = result["errorMessage"]
    assert set(result) == RESULT_KEYS
    assert result["status"] == "failed"
    assert result["htmlS3Key"] is None
    assert (result["pointCount"], result["clusterCount"]) == (0, 0)
    assert 20 < len(text) < 1000
    assert not any(trace in text for trace in ("Traceback", 'File "', "\n", "Error:", "dagster"))


@pytest.mark.parametrize(("what", "says"), [("no JSON", "not valid JSON"), ("no object", "list")])
def test_garbage_is_answered(live: Live, what: str, says: str) -> None:
    """A message that is no JSON object is acknowledged and answered, its unknown ids null."""
    result = live.application.wait_for(
        lambda message: message["jobId"] is None and says in (message.get("errorMessage") or ""), what
    )
    require_clear(result)
    assert [result[key] for key in ("visualizationTransformId", "visualizationId", "owner")] == [None, None, None]
    require_acknowledged(live, live.sent.broken[what])


def test_invalid_job_is_answered_field_by_field(live: Live) -> None:
    """The answer to an invalid job names every offending field, its value and what is allowed."""
    result = live.application.result("several-mistakes")
    require_clear(result)
    assert (result["visualizationTransformId"], result["owner"]) == (131, "user@example.com")
    text = result["errorMessage"]
    assert "visualization_config.n_neighbors: 1 " in text
    assert "2 to 1000" in text
    assert 'visualization_config.min_dist: "near"' in text
    assert "0.0 to 0.99" in text
    assert 'visualization_config.metric: "euclid"' in text
    assert "'cosine'" in text
    assert "qdrant_collection_name" in text
    require_acknowledged(live, live.sent.broken["no job"])


@pytest.mark.parametrize("why", list(REASONS))
def test_impossible_job_is_answered(live: Live, why: str) -> None:
    """A valid job that can never be done fails once, with a sentence that says why, and is acknowledged."""
    job_id = live.sent.refused[why]["job_id"]
    result = live.application.result(job_id)
    require_clear(result)
    assert all(word in result["errorMessage"] for word in REASONS[why]), result["errorMessage"]
    assert result["jobId"] == job_id
    require_acknowledged(live, live.application.published[job_id][0])
    assert not live.objects(f"visualizations/user@example.com/{result['visualizationTransformId']}/")


def test_canceled_run_is_told(live: Live) -> None:
    """A run that somebody cancels in Dagster while it works is answered with `canceled`, once, and acknowledged."""
    job = jobs.job(138, live.qdrant_url)
    sequence = live.application.publish(job)
    live.application.wait_for(
        lambda message: message["jobId"] == job["job_id"] and message["statsJson"].get("stage") == "applying_umap",
        "a run at work",
    )
    live.dagster.terminate(live.dagster.run_of_job(job["job_id"])["runId"])
    result = live.application.result(job["job_id"])
    assert (result["status"], result["htmlS3Key"]) == ("canceled", None)
    assert "canceled" in result["errorMessage"]
    require_acknowledged(live, sequence)
    terminal = [message for message in live.application.about(job["job_id"]) if message["status"] in TERMINAL]
    assert len(terminal) == 1


def test_waiting_job_can_be_canceled(live: Live) -> None:
    """A job that still waits for another of the same map can be canceled: it is answered, and never run."""
    ahead, job = jobs.job(139, live.qdrant_url, qdrant_collection_name=jobs.TINY), jobs.job(139, live.qdrant_url)
    live.application.publish(ahead)
    sequence = live.application.publish(job)
    live.application.cancel(job["job_id"])
    assert live.application.result(job["job_id"])["status"] == "canceled"
    require_acknowledged(live, sequence)
    assert live.dagster.runs(vis_assets__job_id=job["job_id"]) == []
    assert live.application.result(ahead["job_id"])["status"] == "completed"
