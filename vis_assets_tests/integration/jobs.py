"""The jobs that the integration tests send, all of them at once, and the collections they speak of."""

import json
import uuid
from typing import Any

import numpy as np
from qdrant_client import models

from vis_assets.operations.embedded_qdrant import EmbeddedQdrant

OWNER = "user@example.com"
DOCUMENTS = "embedded_789_embedder_1"
NAMED = "named_vectors"
TINY = "tiny"
EMPTY = "empty"
HOSTILE = '<img src=x onerror="title=1"> **b** | [l](javascript:1) `c` https://e.example'
"""Markup that must be text wherever people read it: HTML, and all that Markdown knows."""
TOPICS = {
    "en": ("granite basalt volcano lava crust", "violin sonata orchestra concert melody"),
    "de": ("bread flour yeast oven dough", "goalkeeper penalty stadium football league"),
}

QDRANT_KEY = "canary-qdrant-key-of-job-8d1f0c"
LLM_KEY = "sk-canary-llm-key-of-job-4b7a2e"
LLM_FALLBACK_KEY = "sk-canary-llm-key-of-fallback-c08e71"
LLM_OPTION = "canary-llm-option-of-job-91c3d5"
ENVIRONMENT_SECRETS = {
    "QDRANT_API_KEY": "canary-qdrant-key-of-environment-77aa01",
    "OPENAI_API_KEY": "sk-canary-openai-key-of-environment-5f2c",
    "COHERE_API_KEY": "canary-cohere-key-of-environment-0e9b",
    "VLLM_API_KEY": "canary-vllm-key-of-environment-d83c",
}
NATS_PASSWORD = "canary-nats-password-c2f6"
URL_PASSWORD = "canary-url-password-of-job-6e2b"
STRAY_SECRET = "canary-of-a-field-that-is-none-3a9d"

Job = dict[str, Any]


def job(transform: int, url: str, **changes: Any) -> Job:
    """A valid job for the documents; `changes` replace its fields."""
    return {
        "job_id": str(uuid.uuid4()),
        "visualization_transform_id": transform,
        "visualization_id": 1,
        "owner": OWNER,
        "embedded_dataset_id": 789,
        "qdrant_collection_name": DOCUMENTS,
        "visualization_config": {},
        "vector_database_config": {"database_type": "qdrant", "connection_url": url, "api_key": None},
        "llm_config": None,
    } | changes


def example(url: str) -> Job:
    """The example message of the protocol's document, field by field, with a collection that can be reached."""
    return {
        "job_id": "550e8400-e29b-41d4-a716-446655440000",
        "visualization_transform_id": 123,
        "visualization_id": 456,
        "owner": OWNER,
        "embedded_dataset_id": 789,
        "qdrant_collection_name": DOCUMENTS,
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
        "vector_database_config": {"database_type": "qdrant", "connection_url": url, "api_key": None},
        "llm_config": {"llm_id": 1, "provider": "openai", "model": "gpt-4", "api_key": LLM_KEY},
    }


def platform_job(keyed_url: str) -> Job:
    """A job in the words of the Semantic Explorer platform, with a filter, a named vector, a text field and secrets."""
    return {
        "job_id": str(uuid.uuid4()),
        "visualization_transform_id": 124,
        "visualization_id": 9,
        "owner_id": "auth0+62.ab",
        "embedded_dataset_id": 7,
        "qdrant_collection_name": NAMED,
        "visualization_config": {"min_cluster_size": 10, "topic_naming_prompt": "Name {{samples}}", "font_family": "X"},
        "qdrant_config": {"url": keyed_url, "api_key": QDRANT_KEY},
        "llm_config": {
            "llm_id": 3,
            "provider": "internal",
            "model": "m",
            "api_key": LLM_KEY,
            "config": {"token": LLM_OPTION},
        },
        "filter": {"must": [{"key": "lang", "match": {"value": "en"}}]},
        "vector_name": "body",
        "text_field": "caption",
    }


def outage(url: str, llm_url: str) -> Job:
    """A job all of whose language models are at a server that fails; the last is the installation's, with its key."""
    place = {"base_url": f"{llm_url}/v1"}
    fallbacks = [
        {"provider": "cohere", "model": "down", "api_key": LLM_FALLBACK_KEY, "config": {"base_url": llm_url}},
        {"provider": "vllm", "model": "down"},
    ]
    llm = {"provider": "openai", "model": "down", "api_key": LLM_KEY, "config": place, "fallbacks": fallbacks}
    return job(127, url, llm_config=llm)


