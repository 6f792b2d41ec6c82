"""What must be true of everything that happened; these tests come last."""

import gzip
from pathlib import Path

import httpx

from vis_assets.delivery.connection import NatsConnection
from vis_assets_tests.canaries import Canaries, files_below, stored_messages
from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.wire import TERMINAL, eventually

KEY_FILE = "secret.key"


def canaries(live: Live) -> Canaries:
    """Every secret that went in."""
    return Canaries(
        {
            "Qdrant key of a job": jobs.QDRANT_KEY,
            "LLM key of a job": jobs.LLM_KEY,
            "LLM key of a fallback": jobs.LLM_FALLBACK_KEY,
            "LLM option of a job": jobs.LLM_OPTION,
            "password in a URL of a job": jobs.URL_PASSWORD,
            "secret in a key that no job has": jobs.STRAY_SECRET,
            "NATS password": jobs.NATS_PASSWORD,
            "S3 secret key": live.environment["AWS_SECRET_ACCESS_KEY"],
            "sealing key": (live.home / KEY_FILE).read_text(),
            **jobs.ENVIRONMENT_SECRETS,
        }
    )


def test_every_message_has_one_answer(live: Live) -> None:
    """At the end every valid job has exactly one terminal result, and the stream is empty."""
    live.application.result(live.sent.big["job_id"])
    for job_id in live.application.published:
        live.application.result(job_id)
    eventually(lambda: live.application.queue() == (0, 0, 0), "every message is acknowledged")
    for job_id in live.application.published:
        said = live.application.about(job_id)
        assert [message["status"] in TERMINAL for message in said].count(True) == 1, job_id
        assert said[0]["status"] == "processing"
        assert said[-1]["status"] in TERMINAL, "nothing follows the terminal result"
    assert sum(message["status"] in TERMINAL for message in live.application.about(None)) == 2


def test_no_secret_is_written_anywhere(live: Live) -> None:
    """No secret is in Dagster's databases, its logs, our logs, the store, a stream or a message, in any form."""
    files = list(files_below(live.home, but=[live.home / KEY_FILE]))
    assert live.bucket.is_relative_to(live.home)
    names = {Path(name).suffix for name, _ in files}
    assert {".db", ".log", ".json", ".html", ".parquet"} <= names, "what was to be searched is there"
    with NatsConnection(live.environment["NATS_URL"], "test") as connection:
        stored = list(stored_messages(connection))
    streams = {place.partition(",")[0] for place, _ in stored}
    assert {"stream VISUALIZATION_RESULTS", "stream KV_visualization_pages"} <= streams
    subjects = {place.partition(", ")[2].split(".")[0] for place, _ in live.wiretap.heard}
    assert {"worker", "visualization", "$KV"} <= subjects
    heard = [("a message", message.raw) for message in live.application.heard]
    assert canaries(live).found([*files, *stored, *live.wiretap.heard, *heard]) == []


def test_a_secret_would_be_found(live: Live) -> None:
    """A secret that is planted among the logs, compressed, is found by the search above."""
    planted = live.home / "logs" / "planted.gz"
    planted.write_bytes(gzip.compress(f"https://user:{jobs.QDRANT_KEY}@host".encode()))
    try:
        assert canaries(live).found(files_below(live.home / "logs")) == [f"Qdrant key of a job in {planted}"]
    finally:
        planted.unlink()


def test_secrets_are_kept_sealed(live: Live) -> None:
    """The spec of a job keeps its secrets sealed, so that the search above was not for something never sent."""
    spec = live.object("specs/124/latest.json").body
    assert b"vector_database_config.api_key" in spec
    assert b"llm_config.api_key" in spec
    assert b"llm_config.config" in spec
    assert live.application.result(live.sent.platform["job_id"])["status"] == "success", "the key opened the database"
    assert b'"llm_config.fallbacks"' in live.object("specs/127/latest.json").body


def test_language_models_were_given_the_keys(live: Live) -> None:
    """Keys of jobs, of fallbacks and of the environment went to a server that echoes them, so the search has sense."""
    live.application.result(live.sent.outage["job_id"])
    own = jobs.ENVIRONMENT_SECRETS["VLLM_API_KEY"]
    sent = [request.headers["authorization"] for request in live.failing_llm.requests]
    assert set(sent) == {f"Bearer {key}" for key in (jobs.LLM_KEY, jobs.LLM_FALLBACK_KEY, own)}
    request = live.failing_llm.requests[0]
    address = f"{live.failing_llm.url}{request.path}"
    answer = httpx.post(address, json=request.body, headers={"Authorization": sent[0]})
    assert jobs.LLM_KEY in answer.text


def test_key_file_is_its_owners(live: Live) -> None:
    """The sealing key that the installation made for itself can be read by its owner only."""
    assert (live.home / KEY_FILE).stat().st_mode & 0o077 == 0
