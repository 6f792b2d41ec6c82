"""Naming all clusters of a map: remembered names first, then a language model, then keyphrases.

Layer by layer, the finest first, since coarse clusters are named by what they are made of:

1. clusters that were named before, and are nearly the same still, keep their name (`book`);
2. the others are asked for, several a request, near ones together; what has no usable answer is asked for once more;
3. those whose name clashes with another's are asked for once more, with that name to avoid;
4. what then has no name is named by its keyphrases, and what still clashes is told apart by rule (`distinct`).
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import NamedTuple

from vis_assets.errors import AnswerUnusable, BudgetSpent, NoModelAnswered
from vis_assets.llm.chain import Answer, ModelChain
from vis_assets.llm.model import Completion
from vis_assets.naming.answer import ReadNames, read_names
from vis_assets.naming.book import NO_NAME, Book, BookEntry, fingerprint
from vis_assets.naming.distinct import comparable, find_clashes, make_distinct
from vis_assets.naming.evidence import ClusterEvidence, Place, children_of, find_only_children
from vis_assets.naming.prompt import (
    AVOIDED,
    MAX_INPUT_TOKENS,
    PROMPT_VERSION,
    Request,
    Style,
    ask,
    describe,
    room_for_clusters,
    split_into_batches,
)
from vis_assets.naming.titles import LONGEST_NAME, name_of_keyphrases, shorten

BY_KEYPHRASES = "keyphrases"
BY_NUMBER = "numbers"
ROUNDS = 2
"""Times that a cluster without a usable answer is asked for."""
KEYPHRASES_OF_NEIGHBOR = 3
KEPT = 8
"""Keyphrases that are remembered with a name."""
DESCRIBED_AT_ONCE = 500
"""Clusters whose questions are in memory at the same time."""
READ_MEMBERS = 25
"""Documents besides its exemplars that show how a cluster's words are written ("HTTP", "NumPy")."""
READ_CHARACTERS = 1_000
NO_USABLE_ANSWER = "the answers for them were no names, or names that the documents of the cluster do not bear out"
_NUMBERED = ("Cluster", "Group", "Region", "Continent")
"""What a cluster is called before its number, by layer, the finest first."""

OnProgress = Callable[[float, float], None]


@dataclass(frozen=True)
class NamingPlan:
    """How clusters are named.

    Attributes:
        style: of the questions.
        batch_size: most clusters of one request.
        max_input_tokens: of the clusters of one request together.
        concurrency: requests at the same time.
    """

    style: Style = field(default_factory=Style)
    batch_size: int = 10
    max_input_tokens: int = MAX_INPUT_TOKENS
    concurrency: int = 4

    @property
    def asked(self) -> str:
        """Fingerprint of how clusters are asked for."""
        return fingerprint(PROMPT_VERSION, self.style.prompt, self.style.language)


class ClusterName(NamedTuple):
    """The name of a cluster, and where it is from.

    Attributes:
        name: fit to be shown, unique on its map.
        named_by: a language model, e.g. `openai/gpt-4o-mini`; or "keyphrases", or "numbers".
        is_remembered: whether the model gave it in an earlier run.
    """

    name: str
    named_by: str
    is_remembered: bool = False


@dataclass(frozen=True)
class Naming:
    """The names of all clusters of a map.

    Attributes:
        names: in the order of the clusters.
        entries: what to remember.
        notes: what a person should know.
    """

    names: Sequence[ClusterName]
    entries: Sequence[BookEntry] = ()
    notes: tuple[str, ...] = ()


def number_clusters(clusters: Sequence[ClusterEvidence]) -> Naming:
    """Name clusters by their number: "Cluster 7", of coarser layers "Group 2", "Region 0", ..."""
    return Naming([ClusterName(_numbered(cluster), BY_NUMBER) for cluster in clusters])


