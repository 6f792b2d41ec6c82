"""Job messages to start from."""

import json
from typing import Any

from vis_assets.protocol.job import ParsedJob, parse_job

CANARY = "sk-CANARY-8f3a"

EXAMPLE: dict[str, Any] = {
    "job_id": "550e8400-e29b-41d4-a716-446655440000",
    "visualization_transform_id": 123,
    "visualization_id": 456,
    "owner": "user@example.com",
    "embedded_dataset_id": 789,
    "qdrant_collection_name": "embedded_789_embedder_1",
    "visualization_config": {
        "n_neighbors": 15,
        "min_dist": 0.1,
        "metric": "cosine",
        "min_cluster_size": 15,
        "min_samples": 5,
        "llm_batch_size": 10,
        "samples_per_cluster": 5,
        "darkmode": False,
        "width": "100%",
        "height": 800,
        "title": "Document Clusters",
        "noise_label": "",
        "noise_color": "#999999",
    },
    "vector_database_config": {"database_type": "qdrant", "connection_url": "http://qdrant:6334", "api_key": None},
    "llm_config": {"llm_id": 1, "provider": "openai", "model": "gpt-4", "api_key": "sk-..."},
}
"""The example message of document 000."""


def worker_job(**changes: Any) -> dict[str, Any]:
    """A small valid job of the worker's dialect; `Ellipsis` removes a key."""
    job = {key: value for key, value in EXAMPLE.items() if key not in {"visualization_config", "llm_config"}}
    return {key: value for key, value in (job | changes).items() if value is not ...}


def explorer_job(**changes: Any) -> dict[str, Any]:
    """The same job in the Semantic Explorer dialect."""
    job = worker_job(owner=..., vector_database_config=...)
    job |= {"owner_id": EXAMPLE["owner"], "qdrant_config": {"url": "http://qdrant:6334", "api_key": None}}
    return {key: value for key, value in (job | changes).items() if value is not ...}


def parsed(**changes: Any) -> ParsedJob:
    """The small valid job, parsed."""
    return parse_job(worker_job(**changes))


def encoded(job: dict[str, Any]) -> bytes:
    """A message as it comes over the wire."""
    return json.dumps(job).encode()
