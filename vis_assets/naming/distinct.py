"""Names that a reader can tell apart: what makes two of them the same, and how one of them changes."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, count

from vis_assets.naming.titles import LONGEST_NAME, Casing, learn_casing, length, shorten, write_title

_LONGEST_ADDITION = 32  # so that enough is left of the name itself
_SHORTEST_MISSPELT = 8  # letters without the ending; shorter words that differ in one are mostly different words
_ROWS_AT_ONCE = 1_000  # bounds memory: one matrix of distances has so many rows
_CACHED = 20_000

_ACCENTS = re.compile("[\u0300-\u036f]")  # of Latin, Greek and Cyrillic; in other scripts marks change the meaning
_APOSTROPHES = re.compile("['\u2018\u2019\u02bc`]")
_ONE_LETTER_HYPHEN = re.compile(r"\b([^\W\d_])[-\u2010\u2011](?=\w)")
_TOKEN = re.compile(r"(?:[^\W_]|[\u0300-\u036f\u0900-\u0dff\u3099\u309a])+[+#]*")
_NUMBERED = re.compile(r" \(\d{1,6}\)$")
_HAN_AND = str.maketrans("\u4e0e\u8207\u53ca", "\u548c\u548c\u548c")  # ways to write "and"

_CONNECTORS_AS_TEXT = """
and of the a an in for on with by und der die das von für im des et de du des la le les l d y el los las del en e o os
da do di il lo gli и в на для по
"""
_CONNECTORS = frozenset(_CONNECTORS_AS_TEXT.split())
_KEPT_S_AS_TEXT = """
https news pandas keras redis kubernetes
"""
_KEPT_S = frozenset(_KEPT_S_AS_TEXT.split())
_IRREGULAR = {"matrices": "matrix", "indices": "index", "vertices": "vertex", "analyses": "analysis", "axes": "axis"}
_FILLERS_AS_TEXT = """
overview introduction basic fundamental concept technique method approach topic related general
"""
_FILLERS = frozenset(_FILLERS_AS_TEXT.split())
_SPELLINGS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"is(?=(?:e|ed|er|ing|ation|ational|able)$)", "iz"),
        (r"ys(?=(?:e|ed|er|ing)$)", "yz"),
        (r"(?<=[bcdfghilmnprtv])our(?=(?:$|ed|ing|al|ful|ite|ist|less|able))", "or"),
        (r"(?<=[bt])re$", "er"),
        (r"ogue$", "og"),
        (r"ence$", "ense"),
        (r"ll(?=(?:ed|ing|er|ers|ation)$)", "l"),
        (r"mme$", "m"),
    )
)
_FORM = re.compile(r"(?<=[a-z]{5})(?:ing|ings|ed|er|or|ion|ation|ication|ifier|ator|ement|ment)$")
_RUSSIAN_ENDING = re.compile(
    "(?<=[а-я]{3})(?:ами|ями|ого|ему|ому|ых|их|ая|яя|ое|ее|ые|ие|ый|ий|ой|ов|ев|ам|ям|ах|ях|[аяоеыиуюь])$"  # noqa: RUF001
)
_GERMAN_ENDING = re.compile("(?<=[a-z]{5})e[nrs]?$")
_LONG_WORD = re.compile(f"(?<![^ ])[a-zа-я]{{{_SHORTEST_MISSPELT},}}(?![^ ])")  # noqa: RUF001
_VOWELS = frozenset("aeiouyаеиоуыэюя")  # noqa: RUF001


def comparable(name: str) -> str:
    """What two names have in common if they are the same for a reader.

    Case, accents, punctuation, hyphens, the s of a plural, the order of words and small connecting words do not count;
    numbers and the signs of C++ and C# do.
    """
    tokens = _tokens(name)
    return " ".join(sorted(tokens)) if tokens else " ".join(name.casefold().split())


def find_clashes(names: Sequence[str]) -> list[list[int]]:
    """Find names that a reader would take for the same: equal as `comparable` has it, or in other forms or spellings.

    Words that differ in more than a form or a spelling, and all numbers, keep names apart.

    Returns:
        Groups of two or more places in `names`, ascending, by their first place. Names of a group need not all be
        alike: each is like another of it.
    """
    marks = [_marks(name) for name in names]
    misspelt = _misspelt(chain.from_iterable(marks))
    roots = list(range(len(names)))
    first_with: dict[str, int] = {}
    for place, of_name in enumerate(marks):
        for mark in of_name:
            for like in (mark, *misspelt.get(mark, ())):
                if like in first_with:
                    _unite(roots, first_with[like], place)
            first_with.setdefault(mark, place)
    groups: dict[int, list[int]] = defaultdict(list)
    for place in range(len(names)):
        groups[_root(roots, place)].append(place)
    return sorted(group for group in groups.values() if len(group) > 1)


def make_distinct(
    names: Sequence[str], keyphrases: Sequence[Sequence[str]], layers: Sequence[int], is_settled: Sequence[bool]
) -> list[str]:
    """Change names until no two of a layer clash and no two at all are equal (`comparable`).

    Of those that clash, a settled one keeps its name before others, then the first. Another gets what sets it apart: a
    keyphrase that the others do not have ("Sorting: Merge Sort"), else a number ("Sorting (2)").

    Args:
        names: n names, none of them empty.
        keyphrases: (n) the best first, in lower case.
        layers: (n) the layer of each cluster.
        is_settled: (n) whether an earlier run gave the name, so that people know it.

    Returns:
        n names of at most `LONGEST_NAME` characters in the same order; given again, they stay.
    """
    clusters = list(zip(names, keyphrases, layers, is_settled, strict=True))
    taken = _Taken(_misspelt(chain.from_iterable(_marks(name) for name in names)))
    order = sorted(range(len(names)), key=lambda place: (not is_settled[place], place))
    changing = [place for place in order if not taken.take(names[place], layers[place])]
    if not changing:
        return list(names)
    distinct, casing = list(names), learn_casing(names)
    rivals = _rivals(names, keyphrases)
    numbers: dict[str, Iterator[int]] = {}
    for place in sorted(changing):
        name, own, layer, _ = clusters[place]
        additions = _additions(name, own, rivals[comparable(name)], casing)
        numbering = numbers.setdefault(_NUMBERED.sub("", name), count(2))
        candidates = chain(additions, (_numbered(name, number) for number in numbering))
        distinct[place] = next(candidate for candidate in candidates if taken.take_changed(candidate, layer))
    return distinct


@dataclass
class _Taken:
    """Names that are given away.

    Attributes:
        misspelt: for each mark of the names in the beginning those that differ by a mistake.
        equals: what `comparable` makes of the names of all layers.
        marks: of the names, by layer.
    """

    misspelt: Mapping[str, Sequence[str]]
    equals: set[str] = field(default_factory=set)
    marks: dict[int, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, name: str, layer: int) -> bool:
        """Give a name away if it is free in this layer; whether it was."""
        if not self._is_free(name, layer):
            return False
        self.equals.add(comparable(name))
        self.marks[layer].update(_marks(name))
        return True

    def take_changed(self, name: str, layer: int) -> bool:
        """Give away a name that is none of the beginning; whether it was free."""
        long_words = [mark for mark in _marks(name) if _LONG_WORD.search(mark)]
        near = (_near(mark, [*self.marks[layer]]) for mark in long_words)
        if not self._is_free(name, layer) or any(near):
            return False
        return self.take(name, layer)

    def _is_free(self, name: str, layer: int) -> bool:
        taken, marks = self.marks[layer], _marks(name)
        likes = (like for mark in marks for like in self.misspelt.get(mark, ()))
        return comparable(name) not in self.equals and taken.isdisjoint(marks) and taken.isdisjoint(likes)


def _rivals(names: Sequence[str], keyphrases: Sequence[Sequence[str]]) -> dict[str, dict[str, int]]:
    """By `comparable` name: how many of the clusters that clash have each keyphrase."""
    rivals: dict[str, dict[str, int]] = {}
    for group in find_clashes(names):
        counts: dict[str, int] = defaultdict(int)
        for place in group:
            for phrase in {comparable(phrase) for phrase in keyphrases[place]}:
                counts[phrase] += 1
        rivals.update((comparable(names[place]), counts) for place in group)
    return rivals


def _additions(name: str, own: Sequence[str], rivals: dict[str, int], casing: Casing) -> Iterator[str]:
    """The name with each keyphrase that only this one of the clashing has, and that says more than the name."""
    known = set(_tokens(name))
    for phrase in own:
        if rivals.get(comparable(phrase), 0) <= 1 and not known.issuperset(_tokens(phrase)):
            addition = shorten(write_title(phrase, casing), _LONGEST_ADDITION)
            yield f"{shorten(name, LONGEST_NAME - length(addition) - 2)}: {addition}"


def _numbered(name: str, number: int) -> str:
    ending = f" ({number})"
    return shorten(_NUMBERED.sub("", name), LONGEST_NAME - len(ending)) + ending


@lru_cache(_CACHED)
def _tokens(name: str) -> tuple[str, ...]:
    """Words of a name as readers compare them, in their order."""
    text = unicodedata.normalize("NFKD", name).casefold()
    text = _APOSTROPHES.sub("", _ACCENTS.sub("", text)).translate(_HAN_AND)
    text = unicodedata.normalize("NFC", _ONE_LETTER_HYPHEN.sub(r"\1", text))
    words = _TOKEN.findall(text)
    # The last word connects nothing: Vitamin A.
    spoken = [word for place, word in enumerate(words) if word not in _CONNECTORS or place == len(words) - 1]
    return tuple(_singular(word) for word in spoken)


def _singular(word: str) -> str:
    """The word without the s of an English plural; roughly, but the same for both numbers."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) and word not in _KEPT_S:  # noqa: PLR2004
        word = word[:-1]
    if len(word) > 3 and word.endswith("ie"):  # noqa: PLR2004
        return f"{word[:-2]}y"
    return word[:-1] if word.endswith(("sse", "use", "xe", "che", "she", "zze")) and len(word) > 3 else word  # noqa: PLR2004


