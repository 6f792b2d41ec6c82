"""Clusters about real subjects, and models that answer by rule: small ones of our own, but models all the same."""

import json
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from vis_assets.llm.chain import Link, ModelChain, Patience
from vis_assets.llm.ledger import Budget, Ledger
from vis_assets.llm.model import Completion, Question
from vis_assets.naming.evidence import ClusterEvidence
from vis_assets.naming.sketch import hash_documents, sketch_clusters

SUBJECTS = (
    ("sparse matrix", "eigenvalues", "linear solver"),
    ("gradient descent", "learning rate", "neural network"),
    ("http request", "response header", "proxy"),
    ("database index", "query planner", "transaction"),
    ("color map", "axis label", "figure"),
    ("time zone", "calendar", "leap year"),
    ("file path", "directory", "symbolic link"),
    ("password hash", "signature", "certificate"),
    ("sound wave", "sample rate", "filter"),
    ("protein", "amino acid", "sequence alignment"),
    ("traffic light", "road", "intersection"),
    ("bread dough", "yeast", "oven"),
)


def documents_of(subject: int, count: int = 12) -> tuple[str, ...]:
    phrases = SUBJECTS[subject % len(SUBJECTS)]
    return tuple(
        f"Note {i} of {subject}: the {phrases[i % 3]} and how a {phrases[(i + 1) % 3]} goes with it"
        for i in range(count)
    )


def cluster_of(
    subject: int, layer: int = 0, label: int | None = None, parent: int = -1, **more: Any
) -> ClusterEvidence:
    """One cluster about a subject."""
    texts = documents_of(subject)
    (sketch,) = sketch_clusters(hash_documents(texts), np.zeros(len(texts), dtype=np.int32))
    known: dict[str, Any] = {
        "size": 100 - subject,
        "keyphrases": SUBJECTS[subject % len(SUBJECTS)],
        "documents": texts[:3],
        "members": texts[3:],
        "sketch": sketch,
    }
    return ClusterEvidence(layer, subject if label is None else label, parent, **(known | more))


def clusters_of(count: int) -> list[ClusterEvidence]:
    """The first so many subjects, each a cluster."""
    return [cluster_of(i, neighbors=tuple(n for n in (i - 1, i + 1) if 0 <= n < count)) for i in range(count)]


class RuleModel:
    """A model that answers by a rule: cluster as it was asked for -> name, or None for no name."""

    def __init__(self, rule: Callable[[dict[str, Any]], str | None]) -> None:
        self.questions: list[Question] = []
        self._rule = rule
        self._lock = threading.Lock()

    @property
    def asked(self) -> list[dict[str, Any]]:
        """All clusters that were asked for, in order."""
        return [cluster for question in self.questions for cluster in json.loads(question.content)["clusters"]]

    def complete(self, question: Question, timeout_seconds: float) -> Completion:
        with self._lock:
            self.questions.append(question)
        named = {cluster["id"]: self._rule(cluster) for cluster in json.loads(question.content)["clusters"]}
        names = [{"id": key, "name": name} for key, name in named.items() if name is not None]
        return Completion(json.dumps({"names": names}), 100, 20)

    def close(self) -> None:
        pass


def title_of(cluster: dict[str, Any]) -> str:
    """A name as a sensible model gives it: the first keyphrase that is not to be avoided."""
    phrases = [f"On {phrase}" for phrase in cluster["keyphrases"]]
    return next((phrase for phrase in phrases if phrase not in cluster.get("avoid", ())), phrases[0])


def _itself(model: Any) -> Any:
    return model


def chain_of(
    *models: RuleModel | Any, budget: Budget | None = None, names: Sequence[str] = (), price: Any = None
) -> ModelChain:
    """A chain of models that waits for nothing."""
    called = names or [f"rule/{i}" for i in range(len(models))]
    links = [Link(name, partial(_itself, model), price, 5.0) for name, model in zip(called, models, strict=True)]
    patience = Patience(attempts=2, first_wait_seconds=0.0, longest_wait_seconds=0.0, longest_rest_seconds=0.0)
    return ModelChain(links, Ledger(budget or Budget()), patience)
