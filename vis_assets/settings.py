"""Every setting of an installation: environment variables, their defaults, and what they mean.

The settings table of the README and `vis-assets config` are generated from this model.
"""

import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from vis_assets.errors import InvalidSetting


class Settings(BaseSettings):
    """Settings read from the environment; field order is the order of the README's table."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    nats_url: Annotated[
        SecretStr,
        Field(
            alias="NATS_URL",
            description="NATS server, `nats://host:port`, or `tls://host:port` to insist on TLS; may hold user and "
            "password, or a token",
        ),
    ] = SecretStr("nats://localhost:4222")
    nats_token: Annotated[SecretStr | None, Field(alias="NATS_TOKEN", description="Token for NATS")] = None
    nats_nkey_seed_file: Annotated[
        Path | None, Field(alias="NATS_NKEY_SEED_FILE", description="File with the seed of a user's nkey (`SU…`)")
    ] = None
    nats_creds_file: Annotated[
        Path | None, Field(alias="NATS_CREDS_FILE", description="Credentials file (`.creds`): a user's JWT and seed")
    ] = None
    nats_tls_ca_file: Annotated[
        Path | None,
        Field(
            alias="NATS_TLS_CA_FILE",
            description="PEM file with the authorities that NATS's certificate is checked against; insists on TLS; "
            "unset: those of the system",
        ),
    ] = None
    nats_tls_cert_file: Annotated[
        Path | None,
        Field(alias="NATS_TLS_CERT_FILE", description="PEM file with our certificate for NATS; insists on TLS"),
    ] = None
    nats_tls_key_file: Annotated[
        Path | None, Field(alias="NATS_TLS_KEY_FILE", description="PEM file with the key of that certificate")
    ] = None
    s3_bucket_name: Annotated[
        str | None, Field(alias="S3_BUCKET_NAME", description="Bucket for all objects; unset: a folder holds them")
    ] = None
    aws_region: Annotated[str | None, Field(alias="AWS_REGION", description="S3 region; required with a bucket")] = None
    aws_access_key_id: Annotated[
        SecretStr | None, Field(alias="AWS_ACCESS_KEY_ID", description="S3 access key; required with a bucket")
    ] = None
    aws_secret_access_key: Annotated[
        SecretStr | None, Field(alias="AWS_SECRET_ACCESS_KEY", description="S3 secret key; required with a bucket")
    ] = None
    aws_endpoint_url: Annotated[
        str | None, Field(alias="AWS_ENDPOINT_URL", description="S3 endpoint; required with a bucket")
    ] = None
    processing_timeout_secs: Annotated[
        int,
        Field(
            alias="PROCESSING_TIMEOUT_SECS",
            ge=1,
            description="Seconds after which a run is killed, and its job tried again",
        ),
    ] = 3600
    worker_id: Annotated[
        str, Field(alias="WORKER_ID", description="Name of this worker in its logs, its lease and the tags of its runs")
    ] = Field(default_factory=socket.gethostname)
    log_level: Annotated[
        str,
        Field(alias="LOG_LEVEL", pattern="^(DEBUG|INFO|WARNING|ERROR)$", description="DEBUG, INFO, WARNING or ERROR"),
    ] = "INFO"
    log_format: Annotated[
        str, Field(alias="LOG_FORMAT", pattern="^(json|text)$", description="json (one object a line) or text")
    ] = "json"
    max_concurrent_jobs: Annotated[
        int, Field(alias="MAX_CONCURRENT_JOBS", ge=1, le=1000, description="Runs at the same time")
    ] = 3
    max_attempts: Annotated[
        int, Field(alias="MAX_ATTEMPTS", ge=1, le=100, description="Failed attempts after which a job is given up")
    ] = 6
    max_lost_attempts: Annotated[
        int,
        Field(
            alias="MAX_LOST_ATTEMPTS", ge=1, le=1000, description="Vanished run processes after which a job is given up"
        ),
    ] = 10
    lease_seconds: Annotated[
        float,
        Field(
            alias="VIS_ASSETS_LEASE_SECONDS",
            ge=1,
            description="Silence after which a run's process, or the leading worker, is gone",
        ),
    ] = 60.0
    retry_delays_seconds: Annotated[
        tuple[float, ...],
        NoDecode,
        Field(
            alias="VIS_ASSETS_RETRY_SECONDS",
            min_length=1,
            description="Waits before a failed job is tried again, comma-separated; the last one repeats",
        ),
    ] = (30.0, 120.0, 300.0, 900.0, 3600.0)
    result_days: Annotated[
        float,
        Field(alias="VIS_ASSETS_RESULT_DAYS", gt=0, description="Days for which the result of a job id is remembered"),
    ] = 30.0
    dead_letter_days: Annotated[
        float, Field(alias="VIS_ASSETS_DEAD_LETTER_DAYS", gt=0, description="Days for which dead letters are kept")
    ] = 90.0
    run_days: Annotated[
        float,
        Field(
            alias="VIS_ASSETS_RUN_DAYS",
            gt=0,
            description="Days for which ended Dagster runs are kept, with their events and log files; "
            "a run that made what a map shows now stays longer",
        ),
    ] = 30.0
    tick_days: Annotated[
        int,
        Field(
            alias="VIS_ASSETS_TICK_DAYS",
            ge=1,
            description="Whole days for which Dagster keeps ticks of sensors; of ticks that found nothing to do: 1 day",
        ),
    ] = 7
    spec_days: Annotated[
        float,
        Field(
            alias="VIS_ASSETS_SPEC_DAYS",
            gt=0,
            description="Days for which the specs of finished jobs are kept; one whose job has a run in Dagster stays "
            "longer",
        ),
    ] = 30.0
    health_check_port: Annotated[
        int,
        Field(
            alias="HEALTH_CHECK_PORT",
            ge=0,
            le=65535,
            description="Port of the HTTP server with `/health`, `/ready`, `/metrics` and `/maps/…`",
        ),
    ] = 8081
    http_host: Annotated[
        str, Field(alias="VIS_ASSETS_HTTP_HOST", description="Address on which the worker's HTTP server listens")
    ] = "0.0.0.0"  # noqa: S104 - probes and scrapers come from other machines
    shutdown_secs: Annotated[
        float,
        Field(
            alias="VIS_ASSETS_SHUTDOWN_SECS",
            ge=0,
            description="Seconds for which a worker that was told to stop lets its runs finish",
        ),
    ] = 300.0
    postgres_url: Annotated[
        SecretStr | None,
        Field(
            alias="VIS_ASSETS_POSTGRES_URL",
            description="Database of Dagster's records, `postgresql://user:password@host/name`, which workers share "
            "(needs the extra `postgres`); unset: SQLite in the home folder",
        ),
    ] = None
    home: Annotated[
        Path, Field(alias="VIS_ASSETS_HOME", description="Folder for Dagster's records, keys and local data")
    ] = Path(".vis_assets")
    store_dir: Annotated[
        Path | None,
        Field(
            alias="VIS_ASSETS_STORE_DIR",
            description="Folder that holds all objects where no bucket is set; "
            "unset: `objects/vis-assets` in the home folder",
        ),
    ] = None
    public_url: Annotated[
        str | None,
        Field(
            alias="VIS_ASSETS_PUBLIC_URL",
            description="Base of links to maps; unset: the HTTP server above on localhost",
        ),
    ] = None
    result_subject: Annotated[
        str,
        Field(
            alias="VIS_ASSETS_RESULT_SUBJECT",
            description="Subject of results and progress; placeholders: `{owner}`, `{embedded_dataset_id}`, "
            "`{visualization_transform_id}`, `{visualization_id}`, `{job_id}`",
        ),
    ] = "worker.result.visualization"
    secret_key: Annotated[
        SecretStr | None,
        Field(
            alias="VIS_ASSETS_SECRET_KEY",
            description="Fernet keys that seal the secrets of jobs, comma-separated, newest first; "
            "unset: a key file in the home folder",
        ),
    ] = None
    allowed_hosts: Annotated[
        frozenset[str] | None,
        NoDecode,
        Field(
            alias="VIS_ASSETS_ALLOWED_HOSTS",
            description="Hosts that jobs may name, comma-separated; unset, or for `*` in the list: "
            "any but loopback, link-local and metadata addresses",
        ),
    ] = None
    local_root: Annotated[
        Path | None,
        Field(
            alias="VIS_ASSETS_LOCAL_ROOT", description="Folder under which jobs may name `file://` sources; unset: none"
        ),
    ] = None
    qdrant_api_key: Annotated[
        SecretStr | None,
        Field(
            alias="QDRANT_API_KEY",
            description="Key for hosts in VIS_ASSETS_ALLOWED_HOSTS where a job's own key is absent or "
            "can no longer be opened",
        ),
    ] = None

    topic_names: Annotated[
        str,
        Field(
            alias="VIS_ASSETS_TOPIC_NAMES",
            pattern="^(llm|keyphrases|numbers)$",
            description="What names clusters where a job does not say: `llm` (a language model where one is "
            "configured, else keyphrases), `keyphrases` or `numbers`",
        ),
    ] = "llm"
    llm_provider: Annotated[
        str | None,
        Field(
            alias="LLM_PROVIDER",
            description="Language models that name the clusters of jobs without `llm_config`, `provider/model`, "
            "comma-separated, the first to be asked first, e.g. `openai/gpt-4o-mini, cohere`; unset: keyphrases name "
            "them",
        ),
    ] = None
    openai_api_key: Annotated[SecretStr | None, Field(alias="OPENAI_API_KEY", description="Key of `openai`")] = None
    openai_base_url: Annotated[
        str | None, Field(alias="OPENAI_BASE_URL", description="Address of `openai`; unset: OpenAI's own")
    ] = None
    cohere_api_key: Annotated[SecretStr | None, Field(alias="COHERE_API_KEY", description="Key of `cohere`")] = None
    gemini_api_key: Annotated[SecretStr | None, Field(alias="GEMINI_API_KEY", description="Key of `gemini`")] = None
    groq_api_key: Annotated[SecretStr | None, Field(alias="GROQ_API_KEY", description="Key of `groq`")] = None
    nvidia_api_key: Annotated[SecretStr | None, Field(alias="NVIDIA_API_KEY", description="Key of `nvidia`")] = None
    ollama_base_url: Annotated[
        str | None,
        Field(
            alias="OLLAMA_BASE_URL",
            description="Address of `ollama`; unset: `http://localhost:11434/v1`, for LLM_PROVIDER only",
        ),
    ] = None
    vllm_base_url: Annotated[str | None, Field(alias="VLLM_BASE_URL", description="Address of `vllm`")] = None
    vllm_api_key: Annotated[SecretStr | None, Field(alias="VLLM_API_KEY", description="Key of `vllm`")] = None
    openai_compatible_base_url: Annotated[
        str | None,
        Field(
            alias="OPENAI_COMPATIBLE_BASE_URL",
            description="Address of `openai_compatible`, any other server with OpenAI's chat completions",
        ),
    ] = None
    openai_compatible_api_key: Annotated[
        SecretStr | None, Field(alias="OPENAI_COMPATIBLE_API_KEY", description="Key of `openai_compatible`")
    ] = None
    llm_inference_api_url: Annotated[
        str | None,
        Field(alias="LLM_INFERENCE_API_URL", description="Address of `internal`, Semantic Explorer's inference API"),
    ] = None
    llm_timeout_secs: Annotated[
        float,
        Field(alias="VIS_ASSETS_LLM_TIMEOUT_SECS", ge=1, le=600, description="Seconds that one call may take"),
    ] = 30.0
    llm_total_secs: Annotated[
        float,
        Field(
            alias="VIS_ASSETS_LLM_TOTAL_SECS",
            ge=1,
            description="Seconds that all calls for one map may take; what is left then is named by keyphrases",
        ),
    ] = 300.0
    llm_attempts: Annotated[
        int,
        Field(
            alias="VIS_ASSETS_LLM_ATTEMPTS",
            ge=1,
            le=20,
            description="Times that one model is asked the same before the next one is",
        ),
    ] = 3
    llm_concurrency: Annotated[
        int,
        Field(alias="VIS_ASSETS_LLM_CONCURRENCY", ge=1, le=64, description="Calls at the same time, for one map"),
    ] = 4
    llm_requests_per_minute: Annotated[
        float | None,
        Field(
            alias="VIS_ASSETS_LLM_REQUESTS_PER_MINUTE",
            gt=0,
            description="Calls a minute to one model, for one map; unset: no limit of ours",
        ),
    ] = None
    llm_budget_usd: Annotated[
        float | None,
        Field(
            alias="VIS_ASSETS_LLM_BUDGET_USD",
            ge=0,
            description="Most that naming one map may cost, in US dollars; what is left then is named by keyphrases",
        ),
    ] = 5.0
    llm_budget_tokens: Annotated[
        int | None,
        Field(
            alias="VIS_ASSETS_LLM_BUDGET_TOKENS",
            ge=0,
            description="Most tokens, of questions and answers, for one map; unset: no limit",
        ),
    ] = None
    llm_prices: Annotated[
        Path | None,
        Field(
            alias="VIS_ASSETS_LLM_PRICES",
            description="JSON file with prices in US dollars per million tokens, which come before ours: "
            '`{"openai/gpt-4o-mini": {"input_usd": 0.15, "output_usd": 0.6}}`',
        ),
    ] = None

    compute: Annotated[
        str,
        Field(
            alias="VIS_ASSETS_COMPUTE",
            pattern="^(dask|in-process)$",
            description="Where heavy work runs: `dask` (warm workers, which `worker`, `dev` and `demo` start), or "
            "`in-process` (in the process of each run)",
        ),
    ] = "dask"
    dask_scheduler: Annotated[
        str | None,
        Field(
            alias="VIS_ASSETS_DASK_SCHEDULER",
            pattern=r"^(tcp|tls)://[^\s@/]+:\d+$",
            description="Existing Dask cluster to use, `tcp://host:port`; unset: `worker`, `dev` and `demo` start one "
            "on this machine",
        ),
    ] = None
    dask_workers: Annotated[
        int | None,
        Field(
            alias="VIS_ASSETS_DASK_WORKERS",
            ge=1,
            le=256,
            description="Worker processes of the cluster on this machine, each with up to 4 threads, or its share of "
            "the cores; unset: one for every 4 cores, at least 2 where there are 2",
        ),
    ] = None
    dask_memory: Annotated[
        str | None,
        Field(
            alias="VIS_ASSETS_DASK_MEMORY",
            pattern=r"(?i)^\d+(\.\d+)? ?([kmgt]i?b?|b)?$",
            description="Memory of each such worker process, e.g. `8 GiB`, above which it is ended and its run tried "
            "again; unset: an equal part of 90 % of this machine's",
        ),
    ] = None
    layout_engine: Annotated[
        str,
        Field(
            alias="VIS_ASSETS_LAYOUT_ENGINE",
            pattern="^(fast|umap-learn)$",
            description="What lays points out: `fast`, or the reference `umap-learn`",
        ),
    ] = "fast"
    clustering_engine: Annotated[
        str,
        Field(
            alias="VIS_ASSETS_CLUSTERING_ENGINE",
            pattern="^(fast|hdbscan)$",
            description="What finds clusters: `fast`, or the reference `hdbscan`",
        ),
    ] = "fast"
    seed: Annotated[
        int | None,
        Field(
            alias="VIS_ASSETS_SEED",
            ge=0,
            le=2**32 - 1,
            description="Seed of the layout; equal input and seed give equal maps; unset: 0 for the fast engine, none "
            "for the reference, which is faster without",
        ),
    ] = None
    max_points: Annotated[
        int | None,
        Field(
            alias="VIS_ASSETS_MAX_POINTS",
            ge=1000,
            description="Most points that are laid out by all their neighbours; the others of a larger collection are "
            "placed among those; unset: all points",
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _normalise(cls, data: dict[str, object]) -> dict[str, object]:
        """An empty variable is an unset one; the host list is comma-separated."""
        data = {key: value for key, value in data.items() if value != ""}
        delays = data.get("VIS_ASSETS_RETRY_SECONDS")
        if isinstance(delays, str):
            data["VIS_ASSETS_RETRY_SECONDS"] = tuple(delay.strip() for delay in delays.split(","))
        hosts = data.get("VIS_ASSETS_ALLOWED_HOSTS")
        if isinstance(hosts, str):
            data["VIS_ASSETS_ALLOWED_HOSTS"] = frozenset(h.strip().lower() for h in hosts.split(",") if h.strip())
        return data

    @field_validator("llm_provider")
    @classmethod
    def _lists_models(cls, value: str | None) -> str | None:
        for name in (value or "x").split(","):
            if not re.fullmatch(r"[A-Za-z0-9_]+(/[^\s,]+)?", name.strip()):
                raise ValueError(f"{name.strip()[:80]!r} is no model; write them like openai/gpt-4o-mini, cohere")
        return value

    @model_validator(mode="after")
    def _bucket_needs_credentials(self) -> Self:
        if self.s3_bucket_name is None:
            return self
        fields = type(self).model_fields
        needed = ("aws_region", "aws_access_key_id", "aws_secret_access_key", "aws_endpoint_url")
        missing = [str(fields[name].alias) for name in needed if getattr(self, name) is None]
        if missing:
            raise ValueError(f"S3_BUCKET_NAME is set, so {', '.join(missing)} must be set too")
        return self

    @model_validator(mode="after")
    def _shown_addresses_hold_no_credentials(self) -> Self:
        """They are told to people: in errors, in metadata, by `vis-assets config`."""
        for name, url in (
            ("AWS_ENDPOINT_URL", self.aws_endpoint_url),
            ("VIS_ASSETS_PUBLIC_URL", self.public_url),
            ("OPENAI_BASE_URL", self.openai_base_url),
            ("OLLAMA_BASE_URL", self.ollama_base_url),
            ("VLLM_BASE_URL", self.vllm_base_url),
            ("OPENAI_COMPATIBLE_BASE_URL", self.openai_compatible_base_url),
            ("LLM_INFERENCE_API_URL", self.llm_inference_api_url),
        ):
            if "@" in (url or "").partition("://")[2].partition("/")[0]:
                raise ValueError(f"{name} holds a user or password, and is shown to people; remove them")
            if name not in {"AWS_ENDPOINT_URL", "VIS_ASSETS_PUBLIC_URL"} and re.search("[?#]", url or ""):
                raise ValueError(
                    f"{name} holds a query or fragment, and is shown to people; a key has its own variable"
                )
        return self

    @model_validator(mode="after")
    def _one_way_into_nats(self) -> Self:
        given = [name for name in ("NATS_TOKEN", "NATS_NKEY_SEED_FILE", "NATS_CREDS_FILE") if self.nats_variables[name]]
        if "@" in self.nats_url.get_secret_value():
            given.append("a user or token in NATS_URL")
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are set; NATS takes one of them, so unset the others")
        if (self.nats_tls_cert_file is None) != (self.nats_tls_key_file is None):
            raise ValueError("NATS_TLS_CERT_FILE and NATS_TLS_KEY_FILE belong together; set both or none")
        return self

    @property
    def nats_variables(self) -> dict[str, str]:
        """The environment variables that lead a child process to the same NATS; secrets in clear, "" for unset."""
        values = {
            str(option.alias): getattr(self, name)
            for name, option in type(self).model_fields.items()
            if name.startswith("nats_")
        }
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else str(value or "")
            for name, value in values.items()
        }

    @property
    def store_folder(self) -> Path:
        """Absolute path of the folder that holds objects where no bucket is set."""
        return (self.store_dir or self.home / "objects" / "vis-assets").absolute()

    @property
    def public_base(self) -> str:
        """Base of links to maps, without a trailing slash."""
        return (self.public_url or f"http://localhost:{self.health_check_port}").rstrip("/")


def load_settings(environment: Mapping[str, str] | None = None) -> Settings:
    """Read the settings.

    Args:
        environment: variables that come before those of this process, e.g. those of a child.

    Raises:
        InvalidSetting: names each malformed or missing variable; values of secrets are not quoted.
    """
    known = {str(option.alias) for option in Settings.model_fields.values()}
    given: dict[str, Any] = {name: value for name, value in (environment or {}).items() if name in known}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise InvalidSetting("; ".join(_describe(problem) for problem in error.errors())) from None


def _describe(problem: object) -> str:
    assert isinstance(problem, dict)
    name = ".".join(str(part) for part in problem["loc"])
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message


def describe_settings(settings: Settings) -> list[dict[str, str | None]]:
    """List every setting with its value (secrets hidden) and where it came from."""
    rows = []
    for name, option in type(settings).model_fields.items():
        value = getattr(settings, name)
        shown: str | None
        if isinstance(value, SecretStr):
            shown = redacted(value.get_secret_value()) if name == "nats_url" else "(hidden)"
        elif isinstance(value, frozenset):
            shown = ",".join(sorted(value))
        else:
            shown = None if value is None else str(value)
        origin = "environment" if os.environ.get(str(option.alias)) else "default"
        rows.append({"name": option.alias, "value": shown, "origin": origin, "description": option.description})
    return rows


def redacted(url: str) -> str:
    """Return the servers of a NATS URL without users and passwords.

    A password may hold any character, a comma or an unescaped `@` or `/` too: where the URL has an `@`, only that is
    shown of each server which follows its last `@` and looks like a host and port.
    """
    if "@" not in url:
        return url
    servers = (server.rpartition("@")[2] for server in url.split(",") if "@" in server)
    return ",".join(s for s in servers if re.fullmatch(r"([\w.-]+|\[[0-9a-fA-F:]+\])(:\d+)?", s)) or "(hidden)"