def name_clusters(
    clusters: Sequence[ClusterEvidence],
    chain: ModelChain | None = None,
    plan: NamingPlan | None = None,
    book: Book | None = None,
    on_progress: OnProgress = lambda done, total: None,
    remember: Callable[[Sequence[BookEntry]], None] = lambda entries: None,
) -> Naming:
    """Name all clusters of a map.

    Args:
        clusters: of all layers.
        chain: the language models to ask; None names by keyphrases.
        plan: how to ask.
        book: names of earlier runs.
        on_progress: called with (clusters named, clusters in all).
        remember: called after each layer with all names that a model gave so far, so that a run that is killed has not
            paid for nothing.

    Returns:
        A name for every cluster: what no model names, or no budget allows, has a name of keyphrases.
    """
    if chain is None:
        return Naming(_complete(clusters, find_only_children(clusters), _name_without_model))
    session = _Session(clusters, chain, plan or NamingPlan(), book or Book(), on_progress)
    naming = Naming([])
    for layer in sorted({cluster.layer for cluster in clusters}):
        session.name_layer([cluster for cluster in clusters if cluster.layer == layer])
        naming = session.finish(layer)
        remember(naming.entries)
    return naming


class _Session:
    """The dialogue with the models about one map."""

    def __init__(
        self, clusters: Sequence[ClusterEvidence], chain: ModelChain, plan: NamingPlan, book: Book, report: OnProgress
    ) -> None:
        self.plan = plan
        self.chosen: dict[Place, ClusterName] = {}
        self._clusters = clusters
        self._failures: list[NoModelAnswered | BudgetSpent] = []
        self._by_place = {cluster.place: cluster for cluster in clusters}
        self._children = children_of(clusters)
        self._only_children = find_only_children(clusters)
        self._chain = chain
        self._book = book
        self._report = report
        self._room = room_for_clusters(plan.style, plan.max_input_tokens)
        self._refused: dict[Place, list[str]] = {}
        self._unnamed_by: dict[Place, str] = {}
        self._given_up: set[Place] = set()
        self._fallbacks: dict[Place, ClusterName] = {}
        self._is_over = False

    def name_layer(self, clusters: Sequence[ClusterEvidence]) -> None:
        """Name the clusters of one layer, as far as there are answers."""
        self._recall(clusters)
        for round_number in range(1, ROUNDS + 1):
            missing = [cluster.place for cluster in clusters if cluster.is_telling and self._is_open(cluster.place)]
            wanted = {place: self._refused.get(place, ()) for place in missing}
            if not wanted or self._is_over or not self._ask(wanted, is_last=round_number == ROUNDS):
                break
        clashing = self._clashes(clusters)
        if clashing and not self._is_over:
            self._ask(clashing, is_last=False)

    def finish(self, layer: int) -> Naming:
        """Return names for the clusters up to this layer, and what to remember of those that a model was asked for."""
        clusters = [cluster for cluster in self._clusters if cluster.layer <= layer]
        names = _complete(
            clusters, self._only_children, lambda one: self.chosen.get(one.place) or self._without_model(one)
        )
        entries = []
        for cluster, name in zip(clusters, names, strict=True):
            is_named = cluster.place in self.chosen
            model = name.named_by if is_named else self._unnamed_by.get(cluster.place)
            if cluster.sketch is not None and model is not None:
                told = name.name if is_named else NO_NAME
                entries.append(
                    BookEntry(cluster.layer, self.plan.asked, model, told, cluster.keyphrases[:KEPT], cluster.sketch)
                )
        return Naming(names, entries, _notes(names, self._failures))

    def _known(self, cluster: ClusterEvidence) -> BookEntry | None:
        if cluster.sketch is None:
            return None
        return self._book.take(cluster.layer, cluster.sketch, cluster.keyphrases, self.plan.asked, self._chain.names)

    def _without_model(self, cluster: ClusterEvidence) -> ClusterName:
        if cluster.place not in self._fallbacks:
            self._fallbacks[cluster.place] = _name_without_model(cluster)
        return self._fallbacks[cluster.place]

    def _is_open(self, place: Place) -> bool:
        """Whether the cluster has no name yet, and may get one."""
        return place not in self.chosen and place not in self._given_up and place not in self._only_children

    def _recall(self, clusters: Sequence[ClusterEvidence]) -> None:
        for cluster in clusters:
            entry = self._known(cluster) if cluster.place not in self._only_children else None
            if entry is not None and entry.name == NO_NAME:
                self._unnamed_by[cluster.place] = entry.model
                self._given_up.add(cluster.place)
            elif entry is not None:
                self.chosen[cluster.place] = ClusterName(entry.name, entry.model, is_remembered=True)
        self._report(len(self.chosen), len(self._by_place))

    def _ask(self, wanted: Mapping[Place, Sequence[str]], *, is_last: bool) -> bool:
        """Ask for clusters, each with names to avoid, and keep the answers; return whether any model answered.

        In the last round an answer of which no name can be used is none, so that the next model has its turn.
        """
        clusters = sorted((self._by_place[place] for place in wanted), key=self._lineage)
        answered = False
        for start in range(0, len(clusters), DESCRIBED_AT_ONCE):
            answered |= self._ask_some(clusters[start : start + DESCRIBED_AT_ONCE], wanted, is_last=is_last)
        return answered

    def _ask_some(
        self, clusters: Sequence[ClusterEvidence], wanted: Mapping[Place, Sequence[str]], *, is_last: bool
    ) -> bool:
        described = [
            describe(self._request(cluster, wanted[cluster.place]), self.plan.style, self._room) for cluster in clusters
        ]
        batches = split_into_batches(described, self.plan.batch_size, self._room)
        answered = False
        pool = ThreadPoolExecutor(self.plan.concurrency, thread_name_prefix="naming")
        try:
            asked = {
                pool.submit(
                    self._ask_batch, [clusters[i] for i in batch], [described[i] for i in batch], is_last
                ): batch
                for batch in batches
            }
            for future in as_completed(asked):
                answered |= self._keep(future, [clusters[i] for i in asked[future]], wanted)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # whoever cancels the run pays for no further question
        return answered

    def _ask_batch(
        self, clusters: Sequence[ClusterEvidence], described: Sequence[Mapping[str, object]], is_last: bool
    ) -> Answer[ReadNames]:
        def read(completion: Completion) -> ReadNames:
            found = read_names(completion.text, clusters, self.plan.style.shown_characters)
            if is_last and not found.usable:
                raise AnswerUnusable(
                    "the documents of the clusters bear out none of its names, or it gave one name several times"
                )
            return found

        return self._chain.ask(ask(described, self.plan.style), read)

    def _keep(
        self,
        future: "Future[Answer[ReadNames]]",
        clusters: Sequence[ClusterEvidence],
        wanted: Mapping[Place, Sequence[str]],
    ) -> bool:
        try:
            answer = future.result()
        except (NoModelAnswered, BudgetSpent) as error:
            self._failures.append(error)
            self._is_over |= isinstance(error, BudgetSpent)
            self._note_unnamed(clusters, error.answered if isinstance(error, NoModelAnswered) else ())
            return False
        unnamed = [cluster for position, cluster in enumerate(clusters) if position not in answer.value.usable]
        self._note_unnamed(unnamed, [answer.model])
        for position, name in answer.value.refused.items():
            self._refused.setdefault(clusters[position].place, []).append(name)
        for position, name in answer.value.usable.items():
            place = clusters[position].place
            if comparable(name) not in {comparable(avoided) for avoided in wanted[place]}:
                self.chosen[place] = ClusterName(name, answer.model)
        self._report(len(self.chosen), len(self._by_place))
        return True

    def _note_unnamed(self, clusters: Sequence[ClusterEvidence], answered: Collection[str]) -> None:
        """Remember that the first model had no name for these; what was not answered by it may be another time."""
        first = self._chain.names[0]
        for cluster in clusters:
            if first in answered:
                self._unnamed_by[cluster.place] = first
            else:
                self._unnamed_by.pop(cluster.place, None)

    def _clashes(self, clusters: Sequence[ClusterEvidence]) -> dict[Place, Sequence[str]]:
        """Clusters of a layer that must be asked for again, with the names that they must not get.

        Remembered names stay, and of new ones that of the biggest cluster: its label is the least.
        """
        named = sorted(
            (cluster.place for cluster in clusters if cluster.place in self.chosen),
            key=lambda place: (not self.chosen[place].is_remembered, place),
        )
        here = set(named)
        finer = {comparable(name.name): name.name for place, name in self.chosen.items() if place not in here}
        names = [self.chosen[place].name for place in named]
        avoid: dict[Place, list[str]] = {}
        for group in find_clashes(names):
            for position in group[1:]:
                avoid.setdefault(named[position], []).extend(dict.fromkeys(names[other] for other in group[:AVOIDED]))
        for place, name in zip(named, names, strict=True):
            if comparable(name) in finer:
                avoid.setdefault(place, []).append(finer[comparable(name)])
        return {place: taken for place, taken in avoid.items() if not self.chosen[place].is_remembered}

    def _request(self, cluster: ClusterEvidence, avoid: Sequence[str]) -> Request:
        neighbors = (self._by_place.get((cluster.layer, label)) for label in cluster.neighbors)
        return Request(
            cluster,
            neighbors=[self._called(neighbor) for neighbor in neighbors if neighbor is not None],
            children=[self._called(child) for child in self._children.get(cluster.place, ())],
            avoid=avoid,
        )

    def _called(self, cluster: ClusterEvidence) -> str:
        """Its name, or what it is about until it has one."""
        cluster = self._only_children.get(cluster.place, cluster)
        known = self.chosen.get(cluster.place)
        return known.name if known is not None else ", ".join(cluster.keyphrases[:KEYPHRASES_OF_NEIGHBOR])

    def _lineage(self, cluster: ClusterEvidence) -> tuple[int, ...]:
        """The labels from the coarsest cluster down to this one: in this order, near clusters follow each other."""
        return (*reversed([one.parent for one in self._ancestry(cluster)]), cluster.label)

    def _ancestry(self, cluster: ClusterEvidence) -> Iterator[ClusterEvidence]:
        """The cluster, the one that it is in, and so on."""
        step: ClusterEvidence | None = cluster
        while step is not None:
            yield step
            step = self._by_place.get((step.layer + 1, step.parent))


