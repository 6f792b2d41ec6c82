"""The job message: `VisualizationTransformJob`, its parts, and how its text becomes one.

Two dialects are read (see `Dialect`); whatever the dialect, the rest of the package sees this model only.
"""

import json
import math
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from vis_assets.errors import InvalidJob, InvalidMessage
from vis_assets.protocol.visualization_config import (
    IMAGE_OPTIONS,
    SAMPLES_PLACEHOLDER,
    VisualizationConfig,
    allowed_values,
    embedded_image,
)

MAX_MESSAGE_BYTES = 1_000_000
"""Longer messages are refused before they are parsed."""
MAX_NESTING = 32
"""Deeper JSON is refused."""
RESERVED_JOB_ID = "latest"
"""The spec store keeps the newest job of a transform under this name."""
QUOTED_FIELDS = frozenset(
    [
        "job_id",
        "visualization_transform_id",
        "visualization_id",
        "owner",
        "embedded_dataset_id",
        "qdrant_collection_name",
        "vector_name",
        "text_field",
        "vector_database_config.database_type",
        "llm_config.llm_id",
        "llm_config.provider",
        "llm_config.model",
    ]
)
"""Fields, besides those of `visualization_config`, whose wrong values are quoted; any other may hold a secret."""
SEMANTIC_EXPLORER_NAMES = {
    "owner": "owner_id",
    "vector_database_config": "qdrant_config",
    "vector_database_config.connection_url": "qdrant_config.url",
    "vector_database_config.api_key": "qdrant_config.api_key",
}
"""What that dialect calls our fields."""

_ONE_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]+$"
"""For what stands in logs: no break, no control character."""
_CREDENTIALS_IN_URL = re.compile(r"//[^\s\"]*@")
"""What stands before the host of a URL, which people also write into fields that are no URL."""

Identifier = Annotated[int, Field(ge=0, le=2**63 - 1)]
JobId = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Owner = Annotated[str, Field(pattern=r"^[A-Za-z0-9@_+-][A-Za-z0-9@._+-]{0,127}$")]
CollectionName = Annotated[str, Field(pattern=r"^[^/\\\x00-\x1f\x7f]{1,255}$")]
FieldName = Annotated[str, Field(min_length=1, max_length=255)]


class Dialect(StrEnum):
    """The form in which a job came and in which it is answered."""

    WORKER = "worker"
    """The stand-alone worker's: `owner`, `vector_database_config`, status `completed`."""
    SEMANTIC_EXPLORER = "semantic_explorer"
    """The Semantic Explorer platform's: `owner_id`, `qdrant_config`, status `success`."""


class VectorDatabaseConfig(BaseModel):
    """Where the points are."""

    model_config = ConfigDict(strict=True, frozen=True)

    database_type: Annotated[str, Field(pattern=r"^[a-z0-9_]{1,32}$")] = "qdrant"
    connection_url: Annotated[str, Field(min_length=1, max_length=2048)]
    api_key: SecretStr | None = None

    @field_validator("connection_url")
    @classmethod
    def _holds_no_credentials(cls, value: str) -> str:
        """A URL is logged and stored in the clear, so it may not carry a secret."""
        try:
            parts = urlsplit(value)
            port_is_valid = parts.port is None or parts.port > 0
        except ValueError:
            port_is_valid = False
        if not port_is_valid or not re.fullmatch(r"[a-z]+", parts.scheme):
            raise ValueError("is no URL such as http://qdrant:6334")
        # Without a host in its place (`http:user:password@host`) urlsplit sees no user, only a path.
        names_user = "@" in (parts.netloc if parts.scheme == "file" else value)
        if names_user or parts.query or parts.fragment:
            raise ValueError("must not hold a user, password, query or fragment; put the key into api_key")
        return value


