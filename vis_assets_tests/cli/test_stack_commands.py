"""The commands that speak to a running installation: submit, watch, doctor, delete."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from vis_assets.operations.embedded_llm import EmbeddedLlm, ServerError
from vis_assets.operations.processes import free_port
from vis_assets_tests.cli.command import LONGEST_SECONDS, PROGRAM, alone, run
from vis_assets_tests.integration import jobs
from vis_assets_tests.integration.live import Live

TRANSFORM = "140"


@pytest.fixture(scope="module")
def tiny_job(live: Live) -> jobs.Job:
    """A job that is done in a few seconds."""
    return jobs.job(int(TRANSFORM), live.qdrant_url, qdrant_collection_name=jobs.TINY)


def test_submit_and_watch(live: Live, tiny_job: jobs.Job, tmp_path: Path) -> None:
    """`submit --wait --json` prints the terminal result; `watch --job --json` prints what was said and ends with it."""
    path = tmp_path / "job.json"
    path.write_text(json.dumps(tiny_job))
    watch = subprocess.Popen(
        [PROGRAM, "watch", "--job", tiny_job["job_id"], "--json", "--timeout", str(LONGEST_SECONDS)],
        env=live.environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        submitted = run("submit", path, "--wait", "--json", environment=live.environment)
        watched, _ = watch.communicate(timeout=30)
    finally:
        watch.kill()
    assert submitted.code == 0, submitted.err
    result = json.loads(submitted.out)
    assert (result["status"], result["pointCount"], result["jobId"]) == ("completed", 3, tiny_job["job_id"])
    assert "100% generating_html" in submitted.err
    messages = [json.loads(line) for line in watched.splitlines()]
    assert messages[-1] == result
    assert {message["status"] for message in messages[:-1]} <= {"processing"}
    assert watch.returncode == 0


def test_submit_refuses_a_bad_job(live: Live, tmp_path: Path) -> None:
    """A mistake in a job is told before anything is sent: exit code 1, and the field, value and range."""
    before = live.application.about("a-bad-job")
    path = tmp_path / "job.json"
    path.write_text(json.dumps(jobs.broken_job(live.qdrant_url) | {"job_id": "a-bad-job"}))
    refused = run("submit", path, environment=live.environment)
    assert (refused.code, refused.out) == (1, "")
    assert "visualization_config.n_neighbors: 1 " in refused.err
    assert "2 to 1000" in refused.err
    assert live.application.about("a-bad-job") == before == []


def test_submit_of_no_json(live: Live) -> None:
    """What is no JSON object is refused; - reads stdin."""
    refused = run("submit", "-", environment=live.environment, typed="{")
    assert refused.code == 1
    assert "JSON" in refused.err


def test_submit_of_a_job_that_fails(live: Live) -> None:
    """`submit` alone prints a receipt; with `--wait` a job that fails ends with exit code 1 and its reason."""
    job = jobs.job(141, live.qdrant_url, qdrant_collection_name="nowhere")
    receipt = run("submit", "-", "--json", environment=live.environment, typed=json.dumps(job))
    assert receipt.code == 0
    assert json.loads(receipt.out)["job_id"] == job["job_id"]
    assert json.loads(receipt.out)["sequence"] > 1
    waited = run(
        "submit", "-", "--wait", environment=live.environment, typed=json.dumps(job | {"job_id": "waits-for-nothing"})
    )
    assert waited.code == 1
    assert "'nowhere'" in json.loads(waited.out)["errorMessage"]
    assert live.application.result(job["job_id"])["status"] == "failed"


def test_submit_without_nats(tmp_path: Path) -> None:
    """Where no NATS answers, `submit` says where it looked and what to check, and never shows the password."""
    address = f"127.0.0.1:{free_port()}"
    environment = alone(tmp_path, NATS_URL=f"nats://vis:canary-password@{address}")
    failed = run("submit", "-", environment=environment, typed=json.dumps(jobs.job(1, "http://qdrant:6334")))
    assert failed.code == 1
    assert address in failed.err
    assert "NATS_URL" in failed.err
    assert "canary-password" not in failed.err


def test_doctor_finds_a_healthy_stack(live: Live) -> None:
    """Against a running stack every check passes."""
    examined = run("doctor", "--qdrant-url", live.qdrant_url, "--json", environment=live.environment)
    findings = {finding["name"]: finding for finding in json.loads(examined.out)}
    assert {name for name, finding in findings.items() if not finding["passed"]} == set(), findings
    assert examined.code == 0
    assert set(findings) == {"nats", "store", "secrets", "home", "page fonts", "compute", "language models", "qdrant"}
    assert jobs.NATS_PASSWORD not in examined.out
    assert live.objects("doctor/") == []


def test_doctor_says_how_to_mend(live: Live) -> None:
    """What fails is told with its remedy, the rest is examined all the same, and the exit code is 1."""
    environment = live.environment | {
        "NATS_URL": f"nats://127.0.0.1:{free_port()}",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}",
    }
    examined = run("doctor", environment=environment)
    assert examined.code == 1
    lines = {line[5:20].strip(): line for line in examined.out.splitlines()}
    assert lines["nats"].startswith("FAIL")
    assert "is NATS_URL right" in lines["nats"]
    assert lines["store"].startswith("FAIL")
    assert "AWS_ENDPOINT_URL" in lines["store"]
    assert lines["home"].startswith("ok")


def test_doctor_asks_language_models(live: Live) -> None:
    """Each model of LLM_PROVIDER is asked; what fails is told without keys, with exit code 1."""
    with EmbeddedLlm(every=ServerError(503)) as failing:
        environment = live.environment | {
            "LLM_PROVIDER": "openai/gpt-4o, ollama/down, cohere",
            "OLLAMA_BASE_URL": failing.openai_url,
            "COHERE_API_KEY": "",
        }
        examined = run("doctor", "--json", environment=environment)
    findings = {finding["name"]: finding for finding in json.loads(examined.out)}
    assert findings["openai/gpt-4o"]["passed"]
    assert re.fullmatch(r"answered in \d+\.\d s; [1-9]\d+ \+ [1-9]\d* tokens", findings["openai/gpt-4o"]["detail"])
    failed = {name: finding["detail"] for name, finding in findings.items() if not finding["passed"]}
    assert set(failed) == {"ollama/down", "cohere"}
    assert "HTTP 503" in failed["ollama/down"]
    assert "COHERE_API_KEY" in failed["cohere"]
    assert examined.code == 1
    assert not any(secret in examined.out + examined.err for secret in jobs.ENVIRONMENT_SECRETS.values())


def test_delete(live: Live, tiny_job: jobs.Job) -> None:
    """`delete` asks first; then the map's objects, specs and partition are gone, and there is nothing to delete."""
    live.application.result(tiny_job["job_id"])
    prefixes = [f"{root}/{TRANSFORM}/" for root in ("specs", "visualizations/user@example.com", "assets/vectors")]
    assert all(live.objects(prefix) for prefix in prefixes)
    kept = run("delete", TRANSFORM, environment=live.environment, typed="n\n")
    assert kept.code == 1
    assert f"Delete map {TRANSFORM}" in kept.out + kept.err
    assert all(live.objects(prefix) for prefix in prefixes)
    assert run("delete", TRANSFORM, "--json", environment=live.environment).code == 2, "--json asks nothing"
    assert all(live.objects(prefix) for prefix in prefixes)
    deleted = run("delete", TRANSFORM, "--yes", "--json", environment=live.environment)
    assert deleted.code == 0, deleted.err
    assert json.loads(deleted.out)["deleted_objects"] >= 10
    assert not [
        key
        for root in ("specs", "visualizations", "assets")
        for key in live.objects(f"{root}/")
        if TRANSFORM in key.split("/")
    ]
    assert TRANSFORM not in live.dagster.partitions()
    again = run("delete", TRANSFORM, "--yes", environment=live.environment)
    assert again.code == 1
    assert f"no map {TRANSFORM}" in again.err


@pytest.mark.parametrize("name", ["987654", "../specs", "latest"])
def test_delete_of_nothing(live: Live, name: str) -> None:
    """An id that belongs to no map deletes nothing and says so."""
    before = live.objects("specs/")
    refused = run("delete", name, "--yes", environment=live.environment)
    assert refused.code == 1
    assert name in refused.err
    assert set(before) <= set(live.objects("specs/"))
