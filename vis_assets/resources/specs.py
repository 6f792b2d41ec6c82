"""The spec store: validated jobs, their secrets sealed, at `specs/{transform_id}/{job_id}.json` and `latest.json`."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from pydantic import SecretStr

from vis_assets.errors import InvalidJob, ObjectMissing, SecretUnreadable
from vis_assets.protocol.job import (
    Dialect,
    JobEnvelope,
    LlmConfig,
    LlmOptions,
    ParsedJob,
    VisualizationTransformJob,
    envelope_of,
    in_dialect,
)
from vis_assets.resources.object_store import ObjectStore
from vis_assets.resources.sealing import Sealer

SPECS = "specs"
LATEST = "latest"
QDRANT_KEY = "vector_database_config.api_key"
LLM_KEY = "llm_config.api_key"
LLM_OPTIONS = "llm_config.config"
LLM_FALLBACKS = "llm_config.fallbacks"
"""Keys and options of all fallbacks together: a JSON list of objects `{api_key, config}`."""


@dataclass(frozen=True)
class Spec:
    """A job as it is stored: readable by anyone, its secrets sealed.

    Attributes:
        job: the job without secrets.
        dialect: how its sender speaks.
        warnings: what its sender should be told.
        sealed: field path -> sealed secret.
    """

    job: VisualizationTransformJob
    dialect: Dialect
    warnings: tuple[str, ...] = ()
    sealed: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def envelope(self) -> JobEnvelope:
        """What results and progress say about the sender."""
        return envelope_of(self.job, self.dialect)

    @classmethod
    def decode(cls, data: dict[str, Any]) -> Self:
        """Read the stored form."""
        job = VisualizationTransformJob.model_validate(data["job"])
        return cls(job, Dialect(data["dialect"]), tuple(data["warnings"]), data["sealed"])


class SpecStore:
    """Saves and loads specs."""

    def __init__(self, store: ObjectStore, sealer: Sealer) -> None:
        """Keep specs in `store`, secrets sealed by `sealer`."""
        self._store = store
        self._sealer = sealer

    def require_reachable(self) -> None:
        """Raise StoreUnavailable where no spec could be stored now."""
        self._store.require_writable()

    def save(self, parsed: ParsedJob) -> Spec:
        """Store a job under its id, and as the latest of its transform."""
        spec = self._seal(parsed)
        body = json.dumps(
            {
                "job": json.loads(spec.job.model_dump_json(exclude_none=True)),
                "dialect": spec.dialect.value,
                "warnings": list(spec.warnings),
                "sealed": spec.sealed,
            },
            indent=1,
        ).encode()
        for name in (parsed.job.job_id, LATEST):
            self._store.write(_key(parsed.job.partition_key, name), body, "application/json")
        return spec

    def load(self, partition_key: str, job_id: str | None = None) -> Spec:
        """Load one job's spec, or the latest of the transform.

        Raises:
            ObjectMissing: the transform never had a job, or not this one.
        """
        try:
            data = json.loads(self._store.read(_key(partition_key, job_id or LATEST)))
        except ObjectMissing:
            wanted = f"job {job_id}" if job_id else "a job"
            raise ObjectMissing(
                f"visualization transform {partition_key} has no spec of {wanted}; "
                "send a job for it first (vis-assets submit)"
            ) from None
        except ValueError:
            data = {}
        try:
            return Spec.decode(data)
        except (ValueError, KeyError, TypeError):
            raise ObjectMissing(
                f"the spec of visualization transform {partition_key} is damaged or of another version; "
                "send the job again (vis-assets submit)"
            ) from None

    def stored_form(self, partition_key: str, job_id: str) -> bytes:
        """Return a spec as it is stored, JSON with its secrets sealed; raises ObjectMissing."""
        return self._store.read(_key(partition_key, job_id))

    def reveal(self, spec: Spec, path: str, substitute: SecretStr | None = None, variable: str = "") -> str | None:
        """Open one secret of a spec.

        Args:
            spec: the job.
            path: which secret, e.g. `QDRANT_KEY`.
            substitute: taken where the job has none, or where it cannot be opened.
            variable: the environment variable that the substitute comes from, for the message.

        Returns:
            The secret, or None where the job has none and there is no substitute.

        Raises:
            SecretUnreadable: the key that sealed it is lost and there is no substitute.
        """
        token = spec.sealed.get(path)
        try:
            if token is not None:
                return self._sealer.open(token)
        except SecretUnreadable as error:
            if substitute is None:
                instead = f"set {variable}, " if variable else ""
                raise SecretUnreadable(
                    f"{path} of job {spec.job.job_id} cannot be opened: {error}; "
                    f"restore that key, {instead}or send the job again"
                ) from None
        return substitute.get_secret_value() if substitute is not None else None

    def message(self, spec: Spec, job_id: str) -> bytes:
        """Write the job as its sender did, secrets opened, under another id: to be sent at once, and never stored.

        Raises:
            SecretUnreadable: the key that sealed one of them is lost.
        """
        message: dict[str, Any] = json.loads(spec.job.model_dump_json(exclude_none=True))
        for path in spec.sealed:
            secret = self.reveal(spec, path) or ""
            part, _, name = path.partition(".")
            if path == LLM_FALLBACKS:
                both = zip(message[part][name], json.loads(secret), strict=True)
                message[part][name] = [model | hidden for model, hidden in both]
            else:
                message[part][name] = json.loads(secret) if path == LLM_OPTIONS else secret
        return json.dumps(in_dialect(message | {"job_id": job_id}, spec.dialect)).encode()

    def _seal(self, parsed: ParsedJob) -> Spec:
        job = parsed.job
        database, llm = job.vector_database_config, job.llm_config
        secrets = {QDRANT_KEY: database.api_key.get_secret_value() if database.api_key is not None else ""}
        bare: dict[str, Any] = {"vector_database_config": database.model_copy(update={"api_key": None})}
        if llm is not None:
            secrets |= _secrets_of(llm)
            fallbacks = [model.model_copy(update=_HIDDEN) for model in llm.fallbacks]
            bare["llm_config"] = llm.model_copy(update={**_HIDDEN, "fallbacks": fallbacks})
        sealed = {path: self._sealer.seal(secret) for path, secret in secrets.items() if secret}
        return Spec(job.model_copy(update=bare), parsed.dialect, parsed.warnings, sealed)


_HIDDEN = {"api_key": None, "config": LlmOptions()}


def _secrets_of(llm: LlmConfig) -> dict[str, str]:
    """What is sealed of the language models of a job, "" where there is nothing."""
    keys = [model.api_key.get_secret_value() if model.api_key is not None else "" for model in llm.chain]
    options = [model.config.model_dump(exclude_none=True) for model in llm.chain]
    others = [{"api_key": key, "config": config} for key, config in zip(keys[1:], options[1:], strict=True)]
    return {
        LLM_KEY: keys[0],
        LLM_OPTIONS: json.dumps(options[0]) if options[0] else "",
        LLM_FALLBACKS: json.dumps(others) if any(keys[1:]) or any(options[1:]) else "",
    }


def _key(partition_key: str, name: str) -> str:
    if not (partition_key.isascii() and partition_key.isdigit()):
        raise InvalidJob(
            f"partition {partition_key[:80]!r} is no visualization_transform_id; "
            "it must be a whole number, as in a job message"
        )
    return f"{SPECS}/{partition_key}/{name}.json"
