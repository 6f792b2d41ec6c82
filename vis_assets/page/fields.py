"""Fields of the points' payload that a map shows and colours by: which ones, of what kind, and their values.

Kinds are decided from a sample of the points; then all payloads are read once.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from vis_assets.errors import PointsMismatch
from vis_assets.page import texts
from vis_assets.page.field_values import (
    Payload,
    date_of_text,
    dates_of_numbers,
    flatten,
    number_of,
    numbers_of,
    read_payload,
    text_of,
    values_at,
)

Kind = Literal["category", "number", "date", "text"]
Payloads: TypeAlias = Sequence[str | None] | pa.ChunkedArray

MOST_FIELDS = 8
"""Fields that are chosen where none are asked for."""
MOST_CATEGORIES = 200
OTHER = "(other)"
"""The last category, where there are more values than `MOST_CATEGORIES`."""
MAX_NAME_CHARACTERS = 80
BUILT_IN_COLORS = frozenset(["cluster", "strength"])
"""What points can be coloured by besides fields."""

_SAMPLE = 4_000
_BATCH = 8_192
_MOST_NAMES = 2_000
"""Different names of fields that are looked at; a collection with more uses names as values."""
_MOST_WHOLE_NUMBERS = 12
"""Whole numbers with no more different values than this are categories."""
_LONG_CHARACTERS = 200
"""Texts that are longer than this on average are documents."""
_FEW_COVER = 0.8
"""Share of the points that the categories shown must hold where there are more values than categories."""
_MOSTLY = 0.9
_MOST_TEXT_FIELDS = 2
_TEXT_BUDGET_CHARACTERS = 20_000_000
"""Texts of one field that take more than this together make a page large; they are not chosen unasked."""
_NAMES_LISTED = 20
_MOST_KNOWN = 10_000
_DATE_NAME = re.compile(r"(?:_at|At|[dD]ate|DATE|[tT]ime|TIME|[tT]imestamp|TIMESTAMP)$")
_PRIVATE = re.compile(
    r"e-?mail|phone|mobile|passw|secret|token|credential|api_?key|iban|ssn|birth|(?:^|[._-])ip(?:$|[._-])|address",
    re.IGNORECASE,
)
"""Names of fields that are not shown unasked: a page may be public."""
_ID_NAME = re.compile(r"(?:^|[._-])(?:id|uuid|guid|hash|md5|sha[0-9]*)$|[a-z]I[dD]$", re.ASCII)
_HEX = re.compile(r"[0-9a-fA-F-]{16,}")
_HIDDEN = re.compile(r"(?:^|\.)_|^vis_assets(?:\.|$)")
"""Names of what programs keep beside a text, ours included: nobody wants to see it unasked."""
_SECONDS = (1e8, 5e9)
"""Seconds since 1970 that are taken for dates: 1973 to 2128. In milliseconds the same years."""


@dataclass(frozen=True)
class PayloadField:
    """One field of the payload, for every point.

    Attributes:
        name: as in the payload, dots for nested ones ("meta.year"), cleaned.
        kind: what its values are.
        values: category: (n,) int32 codes, -1 = missing; number: (n,) float64, NaN = missing; date: (n,) float64
            milliseconds since 1970 UTC, NaN = missing; text: a list of n texts, "" = missing (workers get a list as a
            column, an array of objects they would have to unpickle); an array of texts is made one.
        categories: of a category field, the most frequent first; at most `MOST_CATEGORIES`, the last may be "(other)".

    Raises:
        PointsMismatch: a code has no category.
    """

    name: str
    kind: Kind
    values: Any
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse codes that no page can show."""
        object.__setattr__(self, "categories", tuple(self.categories))  # a worker gets many as a list
        if self.kind == "text":
            object.__setattr__(self, "values", list(self.values))
        if self.kind == "category" and len(self.values):
            least, greatest = int(self.values.min()), int(self.values.max())
            if least < -1 or greatest >= len(self.categories):
                raise PointsMismatch(
                    f"field {self.name!r} has codes from {least} to {greatest} and {len(self.categories)} categories; "
                    "materialize html_map again"
                )


@dataclass(frozen=True)
class FieldChoice:
    """The fields of a map.

    Attributes:
        fields: in the order asked for, or the most telling first.
        notes: what the user should know, e.g. fields asked for that no point has.
    """

    fields: tuple[PayloadField, ...] = ()
    notes: tuple[str, ...] = ()