def numbered(url: str) -> Job:
    """A job that wants numbers for names, though it names a language model."""
    llm = {"provider": "openai", "model": "never-asked", "api_key": LLM_KEY}
    return job(128, url, llm_config=llm, visualization_config={"topic_names": "numbers"})


def broken_job(url: str) -> Job:
    """A message with several mistakes, whose ids can be read all the same; and with secrets wherever one may stand."""
    wrong = {"n_neighbors": 1, "min_dist": "near", "metric": "euclid", "token": STRAY_SECRET}
    address = url.replace("://", f"://vis:{URL_PASSWORD}@")
    database = {"database_type": "qdrant", "connection_url": address, "api_key": [QDRANT_KEY]}
    fallbacks = [{"provider": "openai", "api_key": [LLM_FALLBACK_KEY], "config": {"base_url": LLM_OPTION}}]
    llm = {"provider": "openai", "api_key": {"key": LLM_KEY}, "config": [LLM_OPTION], "fallbacks": fallbacks}
    secrets = {"vector_database_config": database, "llm_config": llm, "password": STRAY_SECRET}
    return job(131, url, job_id="several-mistakes", qdrant_collection_name="", visualization_config=wrong, **secrets)


def cut_off_message() -> bytes:
    """The first half of a job, with its secret."""
    return f'{{"job_id": "half", "vector_database_config": {{"api_key": "{QDRANT_KEY}", "x'.encode()


def refused(url: str, keyed_url: str) -> dict[str, Job]:
    """Valid jobs that can never be done: why -> job."""
    nothing = {"must": [{"key": "lang", "match": {"value": "tlh"}}]}
    return {
        "missing collection": job(132, url, qdrant_collection_name="no_such_collection"),
        "empty collection": job(133, url, qdrant_collection_name=EMPTY),
        "filter that matches nothing": job(134, url, filter=nothing),
        "wrong vector name": job(135, url, qdrant_collection_name=NAMED, vector_name="abstract"),
        "disallowed host": job(136, "http://169.254.169.254:6333"),
        "wrong key": job(137, keyed_url),
    }


def pair(url: str) -> tuple[Job, Job]:
    """Two jobs for the same page, of 3 and of 2 points; the first has keys that nobody knows."""
    two = {"must": [{"key": "number", "range": {"lt": 2}}]}
    first = {"title": "first", "glow_keywords": ["x"], "cluster_layer_colormaps": True}
    return (
        job(125, url, qdrant_collection_name=TINY, visualization_config=first),
        job(125, url, qdrant_collection_name=TINY, visualization_config={"title": "second"}, filter=two),
    )


def fill(qdrant: EmbeddedQdrant) -> None:
    """Make the collections: 200 documents in 4 topics, the same with named vectors, 3 points, and none."""
    size = models.VectorParams(size=16, distance=models.Distance.COSINE)
    documents = _documents()
    with qdrant.lock:
        for name in (DOCUMENTS, TINY, EMPTY):
            qdrant.client.create_collection(name, vectors_config=size)
        qdrant.client.upsert(DOCUMENTS, documents)
        qdrant.client.upsert(TINY, documents[:3])
        qdrant.client.create_collection(
            NAMED,
            vectors_config={"title": models.VectorParams(size=8, distance=models.Distance.COSINE), "body": size},
        )
        named = [
            point.model_copy(update={"vector": {"title": point.vector[:8], "body": point.vector}})
            for point in documents
            if isinstance(point.vector, list)
        ]
        qdrant.client.upsert(NAMED, named)


def _documents() -> list[models.PointStruct]:
    random = np.random.default_rng(7)
    topics = [(lang, words.split()) for lang, pair in TOPICS.items() for words in pair]
    centers = np.eye(16)[:4] * 4
    points = []
    for number in range(200):
        lang, words = topics[number % 4]
        text = " ".join(random.choice(words, 6))
        vector = (centers[number % 4] + random.normal(0, 0.4, 16)).tolist()
        payload = {
            "text": f"{text}.",
            "caption": f"caption of {words[0]} {number} {HOSTILE}",
            "lang": lang,
            "number": number,
        }
        points.append(models.PointStruct(id=number, vector=vector, payload=payload))
    return points


def encoded(message: object) -> bytes:
    """A message as it goes over the wire."""
    return json.dumps(message).encode()