@lru_cache(_CACHED)
def _marks(name: str) -> tuple[str, ...]:
    """Names with a mark in common clash: words in one order, and all letters without the gaps between words."""
    tokens = _tokens(name)
    telling = [token for token in tokens if token not in _FILLERS]
    telling = telling if len(telling) > 1 else list(tokens)
    if not telling:
        return (comparable(name),)
    # Numbers keep their gaps: 2 3 is not 23.
    joined = re.sub(r"(?<!\d) | (?!\d)", "", " ".join(telling))
    return " ".join(sorted(_without_form(token) for token in telling)), f"={joined}"


def _without_form(token: str) -> str:
    """The part of a word that spellings and forms have in common; for comparing only."""
    for pattern, replacement in _SPELLINGS:
        token = pattern.sub(replacement, token)
    bare = _RUSSIAN_ENDING.sub("", _FORM.sub("", token))
    return _GERMAN_ENDING.sub("", bare)


def _misspelt(marks: Iterable[str]) -> dict[str, list[str]]:
    """For each mark the others that differ by one mistake in a long word."""
    distinct = sorted({mark for mark in marks if _LONG_WORD.search(mark)})
    found: dict[str, list[str]] = defaultdict(list)
    for first in range(0, len(distinct), _ROWS_AT_ONCE):
        for row, column in _close_pairs(distinct[first : first + _ROWS_AT_ONCE], distinct):
            one, two = distinct[first + row], distinct[column]
            if _is_misspelling(one, two):
                found[one].append(two)
    return dict(found)


