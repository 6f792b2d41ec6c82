"""How well names fit: each cluster's words and exemplars come from one half of its documents, the other half judges."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from vis_assets.errors import InvalidJob
from vis_assets.mapping.candidates import to_length_one
from vis_assets.mapping.clustering import Clustering, cluster
from vis_assets.mapping.clustering.numbering import rows_by_label
from vis_assets.mapping.exemplars import gather_evidence
from vis_assets.mapping.function_words import ENGLISH
from vis_assets.mapping.keyphrases import extract_keyphrases, extract_layer_keyphrases
from vis_assets.mapping.layout import lay_out
from vis_assets.mapping.near_duplicates import Wording
from vis_assets.naming.evidence import ClusterEvidence, collect_evidence
from vis_assets.naming.name_clusters import name_clusters
from vis_assets.operations.bench.engines import MIN_CLUSTER_SIZE, MIN_DIST, MIN_SAMPLES, N_NEIGHBORS
from vis_assets.protocol.visualization_config import Metric
from vis_assets.sources import fetch_points
from vis_assets.sources.points import AccessPolicy, PointSet, SourceRequest

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

EXEMPLARS = 5
"""Of each cluster."""
KEYPHRASES = 10
"""Of each cluster."""
EXEMPLARS_SHOWN = 3
CHARACTERS_SHOWN = 80
_WORDS_OF_A_NAIVE_NAME = 3
_LONGEST_RUN = 3  # words of the longest phrase that is looked for
METRIC: Metric = "cosine"
# Not the words of our own keyphrases: the judge is another's reading.
_WORD = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|\\w+")

Labels = npt.NDArray[np.int32]
Rows = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Fit:
    """How well the words of clusters fit documents that they were not made of.

    Attributes:
        clusters: share of clusters whose held-out documents, on average, are nearer to their own words than to any
            other cluster's.
        documents: share of held-out documents nearer to their own cluster's words than to any other's.
        distinct: share of clusters whose words no other cluster has.
    """

    clusters: float
    documents: float
    distinct: float


@dataclass(frozen=True)
class ExemplarFit:
    """How well exemplars show documents that they were not chosen from.

    Attributes:
        to_centre: mean cosine to the centre of the cluster's held-out documents; more is more typical.
        among: mean cosine of two exemplars of a cluster; less is more diverse.
        repeated: share of exemplars whose text repeats another one of the cluster.
    """

    to_centre: float
    among: float
    repeated: float


@dataclass(frozen=True)
class Shown:
    """A cluster, as a reader sees it.

    Attributes:
        name: made of keyphrases.
        size: number of points.
        keyphrases: the best first.
        exemplars: beginnings of the texts of three.
    """

    name: str
    size: int
    keyphrases: tuple[str, ...]
    exemplars: tuple[str, ...]


@dataclass(frozen=True)
class NamesReport:
    """What was found, "ours" beside "naive": a cluster's first five documents, and their ten most frequent words.

    Attributes:
        about: the data.
        points: mapped.
        clusters: of the finest layer.
        held_out: documents that judged.
        keyphrases: fit by method.
        names: fit by method.
        exemplars: fit by method.
        shown: some clusters, spread over all sizes, from all their documents.
    """

    about: str
    points: int
    clusters: int
    held_out: int
    keyphrases: dict[str, Fit]
    names: dict[str, Fit]
    exemplars: dict[str, ExemplarFit]
    shown: tuple[Shown, ...]


def run_names(
    vectors: npt.NDArray[np.float32], texts: Sequence[str], about: str, shown: int, say: Callable[[str], None]
) -> NamesReport:
    """Map vectors by the default engines, and measure how names, keyphrases and exemplars fit.

    Args:
        vectors: (n, d) float32.
        texts: n texts.
        about: what they are, for a person.
        shown: how many clusters to show.
        say: told what takes long.
    """
    say(f"mapping {len(vectors):,} points")
    clustering = find_clusters(vectors)
    say(f"measuring {clustering.cluster_count} clusters")
    kept, held_out = split_clusters(clustering.labels)
    labels, texts_kept = clustering.labels[kept], [texts[row] for row in kept]
    first_five = [kept[rows[:EXEMPLARS]] for rows in rows_by_label(labels)]
    keyphrases = extract_keyphrases(texts_kept, labels, per_cluster=KEYPHRASES)
    (evidence,) = gather_evidence(vectors[kept], [labels], texts_kept, metric=METRIC, per_cluster=EXEMPLARS)
    named = name_clusters(collect_evidence([labels], texts_kept, [keyphrases], [evidence], with_sketches=False))
    naive = [commonest_words([texts[row] for row in rows], KEYPHRASES) for rows in first_five]
    judge = Judge([texts[row] for row in held_out], clustering.labels[held_out])
    return NamesReport(
        about=about,
        points=len(vectors),
        clusters=clustering.cluster_count,
        held_out=len(held_out),
        keyphrases={"ours": judge.fit(keyphrases), "naive": judge.fit(naive)},
        names={
            "ours": judge.fit([tuple(re.split(", | & |: ", one.name)) for one in named.names]),
            "naive": judge.fit([words[:_WORDS_OF_A_NAIVE_NAME] for words in naive]),
        },
        exemplars={
            "ours": _fit_exemplars(vectors, texts, clustering.labels, held_out, [kept[r] for r in evidence.exemplars]),
            "naive": _fit_exemplars(vectors, texts, clustering.labels, held_out, first_five),
        },
        shown=_show(vectors, texts, clustering, shown),
    )


def read_file(path: Path, folder: Path) -> PointSet:
    """Read the points of a file as a job does.

    Args:
        path: `.npy` with a `.jsonl` beside it, or `.parquet`.
        folder: where the vectors are kept while they are used.

    Raises:
        InvalidJob: it is of no known kind.
        PermanentError: it cannot be read; the message says why.
    """
    kind = path.suffix.lower().lstrip(".")
    if kind not in {"parquet", "npy"}:
        raise InvalidJob(f"{path} is of no known kind; give a .parquet (id, text, vector) or a .npy with a .jsonl")
    request = SourceRequest(kind, path.resolve().as_uri(), path.stem)
    return fetch_points(request, AccessPolicy(local_root=path.resolve().parent), folder, _ignore)


def _ignore(_done: float, _total: float) -> None:
    """Take no notice of progress."""


def find_clusters(vectors: npt.NDArray[np.float32]) -> Clustering:
    """Lay (n, d) vectors out and cluster them as a job without options does."""
    layout = lay_out(
        vectors,
        n_neighbors=N_NEIGHBORS,
        min_dist=MIN_DIST,
        metric=METRIC,
        on_progress=_ignore,
    )
    return cluster(layout.coordinates, min_cluster_size=MIN_CLUSTER_SIZE, min_samples=MIN_SAMPLES)


def split_clusters(labels: Labels) -> tuple[Rows, Rows]:
    """Split each cluster into halves: its first, third, ... row is kept, its second, fourth, ... is held out.

    Returns:
        Rows that are kept, noise among them, and those held out; both ascending.
    """
    held_out = np.zeros(len(labels), dtype=bool)
    for rows in rows_by_label(labels):
        held_out[rows[1::2]] = True
    return np.flatnonzero(~held_out), np.flatnonzero(held_out)


def commonest_words(texts: Sequence[str], most: int) -> tuple[str, ...]:
    """Count words as a naive namer does: the most frequent ones that are no numbers, letters or English function words.

    Of equally frequent words the first in the texts comes first.
    """
    words = (word for text in texts for word in _WORD.findall(text.lower()))
    counts = Counter(word for word in words if word not in ENGLISH and len(word) > 1 and not word.isdecimal())
    return tuple(word for word, _ in counts.most_common(most))


class Judge:
    """Held-out documents, which tell whose words they are nearest to.

    Nearness is the cosine of TF-IDF vectors (logarithmic counts) over words and runs of two and three words; a list of
    phrases counts as a document of these phrases.
    """

    def __init__(self, texts: Sequence[str], labels: Labels) -> None:
        """Take documents and the clusters that they are in."""
        self._texts = [(text,) for text in texts]
        self._labels = labels

    def fit(self, phrases_of_clusters: Sequence[Sequence[str]]) -> Fit:
        """Measure how well phrases fit, the index of which is the label of their cluster."""
        from sklearn.feature_extraction.text import TfidfVectorizer

        vectorizer = TfidfVectorizer(analyzer=_runs_of_words, sublinear_tf=True, dtype=np.float32)
        lists = [tuple(phrases) for phrases in phrases_of_clusters]
        vectorizer.fit([*self._texts, *lists])
        scores = _cosines(vectorizer.transform(self._texts), vectorizer.transform(lists))
        sizes = np.bincount(self._labels, minlength=len(lists))
        means = np.zeros((len(lists), len(lists)))
        np.add.at(means, self._labels, scores)
        means /= np.maximum(sizes, 1)[:, None]
        counts = Counter(frozenset(phrases) for phrases in lists)
        return Fit(
            clusters=_share_of_own(means, np.arange(len(lists))),
            documents=_share_of_own(scores, self._labels),
            distinct=sum(counts[frozenset(phrases)] == 1 for phrases in lists) / max(len(lists), 1),
        )


def _runs_of_words(phrases: Sequence[str]) -> list[str]:
    found = []
    for phrase in phrases:
        words = _WORD.findall(phrase.lower())
        for length in range(1, _LONGEST_RUN + 1):
            found += [" ".join(words[start : start + length]) for start in range(len(words) - length + 1)]
    return found


def _cosines(documents: "csr_matrix", lists: "csr_matrix") -> npt.NDArray[np.float64]:
    """(m, k) of rows that have length 1."""
    return np.asarray((documents @ lists.T).toarray(), dtype=np.float64)


def _share_of_own(scores: npt.NDArray[np.float64], own: npt.NDArray[np.integer]) -> float:
    """Share of rows whose own column is greater than every other one."""
    if scores.shape[0] == 0:
        return 0.0
    rows = np.arange(len(scores))
    of_own = scores[rows, own]
    others = scores.copy()
    others[rows, own] = -1.0
    return float((of_own > others.max(axis=1)).mean())


def _fit_exemplars(
    vectors: npt.NDArray[np.float32],
    texts: Sequence[str],
    labels: Labels,
    held_out: Rows,
    exemplars: Sequence[npt.NDArray[np.integer]],
) -> ExemplarFit:
    to_centre, among, repeated = [], [], []
    for rows, others in zip(exemplars, rows_by_label(labels[held_out]), strict=True):
        centre = to_length_one(vectors[held_out[others]].astype(np.float32)).mean(axis=0, keepdims=True)
        chosen = to_length_one(vectors[rows].astype(np.float32))
        to_centre.append(float((chosen @ to_length_one(centre).T).mean()))
        if len(rows) > 1:
            pairs = np.triu_indices(len(rows), 1)
            among.append(float((chosen @ chosen.T)[pairs].mean()))
        wordings = [Wording(texts[row]) for row in rows]
        repeated += [any(w.repeats(other) for other in wordings[:place]) for place, w in enumerate(wordings)]
    return ExemplarFit(*(float(np.mean(values)) if values else 0.0 for values in (to_centre, among, repeated)))


def _show(
    vectors: npt.NDArray[np.float32], texts: Sequence[str], clustering: Clustering, most: int
) -> tuple[Shown, ...]:
    """Clusters at even steps from the biggest to the smallest, named as in a map without a language model."""
    if most == 0 or clustering.cluster_count == 0:
        return ()
    keyphrases = extract_layer_keyphrases(texts, clustering.layers)
    found = gather_evidence(vectors, clustering.layers, texts, metric=METRIC, per_cluster=EXEMPLARS)
    clusters = collect_evidence(clustering.layers, texts, keyphrases, found, with_sketches=False)
    names = [one.name for one in name_clusters(clusters).names]
    steps = np.unique(np.linspace(0, clustering.cluster_count - 1, most).round().astype(int))
    return tuple(_shown(clusters[label], names[label], texts) for label in steps.tolist())


def _shown(evidence: ClusterEvidence, name: str, texts: Sequence[str]) -> Shown:
    beginnings = [" ".join(texts[row].split()) for row in evidence.exemplars[:EXEMPLARS_SHOWN]]
    cut = [text if len(text) <= CHARACTERS_SHOWN else f"{text[: CHARACTERS_SHOWN - 1]}…" for text in beginnings]
    return Shown(name, evidence.size, evidence.keyphrases, tuple(cut))


def names_tables(report: NamesReport) -> list[str]:
    """Lines of markdown: what was measured."""
    heading = f"| {report.clusters} clusters of {report.points:,} points, {report.about} | ours | naive |"
    lines = [heading, "|---|---:|---:|"]
    for what, fits in (("keyphrases", report.keyphrases), ("names", report.names)):
        lines += [
            _row(f"clusters nearest to their own {what}", [fits[who].clusters for who in fits]),
            _row(f"held-out documents nearest to their own cluster's {what}", [fits[who].documents for who in fits]),
            _row(f"clusters whose {what} no other has", [fits[who].distinct for who in fits]),
        ]
    fitted = list(report.exemplars.values())
    return [
        *lines,
        f"| exemplars: cosine to the held-out centre | {' | '.join(f'{fit.to_centre:.3f}' for fit in fitted)} |",
        f"| exemplars: cosine to each other | {' | '.join(f'{fit.among:.3f}' for fit in fitted)} |",
        _row("exemplars that repeat another one", [fit.repeated for fit in fitted]),
    ]


def _row(what: str, shares: Sequence[float]) -> str:
    return f"| {what} | {' | '.join(f'{share:.1%}' for share in shares)} |"


def clusters_table(shown: Sequence[Shown]) -> list[str]:
    """Lines of markdown: clusters as a reader sees them."""
    lines = ["| name | points | keyphrases | exemplars |", "|---|---:|---|---|"]
    for one in shown:
        exemplars = " <br> ".join(_escape(text) for text in one.exemplars)
        lines.append(f"| {_escape(one.name)} | {one.size} | {_escape(', '.join(one.keyphrases))} | {exemplars} |")
    return lines


def _escape(text: str) -> str:
    """Text that markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]<>|#~])", r"\\\1", text)
