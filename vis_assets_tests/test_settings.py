"""Settings: the environment variables of document 000 and our own, read once, secrets never shown."""

import socket
from pathlib import Path

import pytest

from vis_assets.errors import InvalidSetting
from vis_assets.settings import Settings, describe_settings, load_settings, redacted

CANARY = "sk-CANARY-8f3a"
BUCKET = {
    "S3_BUCKET_NAME": "maps",
    "AWS_REGION": "us-east-1",
    "AWS_ACCESS_KEY_ID": CANARY,
    "AWS_SECRET_ACCESS_KEY": CANARY,
    "AWS_ENDPOINT_URL": "http://localhost:9000",
}
VARIABLES = [str(field.alias) for field in Settings.model_fields.values()]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def refusal() -> str:
    """Why the settings of the environment are refused."""
    with pytest.raises(InvalidSetting) as caught:
        load_settings()
    return str(caught.value)


def test_defaults_are_those_of_the_specification() -> None:
    """The variables of 000 have its defaults; with no bucket the S3 variables are optional."""
    settings = load_settings()
    assert settings.nats_url.get_secret_value() == "nats://localhost:4222"
    assert settings.processing_timeout_secs == 3600
    assert settings.log_level == "INFO"
    assert settings.log_format == "json"
    assert settings.max_concurrent_jobs == 3
    assert settings.health_check_port == 8081
    assert settings.worker_id == socket.gethostname()
    assert settings.s3_bucket_name is None
    assert settings.home == Path(".vis_assets")
    assert settings.store_folder.is_relative_to(settings.home.absolute())
    assert settings.public_base == "http://localhost:8081"


def test_every_variable_of_the_specification_is_a_setting() -> None:
    """Each variable of the table of 000 is read; others say whose they are by their names, or the design names them."""
    specified = {
        "NATS_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL", "LOG_LEVEL",
        "PROCESSING_TIMEOUT_SECS", "WORKER_ID", "LOG_FORMAT", "MAX_CONCURRENT_JOBS", "HEALTH_CHECK_PORT",
    }  # fmt: skip
    assert specified <= set(VARIABLES)
    known = {"S3_BUCKET_NAME", "QDRANT_API_KEY", "MAX_ATTEMPTS", "MAX_LOST_ATTEMPTS", "LLM_PROVIDER"}
    known |= {"GEMINI_API_KEY", "GROQ_API_KEY", "NVIDIA_API_KEY", "OPENAI_API_KEY", "COHERE_API_KEY"}
    providers = ("OPENAI_", "OLLAMA_", "VLLM_", "LLM_INFERENCE_")
    assert all(name.startswith(("VIS_ASSETS_", "NATS_", *providers)) for name in set(VARIABLES) - specified - known)


