"""What naming asks of a language model: requests and tokens of a first run, of the same again, and after new points."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vis_assets.llm import open_model
from vis_assets.llm.chain import Link, ModelChain
from vis_assets.llm.ledger import Ledger
from vis_assets.llm.model import ModelAccess
from vis_assets.llm.prices import FREE
from vis_assets.mapping.exemplars import gather_evidence
from vis_assets.mapping.keyphrases import extract_layer_keyphrases
from vis_assets.naming.book import Book, turn_page
from vis_assets.naming.evidence import ClusterEvidence, collect_evidence, find_only_children
from vis_assets.naming.name_clusters import name_clusters
from vis_assets.operations.bench.names import METRIC, find_clusters
from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets.protocol.visualization_config import VisualizationConfig

NEW_SHARE = 0.1
"""New points of the last run, as a share of those before."""
SEED = 0
_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Asked:
    """One run.

    Attributes:
        run: what it is.
        points: on the map.
        clusters: of all layers.
        remembered: clusters that kept the name of an earlier run.
        asked: clusters that were asked for; one that is all of another has its name from that.
        requests: to the model.
        input_tokens: of the questions, by the model's count.
        output_tokens: of the answers, likewise.
        by_model: clusters with a name by the model, remembered ones too.
    """

    run: str
    points: int
    clusters: int
    remembered: int
    asked: int
    requests: int
    input_tokens: int
    output_tokens: int
    by_model: int

    @property
    def tokens_per_cluster(self) -> float:
        """Tokens of question and answer for each cluster that was asked for; 0 where none was."""
        return (self.input_tokens + self.output_tokens) / max(self.asked, 1)

    @property
    def clusters_per_request(self) -> float:
        """Clusters that share a request, those that were asked for again counted once; 0 where none was."""
        return self.asked / max(self.requests, 1)


def run_asking(vectors: npt.NDArray[np.float32], texts: Sequence[str], say: Callable[[str], None]) -> list[Asked]:
    """Name the clusters of a corpus by the local stand-in for a language model, three times.

    First a random part of the points without the last tenth, then the same again, then all points, laid out and
    clustered anew. What is asked is what a real model would be; only the answers are the stand-in's.

    Args:
        vectors: (n, d) float32.
        texts: n texts.
        say: told what takes long.
    """
    order = np.random.default_rng(SEED).permutation(len(vectors))
    first = np.sort(order[: round(len(vectors) / (1 + NEW_SHARE))])
    everything = np.arange(len(vectors))
    runs = (("first run", first), ("the same again", first), (f"{NEW_SHARE:.0%} new points", everything))
    return list(_name(vectors, texts, runs, say))


def asking_table(found: Sequence[Asked]) -> list[str]:
    """Write the runs as a Markdown table."""
    head = (
        "run",
        "points",
        "clusters",
        "remembered",
        "asked for",
        "requests",
        "clusters a request",
        "tokens a cluster",
    )
    lines = [f"| {' | '.join(head)} |", f"|---|{'---:|' * (len(head) - 1)}"]
    for one in found:
        cells = [f"{n:,}" for n in (one.points, one.clusters, one.remembered, one.asked, one.requests)]
        per = [f"{one.clusters_per_request:.1f}", f"{one.tokens_per_cluster:.0f}"] if one.requests else ["-", "-"]
        lines.append(f"| {' | '.join([one.run, *cells, *per])} |")
    return lines


def _name(
    vectors: npt.NDArray[np.float32],
    texts: Sequence[str],
    runs: Sequence[tuple[str, npt.NDArray[np.intp]]],
    say: Callable[[str], None],
) -> Iterator[Asked]:
    config = VisualizationConfig()
    book = Book()
    with EmbeddedLlm() as llm:
        access = ModelAccess("openai_compatible", "local-double", base_url=llm.openai_url)
        for run, rows in runs:
            say(f"{run}: {len(rows):,} points")
            clusters = _describe(vectors[rows], [texts[row] for row in rows], config.samples_per_cluster)
            ledger = Ledger()
            with ModelChain([Link(access.name, lambda: open_model(access), FREE, _TIMEOUT_SECONDS)], ledger) as chain:
                naming = name_clusters(clusters, chain, book=book)
            book = Book(turn_page(naming.entries, book.entries))
            remembered = sum(name.is_remembered for name in naming.names)
            alone = find_only_children(clusters)
            asked = [
                cluster
                for cluster, name in zip(clusters, naming.names, strict=True)
                if not name.is_remembered and cluster.place not in alone
            ]
            usage = ledger.usage
            yield Asked(
                run=run,
                points=len(rows),
                clusters=len(clusters),
                remembered=remembered,
                asked=len(asked),
                requests=usage.calls,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                by_model=sum(name.named_by == access.name for name in naming.names),
            )


def _describe(vectors: npt.NDArray[np.float32], texts: Sequence[str], exemplars: int) -> list[ClusterEvidence]:
    layers = find_clusters(vectors).layers
    keyphrases = extract_layer_keyphrases(texts, layers)
    found = gather_evidence(vectors, layers, texts, metric=METRIC, per_cluster=exemplars)
    return collect_evidence(layers, texts, keyphrases, found, with_sketches=True)