def _close_pairs(rows: Sequence[str], columns: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Places of pairs at a distance of one letter put in, left out, exchanged or swapped with its neighbour."""
    import numpy as np
    from rapidfuzz.distance import OSA
    from rapidfuzz.process import cdist

    distances = cdist(rows, columns, scorer=OSA.distance, score_cutoff=1, dtype=np.uint8)
    rows_found, columns_found = np.nonzero(distances == 1)
    yield from zip(rows_found.tolist(), columns_found.tolist(), strict=True)


def _near(mark: str, others: Sequence[str]) -> bool:
    """Whether one of the others differs from the mark by a mistake."""
    return any(_is_misspelling(mark, others[column]) for _, column in _close_pairs([mark], others))


def _is_misspelling(one: str, two: str) -> bool:
    """Whether two marks at a distance of one letter differ by a mistake: in a long word, and in no digit.

    A consonant in another's place makes another word ("computation", "commutation").
    """
    left, right = one.split(), two.split()
    if len(left) != len(right):
        return False
    unlike = [pair for pair in zip(left, right, strict=True) if pair[0] != pair[1]]
    if len(unlike) != 1:
        return False
    first, second = unlike[0]
    return (
        all(_LONG_WORD.fullmatch(word) for word in unlike[0])
        and first[0] == second[0]
        and not _exchanges_consonants(first, second)
    )


def _exchanges_consonants(first: str, second: str) -> bool:
    if len(first) != len(second):
        return False
    unlike = [pair for pair in zip(first, second, strict=True) if pair[0] != pair[1]]
    return len(unlike) == 1 and not _VOWELS.issuperset(unlike[0])


def _root(roots: list[int], place: int) -> int:
    while roots[place] != place:
        roots[place] = roots[roots[place]]
        place = roots[place]
    return place


def _unite(roots: list[int], one: int, two: int) -> None:
    left, right = _root(roots, one), _root(roots, two)
    roots[max(left, right)] = min(left, right)