class LlmOptions(BaseModel):
    """How a language model is asked; unknown options are kept, sealed, and not used."""

    model_config = ConfigDict(strict=True, frozen=True, extra="allow")

    base_url: Annotated[str, Field(min_length=1, max_length=2048)] | None = None
    temperature: Annotated[float, Field(ge=0.0, le=2.0)] | None = None
    timeout_seconds: Annotated[float, Field(ge=1.0, le=600.0)] | None = None
    requests_per_minute: Annotated[float, Field(gt=0.0, le=1_000_000.0)] | None = None
    max_input_tokens: Annotated[int, Field(ge=500, le=10_000_000)] | None = None

    @model_validator(mode="before")
    @classmethod
    def _null_means_default(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        return {name: value for name, value in data.items() if value is not None and value != ""}

    @field_validator("base_url")
    @classmethod
    def _holds_no_credentials(cls, value: str | None) -> str | None:
        """The address is told to people; and its parts are judged apart, so they must be what they seem."""
        try:
            parts = urlsplit(value or "http://host")
            is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        except ValueError:
            is_address = False
        if not is_address:
            raise ValueError("is no address such as https://llm.example.com/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("must not hold a user, password, query or fragment; put the key into api_key")
        return value


class LanguageModel(BaseModel):
    """One language model and how to reach it."""

    model_config = ConfigDict(strict=True, frozen=True)

    llm_id: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    provider: Annotated[str, Field(max_length=64, pattern=_ONE_LINE)]
    model: Annotated[str, Field(max_length=255, pattern=_ONE_LINE)]
    api_key: SecretStr | None = None
    config: LlmOptions = Field(default_factory=LlmOptions, repr=False)

    @field_validator("config", mode="before")
    @classmethod
    def _null_means_empty(cls, value: object) -> object:
        return {} if value is None else value


class LlmConfig(LanguageModel):
    """Which language models name the clusters.

    Attributes:
        fallbacks: asked in this order where the model before them gives no usable answer.
    """

    fallbacks: Annotated[list[LanguageModel], Field(max_length=8)] = Field(default_factory=list, repr=False)

    @field_validator("fallbacks", mode="before")
    @classmethod
    def _null_means_none(cls, value: object) -> object:
        return [] if value is None else value

    @property
    def chain(self) -> tuple[LanguageModel, ...]:
        """All models, the first to be asked first."""
        return (self, *self.fallbacks)


class VisualizationTransformJob(BaseModel):
    """One map to be made.

    Attributes:
        job_id: 1-64 of `[A-Za-z0-9_-]`; names the job in progress and results.
        visualization_transform_id: the partition; one map may be made many times.
        visualization_id: names the page below the transform.
        owner: 1-128 of `[A-Za-z0-9@._+-]`, no leading dot.
        filter: Qdrant payload filter in its JSON form, or None for all points.
        vector_name: which named vector; None takes the only one.
        text_field: payload field that holds the document; None detects it.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    job_id: JobId
    visualization_transform_id: Identifier
    visualization_id: Identifier
    owner: Owner
    embedded_dataset_id: Identifier | None = None
    qdrant_collection_name: CollectionName
    visualization_config: VisualizationConfig = VisualizationConfig()
    vector_database_config: VectorDatabaseConfig
    llm_config: LlmConfig | None = None
    filter: dict[str, Any] | None = None
    vector_name: FieldName | None = None
    text_field: FieldName | None = None

    @field_validator("visualization_config", mode="before")
    @classmethod
    def _null_means_defaults(cls, value: object) -> object:
        return {} if value is None else value

    @property
    def partition_key(self) -> str:
        """Key of the Dagster partition that this job's map lives in."""
        return str(self.visualization_transform_id)


@dataclass(frozen=True)
class JobEnvelope:
    """What is known of the sender even where the job itself is invalid; unknown parts are None."""

    dialect: Dialect = Dialect.WORKER
    job_id: str | None = None
    visualization_transform_id: int | None = None
    visualization_id: int | None = None
    owner: str | None = None
    embedded_dataset_id: int | None = None


@dataclass(frozen=True)
class ParsedJob:
    """A valid job, the dialect it came in, and what its sender should be told about it."""

    job: VisualizationTransformJob
    dialect: Dialect
    warnings: tuple[str, ...] = ()

    @property
    def envelope(self) -> JobEnvelope:
        """What results and progress say about the sender."""
        return envelope_of(self.job, self.dialect)


def envelope_of(job: VisualizationTransformJob, dialect: Dialect) -> JobEnvelope:
    """Return what results and progress say about the sender of a job."""
    return JobEnvelope(
        dialect, job.job_id, job.visualization_transform_id, job.visualization_id, job.owner, job.embedded_dataset_id
    )


def read_object(payload: bytes) -> dict[str, Any]:
    """Decode a message.

    Raises:
        InvalidMessage: too long, no JSON, no object, or nested deeper than `MAX_NESTING`.
    """
    if len(payload) > MAX_MESSAGE_BYTES:
        raise InvalidMessage(f"message has {len(payload)} bytes; at most {MAX_MESSAGE_BYTES} are accepted")
    try:
        data = json.loads(payload, parse_constant=_refuse_constant, parse_float=_finite)
        json.dumps(data, ensure_ascii=False).encode()  # a lone surrogate is legal JSON, and no text
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "it cannot be decoded"
        raise InvalidMessage(f"message is not valid JSON: {reason}; send one UTF-8 JSON object") from None
    if not isinstance(data, dict):
        raise InvalidMessage(f"message is a JSON {type(data).__name__}; send one JSON object")
    if _depth(data) > MAX_NESTING:
        raise InvalidMessage(f"message is nested deeper than {MAX_NESTING} levels; flatten it")
    return data


def envelope(data: dict[str, Any]) -> JobEnvelope:
    """Read the ids that a result must carry, each only where it is well-formed."""
    data, dialect = _to_worker_dialect(data)

    def integer(key: str) -> int | None:
        value = data.get(key)
        return value if type(value) is int and 0 <= value < 2**63 else None

    def text(key: str, pattern: str) -> str | None:
        value = data.get(key)
        return value if isinstance(value, str) and re.fullmatch(pattern, value) else None

    return JobEnvelope(
        dialect=dialect,
        job_id=text("job_id", r"[A-Za-z0-9_-]{1,64}"),
        visualization_transform_id=integer("visualization_transform_id"),
        visualization_id=integer("visualization_id"),
        owner=text("owner", r"[A-Za-z0-9@_+-][A-Za-z0-9@._+-]{0,127}"),
        embedded_dataset_id=integer("embedded_dataset_id"),
    )


def parse_job(data: dict[str, Any]) -> ParsedJob:
    """Validate a decoded message of either dialect.

    Raises:
        InvalidJob: names each offending field, its value (secrets hidden) and what is allowed.
    """
    data, dialect = _to_worker_dialect(data)
    try:
        job = VisualizationTransformJob.model_validate(data)
    except ValidationError as error:
        raise InvalidJob("; ".join(_describe(problem, dialect) for problem in error.errors()[:10])) from None
    if job.job_id == RESERVED_JOB_ID:
        raise InvalidJob(f"job_id: {RESERVED_JOB_ID!r} is reserved; use a unique id such as a UUID")
    return ParsedJob(job, dialect, tuple(_warnings(data, job)))


def _to_worker_dialect(data: dict[str, Any]) -> tuple[dict[str, Any], Dialect]:
    """Rename the Semantic Explorer keys; `job_id` and the ids are the same in both dialects."""
    if "owner_id" not in data and "qdrant_config" not in data:
        return data, Dialect.WORKER
    renamed = dict(data)
    if "owner_id" in renamed:
        renamed["owner"] = renamed.pop("owner_id")
    if "qdrant_config" in renamed:
        config = renamed.pop("qdrant_config")
        if isinstance(config, dict):
            config = {"database_type": "qdrant", "connection_url": config.get("url"), "api_key": config.get("api_key")}
        renamed["vector_database_config"] = config
    return renamed, Dialect.SEMANTIC_EXPLORER


def in_dialect(job: dict[str, Any], dialect: Dialect) -> dict[str, Any]:
    """Write a decoded job in the names of its sender: the inverse of what `parse_job` reads."""
    if dialect is Dialect.WORKER:
        return job
    renamed = dict(job)
    database = renamed.pop("vector_database_config")
    renamed["qdrant_config"] = {"url": database["connection_url"], "api_key": database.get("api_key")}
    renamed["owner_id"] = renamed.pop("owner")
    return renamed


def _warnings(data: dict[str, Any], job: VisualizationTransformJob) -> list[str]:
    config = data.get("visualization_config") or {}
    warnings = []
    for place, given, known in (("job", data, type(job)), ("visualization_config", config, VisualizationConfig)):
        unknown = sorted(set(given) - set(known.model_fields))
        if unknown:
            shown = ", ".join(key[:64] for key in unknown[:50])
            warnings.append(f"{place}: unknown keys are ignored: {shown}")
    for name in IMAGE_OPTIONS:
        image = getattr(job.visualization_config, name)
        if image is not None and embedded_image(image) is None:
            warnings.append(
                f"visualization_config.{name}: a page loads nothing from the network, so the image at that address is "
                "not shown; send the image itself as data:image/png;base64,..."
            )
    prompt = job.visualization_config.topic_naming_prompt
    if prompt is not None and SAMPLES_PLACEHOLDER not in prompt:
        warnings.append(
            f"visualization_config.topic_naming_prompt holds no {SAMPLES_PLACEHOLDER}; the documents are put after it"
        )
    return warnings + _warnings_of_models(data.get("llm_config"), job.llm_config)


def _warnings_of_models(given: Any, llm_config: LlmConfig | None) -> list[str]:
    """Only the names of unknown keys are told, since their values may be secrets."""
    warnings = []
    for place, model in enumerate(llm_config.chain if llm_config is not None else ()):
        where = "llm_config" if place == 0 else f"llm_config.fallbacks.{place - 1}"
        raw = given if place == 0 else given["fallbacks"][place - 1]
        unknown = {
            where: set(raw) - set(type(model).model_fields),
            f"{where}.config": set(model.config.model_extra or {}),
        }
        warnings += [
            f"{path}: unknown keys are not used: {', '.join(sorted(name[:64] for name in names)[:50])}"
            for path, names in unknown.items()
            if names
        ]
    return warnings


def _describe(problem: Any, dialect: Dialect) -> str:
    path = ".".join(str(part) for part in problem["loc"])
    option = path.removeprefix("visualization_config.")
    message = problem["msg"].removeprefix("Value error, ").removeprefix("Input ")
    message = message[:1].lower() + message[1:]
    name = SEMANTIC_EXPLORER_NAMES.get(path, path) if dialect is Dialect.SEMANTIC_EXPLORER else path
    if problem["type"] == "missing":
        return f"{name}: is missing"
    is_shown = path in QUOTED_FIELDS or option != path or type(problem["input"]) in {int, float}
    if not is_shown or isinstance(problem["input"], dict | list):
        return f"{name}: {message}"
    allowed = allowed_values(option)
    hint = f" (allowed: {allowed})" if allowed else ""
    shown = json.dumps(problem["input"], ensure_ascii=True, default=str)
    return f"{name}: {_CREDENTIALS_IN_URL.sub('//***@', shown)[:120]} {message}{hint}"


def _refuse_constant(name: str) -> Literal[0]:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:40]} is too large")
    return number


def _depth(value: object) -> int:
    """Nesting depth, counted without recursion, so that no input can exhaust the stack."""
    depth, level = 0, [value]
    while level and depth <= MAX_NESTING:
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node if isinstance(node, list) else ())
        ]
        depth += 1
    return depth