@pytest.mark.parametrize("missing", [name for name in BUCKET if name != "S3_BUCKET_NAME"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_bucket_needs_its_credentials(monkeypatch: pytest.MonkeyPatch, missing: str, empty: bool) -> None:
    """With a bucket, each S3 variable that is missing or empty is named; without one none is needed."""
    for name, value in BUCKET.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(missing, "")
    if not empty:
        monkeypatch.delenv(missing)
    assert refusal() == f"S3_BUCKET_NAME is set, so {missing} must be set too"
    monkeypatch.setenv("S3_BUCKET_NAME", "")
    assert load_settings().s3_bucket_name is None


def test_a_bucket_with_its_credentials_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """All five S3 variables together are a bucket."""
    for name, value in BUCKET.items():
        monkeypatch.setenv(name, value)
    assert load_settings().s3_bucket_name == "maps"


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_is_an_unset_one(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An empty variable has its default, and is reported as such."""
    expected = describe_settings(load_settings())
    monkeypatch.setenv(name, "")
    assert describe_settings(load_settings()) == expected


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PROCESSING_TIMEOUT_SECS", "0"),
        ("PROCESSING_TIMEOUT_SECS", "1h"),
        ("MAX_CONCURRENT_JOBS", "0"),
        ("MAX_CONCURRENT_JOBS", "1001"),
        ("HEALTH_CHECK_PORT", "65536"),
        ("HEALTH_CHECK_PORT", "-1"),
        ("LOG_LEVEL", "debug"),
        ("LOG_LEVEL", "INFO\n"),
        ("LOG_FORMAT", "xml"),
        ("VIS_ASSETS_RUN_DAYS", "0"),
        ("VIS_ASSETS_RUN_DAYS", "nan"),
        ("VIS_ASSETS_SPEC_DAYS", "-1"),
        ("VIS_ASSETS_TICK_DAYS", "0"),
        ("VIS_ASSETS_TICK_DAYS", "1.5"),
    ],
)
def test_a_malformed_variable_is_named(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """A malformed value is refused by the name of its variable."""
    monkeypatch.setenv(name, value)
    assert refusal().startswith(f"{name}: ")


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "VIS_ASSETS_PUBLIC_URL"])
def test_an_address_that_people_see_holds_no_credentials(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An address with user and password is refused without being quoted, because it would be shown."""
    monkeypatch.setenv(name, f"https://user:{CANARY}@minio:9000/x")
    reason = refusal()
    assert f"{name} holds a user or password" in reason
    assert CANARY not in reason
    monkeypatch.setenv(name, "https://minio:9000/@x")
    assert load_settings() is not None


def test_hosts_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allowed hosts are comma-separated, in any case and with blanks; unset is no list at all."""
    assert load_settings().allowed_hosts is None
    monkeypatch.setenv("VIS_ASSETS_ALLOWED_HOSTS", " Qdrant.example.COM, ,127.0.0.1 ")
    assert load_settings().allowed_hosts == {"qdrant.example.com", "127.0.0.1"}


def test_public_url_has_no_trailing_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Links are made from the public URL without its last slash."""
    monkeypatch.setenv("VIS_ASSETS_PUBLIC_URL", "https://maps.example.com/")
    assert load_settings().public_base == "https://maps.example.com"


def test_secrets_are_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the list of settings nor their text form shows a secret."""
    for name, value in BUCKET.items():
        monkeypatch.setenv(name, value)
    for name in ("VIS_ASSETS_SECRET_KEY", "QDRANT_API_KEY"):
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("NATS_URL", f"nats://user:{CANARY}@nats:4222")
    settings = load_settings()
    rows = describe_settings(settings)
    assert CANARY not in repr(settings) + str(settings) + str(rows) + settings.model_dump_json()
    shown = {row["name"]: (row["value"], row["origin"]) for row in rows}
    assert shown["NATS_URL"] == (redacted("nats://user:x@nats:4222"), "environment")
    assert shown["AWS_SECRET_ACCESS_KEY"] == ("(hidden)", "environment")
    assert shown["AWS_REGION"] == ("us-east-1", "environment")
    assert shown["LOG_LEVEL"] == ("INFO", "default")
    assert shown["VIS_ASSETS_STORE_DIR"] == (None, "default")


def test_every_setting_is_described() -> None:
    """Each setting has a sentence for the README's table."""
    assert all(row["description"] for row in describe_settings(load_settings()))


@pytest.mark.parametrize(
    ("url", "servers"),
    [
        ("nats://localhost:4222", ["localhost:4222"]),
        ("localhost:4222", ["localhost:4222"]),
        ("nats://user:CANARY@h:1", ["h:1"]),
        ("user:CANARY@h:1", ["h:1"]),
        ("nats://CANARY@h", ["h"]),
        ("tls://user:CANARY@a:1,nats://user:CANARY@b:2", ["a:1", "b:2"]),
        ("nats://user:p@CANARY@h:1", ["h:1"]),
    ],
)
def test_url_is_shown_without_user_and_password(url: str, servers: list[str]) -> None:
    """Of a NATS URL every server is shown, and neither user, password nor token."""
    shown = redacted(url)
    assert [server.rpartition("/")[2] for server in shown.split(",")] == servers


@pytest.mark.parametrize("mark", ["/", "?", "#", ",", "[", "%", " "])
def test_a_malformed_url_shows_no_secret(mark: str) -> None:
    """A password with characters that should have been escaped is not shown either, and showing never fails."""
    shown = redacted(f"nats://user:CANARY{mark}CANARY@host:4222")
    assert "CANARY" not in shown
    assert "user" not in shown
    assert "host:4222" in shown


def test_an_unreadable_url_can_be_shown() -> None:
    """What is no URL at all does not keep the settings from being listed."""
    assert "\n" not in redacted("nats://[::1")