class _Plan(NamedTuple):
    """How one field is read."""

    name: str
    kind: Kind
    milliseconds_per_unit: float = 0.0  # of dates that are numbers


@dataclass
class _Sample:
    """Values of one field that some points have, and what they are like."""

    name: str
    values: list[Any] = field(default_factory=list)

    @property
    def plain(self) -> list[str | int | float | bool]:
        """Values without those that are lists, which become texts."""
        return [text_of(value) if isinstance(value, list) else value for value in self.values]

    def plan(self) -> _Plan:
        """Decide of what kind the field is; the kind of most of its values counts, of equals that of texts."""
        values = self.plain
        strings = [value for value in values if isinstance(value, str)]
        numbers = [value for value in values if type(value) in {int, float}]
        flags = len(values) - len(strings) - len(numbers)
        if len(strings) >= max(len(numbers), flags):
            dates = sum(date_of_text(value) == date_of_text(value) for value in strings)  # NaN differs from itself
            if dates >= _MOSTLY * len(strings):
                return _Plan(self.name, "date")
            return _Plan(self.name, "category" if _are_few(strings) else "text")
        if len(numbers) >= flags:
            return self._plan_numbers(numbers)
        return _Plan(self.name, "category")

    def _plan_numbers(self, numbers: Sequence[Any]) -> _Plan:
        unit = _milliseconds_per_unit(numbers) if _DATE_NAME.search(self.name) else 0.0
        if unit:
            return _Plan(self.name, "date", unit)
        are_whole = all(type(value) is int for value in numbers)
        return _Plan(self.name, "category" if are_whole and len(set(numbers)) <= _MOST_WHOLE_NUMBERS else "number")

    @property
    def mean_characters(self) -> float:
        """Mean length of its values."""
        lengths = [len(value) if isinstance(value, str) else len(str(value)) for value in self.plain]
        return sum(lengths) / max(len(lengths), 1)

    def tells_nothing(self, sample_size: int) -> bool:
        """Whether it is the same for all points, or a name of the point itself."""
        values = self.plain
        different = len(set(values))
        if different == 1:
            return len(values) == sample_size
        are_hex = all(isinstance(value, str) and _HEX.fullmatch(value) for value in values)
        return (are_hex or bool(_ID_NAME.search(self.name))) and 2 * different > len(values)


def choose_fields(
    payloads: Payloads, wanted: Sequence[str] | None, most: int = MOST_FIELDS, color_by: str | None = None
) -> FieldChoice:
    """Read the payload fields that a map shows.

    Fields that are not asked for are chosen so that there are some of every kind, those that most points have first.
    Left out are identifiers, long texts, texts that would make the page large, fields that are the same for all points,
    and names that begin with `_`. The same payloads give the same fields.

    Args:
        payloads: n payloads, each a JSON object as text.
        wanted: names of the fields, dots for nested ones; None chooses up to `most`.
        most: how many are chosen.
        color_by: a field that is wanted as well, as categories if it is a text.
    """
    color = "" if color_by is None or color_by in BUILT_IN_COLORS else color_by
    samples, sample_size = _take_samples(payloads)
    asked = list(dict.fromkeys(name for name in (*(wanted or ()), color) if name))
    _search(payloads, [name for name in asked if name not in samples], samples)
    plans = {name: samples[name].plan() for name in asked if name in samples}
    if color in plans and plans[color].kind == "text":
        plans[color] = _Plan(color, "category")
    if wanted is None:
        for plan in _choose(list(samples.values()), sample_size, len(payloads))[: max(0, most - len(plans))]:
            plans.setdefault(plan.name, plan)
    found = _read(payloads, list(plans.values()))
    missing = [name for name in asked if name not in found]
    return FieldChoice(_with_clean_names(found), _notes(missing, color, sorted(samples)))


def _take_samples(payloads: Payloads) -> tuple[dict[str, _Sample], int]:
    """Return the fields of points spread evenly over all, by their names, and how many points these are."""
    count = len(payloads)
    rows = np.unique(np.linspace(0, count - 1, min(count, _SAMPLE)).astype(np.int64)).tolist() if count else []
    samples: dict[str, _Sample] = {}
    for row in rows:
        text = payloads[row]
        _collect(read_payload(text.as_py() if isinstance(text, pa.Scalar) else text), samples)
    return samples, len(rows)


