"""What must be true of everything that happened; these tests come last."""

from pathlib import Path

from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live
from vis_assets_tests.integration.wire import TERMINAL, eventually

KEY_FILE = "secret.key"


def canaries(live: Live) -> dict[str, bytes]:
    """Every secret that went in: name -> bytes."""
    secrets = {
        "Qdrant key of a job": jobs.QDRANT_KEY,
        "LLM key of a job": jobs.LLM_KEY,
        "LLM option of a job": jobs.LLM_OPTION,
        "NATS password": jobs.NATS_PASSWORD,
        "S3 secret key": live.environment["AWS_SECRET_ACCESS_KEY"],
        **jobs.ENVIRONMENT_SECRETS,
    }
    return {name: secret.encode() for name, secret in secrets.items()}


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
    """No byte of any secret is in Dagster's databases, its logs, our logs, the store or a message."""
    files = [path for path in live.home.rglob("*") if path.is_file() and path.name != KEY_FILE]
    names = {path.suffix for path in files}
    assert {".db", ".log", ".json", ".html", ".parquet"} <= names, "what was to be searched is there"
    found = [f"{name} in {path}" for path in files for name in _found_in(path, canaries(live))]
    messages = b"\n".join(heard.raw for heard in live.application.heard)
    found += [f"{name} in a message" for name, secret in canaries(live).items() if secret in messages]
    assert found == []


def test_secrets_are_kept_sealed(live: Live) -> None:
    """The spec of a job keeps its secrets sealed, so that the search above was not for something never sent."""
    spec = live.object("specs/124/latest.json").body
    assert b"vector_database_config.api_key" in spec
    assert b"llm_config.api_key" in spec
    assert b"llm_config.config" in spec
    assert live.application.result(live.sent.platform["job_id"])["status"] == "success", "the key opened the database"


def test_key_file_is_its_owners(live: Live) -> None:
    """The sealing key that the installation made for itself can be read by its owner only."""
    assert (live.home / KEY_FILE).stat().st_mode & 0o077 == 0


def _found_in(path: Path, secrets: dict[str, bytes]) -> list[str]:
    try:
        body = path.read_bytes()
    except FileNotFoundError:
        return []  # a database's journal comes and goes while Dagster runs; its content is in the database
    return [name for name, secret in secrets.items() if secret in body]