def _complete(
    clusters: Sequence[ClusterEvidence],
    only_children: Mapping[Place, ClusterEvidence],
    name: Callable[[ClusterEvidence], ClusterName],
) -> list[ClusterName]:
    """Name every cluster, and tell apart what a reader could confuse; one made of one other is called like that one."""
    drafts = [name(only_children.get(cluster.place, cluster)) for cluster in clusters]
    own = [place for place, cluster in enumerate(clusters) if cluster.place not in only_children]
    apart = make_distinct(
        [drafts[place].name for place in own],
        [clusters[place].keyphrases for place in own],
        [clusters[place].layer for place in own],
        [drafts[place].is_remembered for place in own],
    )
    final = {clusters[place].place: text for place, text in zip(own, apart, strict=True)}
    for cluster in clusters:
        if cluster.place in only_children:
            called = final[only_children[cluster.place].place]
            kind = f" ({_NUMBERED[min(cluster.layer, len(_NUMBERED) - 1)].lower()})"
            final[cluster.place] = shorten(called, LONGEST_NAME - len(kind)) + kind
    return [draft._replace(name=final[cluster.place]) for cluster, draft in zip(clusters, drafts, strict=True)]


def _name_without_model(cluster: ClusterEvidence) -> ClusterName:
    texts = [text[:READ_CHARACTERS] for text in (*cluster.documents, *cluster.members[:READ_MEMBERS])]
    name = name_of_keyphrases(cluster.keyphrases, texts)
    return ClusterName(name, BY_KEYPHRASES) if name else ClusterName(_numbered(cluster), BY_NUMBER)


def _numbered(cluster: ClusterEvidence) -> str:
    return f"{_NUMBERED[min(cluster.layer, len(_NUMBERED) - 1)]} {cluster.label}"


def _notes(names: Sequence[ClusterName], failures: Sequence[NoModelAnswered | BudgetSpent]) -> tuple[str, ...]:
    """Say why some clusters are named by keyphrases though a model was asked; one reason, which led to the others."""
    without = sum(name.named_by == BY_KEYPHRASES for name in names)
    if not without:
        return ()
    # That nobody was asked any more says nothing of why.
    telling = min(failures, key=lambda error: isinstance(error, NoModelAnswered) and not error.was_asked, default=None)
    reason = NO_USABLE_ANSWER if telling is None else str(telling)
    return (f"{without} of {len(names)} clusters are named by their keyphrases, not by a language model: {reason}",)