def _collect(payload: Payload, samples: dict[str, _Sample], only: frozenset[str] | None = None) -> None:
    for name, value in flatten(payload):
        if value is None or value in ("", []) or (only is not None and name not in only):
            continue
        if name in samples or len(samples) < _MOST_NAMES or only is not None:
            samples.setdefault(name, _Sample(name)).values.append(value)


def _search(payloads: Payloads, names: Sequence[str], samples: dict[str, _Sample]) -> None:
    """Look for fields that are so rare that the sample has none of them, in all payloads."""
    if not names:
        return
    only = frozenset(names)
    ends = [name.rpartition(".")[2] for name in names]
    keys = {json.dumps(end, ensure_ascii=is_ascii)[1:-1] for end in ends for is_ascii in (True, False)}
    found: dict[str, _Sample] = {}
    for batch in _batches(payloads):
        for text in batch:
            if text and any(key in text for key in keys):
                _collect(read_payload(text), found, only)
        if len(found) == len(only) and min(len(sample.values) for sample in found.values()) >= _SAMPLE:
            break
    samples.update(found)


def _choose(samples: Sequence[_Sample], sample_size: int, point_count: int) -> list[_Plan]:
    """Order the fields that are worth showing: one of each kind in turn, of a kind the most common first."""
    ranked: dict[Kind, list[_Plan]] = {"category": [], "date": [], "number": [], "text": []}
    for sample in sorted(samples, key=_rank):
        if _is_kept_back(sample.name) or sample.tells_nothing(sample_size):
            continue
        plan = sample.plan()
        if plan.kind != "text" or _is_short(sample, point_count * len(sample.values) / sample_size):
            ranked[plan.kind].append(plan)
    del ranked["text"][_MOST_TEXT_FIELDS:]
    longest = max(map(len, ranked.values()))
    return [plans[turn] for turn in range(longest) for plans in ranked.values() if turn < len(plans)]


def _is_kept_back(name: str) -> bool:
    return bool(_HIDDEN.search(name) or _PRIVATE.search(name) or not name.strip())


def _rank(sample: _Sample) -> tuple[int, int, str]:
    return -len(sample.values), sample.name.count("."), sample.name


def _is_short(sample: _Sample, point_count: float) -> bool:
    mean = sample.mean_characters
    return mean <= _LONG_CHARACTERS and mean * point_count <= _TEXT_BUDGET_CHARACTERS


def _are_few(values: Sequence[str]) -> bool:
    """Whether texts repeat so much that they are categories."""
    counts = Counter(values)
    if len(counts) <= MOST_CATEGORIES:
        return 2 * len(counts) <= len(values)
    return sum(count for _, count in counts.most_common(MOST_CATEGORIES - 1)) >= _FEW_COVER * len(values)


def _milliseconds_per_unit(numbers: Sequence[Any]) -> float:
    """Return the unit of numbers that are dates: 1000 for seconds, 1 for milliseconds; 0 where they are no dates."""
    low, high = _SECONDS
    for unit in (1000.0, 1.0):
        scale = 1000.0 / unit
        if sum(low * scale <= number_of(value) <= high * scale for value in numbers) >= _MOSTLY * len(numbers):
            return unit
    return 0.0


def _read(payloads: Payloads, plans: Sequence[_Plan]) -> dict[str, PayloadField]:
    """Read the values of all points; a field that no point has is left out."""
    readers = [_READERS[plan.kind](plan) for plan in plans]
    if readers:
        for batch in _batches(payloads):
            parsed = [read_payload(text) for text in batch]
            for reader in readers:
                reader.read(parsed)
    made = {reader.plan.name: reader.finish() for reader in readers}
    return {name: field for name, field in made.items() if field is not None}


def _batches(payloads: Payloads) -> Iterator[Sequence[str | None]]:
    for first in range(0, len(payloads), _BATCH):
        batch = payloads[first : first + _BATCH]
        yield batch.to_pylist() if isinstance(batch, pa.ChunkedArray | pa.Array) else batch


class _Categories:
    """Reads a field of categories: codes in the order of appearance, renumbered by frequency at the end."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._codes: dict[str, int] = {"": -1}
        self._known: dict[str, int] = {}  # of texts before they are cleaned, which takes long
        self._parts: list[npt.NDArray[np.int32]] = []

    def read(self, payloads: Sequence[Payload]) -> None:
        codes = [self._code(value) for value in values_at(payloads, self.plan.name)]
        self._parts.append(np.array(codes, dtype=np.int32))

    def _code(self, value: Any) -> int:
        is_text = isinstance(value, str)
        known = self._known.get(value) if is_text else None
        if known is not None:
            return known
        text = text_of(value)
        code = self._codes.setdefault(text, len(self._codes) - 1)
        if is_text and len(self._known) < _MOST_KNOWN:
            self._known[value] = code
        return code

    def finish(self) -> PayloadField | None:
        first_codes = np.concatenate([np.zeros(0, np.int32), *self._parts])
        texts_by_code = list(self._codes)[1:]
        if not texts_by_code:
            return None
        counts = np.bincount(first_codes[first_codes >= 0], minlength=len(texts_by_code)).tolist()
        order = sorted(range(len(texts_by_code)), key=lambda code: (-counts[code], texts_by_code[code]))
        if len(order) > MOST_CATEGORIES:
            order = [code for code in order if texts_by_code[code] != OTHER][: MOST_CATEGORIES - 1]
        names = [texts_by_code[code] for code in order]
        new_codes = np.full(len(texts_by_code) + 1, len(order), dtype=np.int32)
        new_codes[order] = np.arange(len(order), dtype=np.int32)
        new_codes[-1] = -1  # the code -1 picks the last
        if len(order) < len(texts_by_code):
            names.append(OTHER)
        return PayloadField(self.plan.name, "category", new_codes[first_codes], tuple(names))


class _Numbers:
    """Reads a field of numbers or of dates."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._parts: list[npt.NDArray[np.float64]] = []

    def read(self, payloads: Sequence[Payload]) -> None:
        values, unit = values_at(payloads, self.plan.name), self.plan.milliseconds_per_unit
        if self.plan.kind == "number":
            self._parts.append(numbers_of(values))
        elif unit:
            self._parts.append(dates_of_numbers(values, unit))
        else:
            self._parts.append(np.array([date_of_text(value) for value in values], dtype=np.float64))

    def finish(self) -> PayloadField | None:
        values = np.concatenate([np.zeros(0), *self._parts])
        return None if np.isnan(values).all() else PayloadField(self.plan.name, self.plan.kind, values)


class _Texts:
    """Reads a field of texts."""

    def __init__(self, plan: _Plan) -> None:
        self.plan = plan
        self._texts: list[str] = []

    def read(self, payloads: Sequence[Payload]) -> None:
        self._texts += [text_of(value) for value in values_at(payloads, self.plan.name)]

    def finish(self) -> PayloadField | None:
        if not any(self._texts):
            return None
        return PayloadField(self.plan.name, "text", self._texts)


_READERS: dict[Kind, type[_Categories | _Numbers | _Texts]] = {
    "category": _Categories,
    "number": _Numbers,
    "date": _Numbers,
    "text": _Texts,
}


def _with_clean_names(found: dict[str, PayloadField]) -> tuple[PayloadField, ...]:
    """Give the fields names that a page can show, each once."""
    names = texts.display_names([_unlike_built_in(clean_name(name)) or "(no name)" for name in found])
    return tuple(
        PayloadField(name, field.kind, field.values, field.categories)
        for name, field in zip(names, found.values(), strict=True)
    )


def _unlike_built_in(name: str) -> str:
    """A name that does not stand for a colour that every map has."""
    return f"{name} (payload)" if name in BUILT_IN_COLORS else name


def clean_name(name: str) -> str:
    """Clean the name of a field as the page shows it; `__proto__` loses its underscores, since scripts know that."""
    clean = texts.clean_start(name, MAX_NAME_CHARACTERS)
    return clean.strip("_") if clean == "__proto__" else clean


def _notes(missing: Sequence[str], color: str, known: Sequence[str]) -> tuple[str, ...]:
    names = ", ".join(repr(clean_name(name)) for name in known[:_NAMES_LISTED]) or "none"
    more = f" and {len(known) - _NAMES_LISTED} more" if len(known) > _NAMES_LISTED else ""
    notes = []
    unknown = ", ".join(repr(clean_name(name)) for name in missing if name != color)
    if unknown:
        notes.append(f"payload_fields: no point has a value in {unknown}; the fields of the payload are: {names}{more}")
    if color in missing:
        notes.append(
            f"color_by: no point has a value in {clean_name(color)!r}, so the points are coloured by cluster; "
            f"the fields of the payload are: {names}{more}"
        )
    return tuple(notes)
