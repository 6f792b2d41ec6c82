"""Fields of the payload: which are chosen, of what kind they are, and what becomes of hostile ones."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vis_assets.errors import PointsMismatch
from vis_assets.page.field_values import date_of_text, text_of, value_at
from vis_assets.page.fields import MOST_CATEGORIES, OTHER, FieldChoice, PayloadField, choose_fields
from vis_assets_tests.page.maps import HOSTILE

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)


def encode(payloads: Sequence[dict[str, Any]]) -> list[str]:
    return [json.dumps(payload) for payload in payloads]


def only(values: Sequence[Any], name: str = "field", **options: Any) -> PayloadField:
    """The field that points with these values have; None where a point lacks it."""
    payloads = encode([{} if value is None else {name: value} for value in values])
    (chosen,) = choose_fields(payloads, [name], **options).fields
    return chosen


def named(choice: FieldChoice) -> list[str]:
    return [field.name for field in choice.fields]


def as_texts(field: PayloadField) -> list[str | None]:
    return [field.categories[code] if code >= 0 else None for code in field.values.tolist()]


def milliseconds(year: int, month: int, day: int, *time: int) -> float:
    hour, minute, second, micros = (*time, 0, 0, 0, 0)[:4]
    return datetime(year, month, day, hour, minute, second, micros, tzinfo=UTC).timestamp() * 1000


def equal(one: FieldChoice, other: FieldChoice) -> bool:
    def plain(choice: FieldChoice) -> list[Any]:
        return [(f.name, f.kind, f.categories, np.asarray(f.values).astype(str).tolist()) for f in choice.fields]

    return plain(one) == plain(other) and one.notes == other.notes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, True, None], ["true", "false", "true", None]),
        (["de", "en", "de", "de", "en", ""], ["de", "en", "de", "de", "en", None]),
        ([3, 1, 3, None, 2], ["3", "1", "3", None, "2"]),
        ([["a", "b"], ["a", "b"], ["c"], [], ["c"]], ["a, b", "a, b", "c", None, "c"]),
        (
            ["x", "x", 5, True, None, {"a": 1}, "x", "x", "5", "5"],
            ["x", "x", "5", "true", None, None, "x", "x", "5", "5"],
        ),
    ],
)
def test_few_values_are_categories(values: list[Any], expected: list[str | None]) -> None:
    """Flags, texts that repeat, few whole numbers and lists of texts are categories, missing where there is none."""
    field = only(values)
    assert field.kind == "category"
    assert field.values.dtype == np.int32
    assert as_texts(field) == expected


def test_categories_are_ordered_by_frequency() -> None:
    """The most frequent category comes first, of equals the one that sorts first; too many end in "(other)"."""
    assert only(["b", "c", "a", "c", "b", "b"]).categories == ("b", "c", "a")
    assert only(["c", "c", "a", "a"]).categories == ("a", "c")
    values = [f"v{i:03}" for i in range(230) for _ in range(240 - i)]
    field = only(values)
    assert len(field.categories) == MOST_CATEGORIES
    assert field.categories[:2] == ("v000", "v001")
    assert field.categories[-1] == OTHER
    counts = np.bincount(field.values).tolist()
    assert counts[:-1] == sorted(counts[:-1], reverse=True)
    assert counts[-1] == sum(240 - i for i in range(MOST_CATEGORIES - 1, 230))


def test_a_category_of_that_name_joins_the_others() -> None:
    """A value "(other)" does not stand beside the category of that name."""
    values = [OTHER] * 500 + [f"v{i:03}" for i in range(220) for _ in range(230 - i)]
    field = only(values)
    assert field.categories.count(OTHER) == 1
    assert set(field.values[:500].tolist()) == {MOST_CATEGORIES - 1}


def test_numbers_keep_what_fits() -> None:
    """Numbers are numbers; texts, flags, infinities, numbers beyond all bounds and gaps are missing."""
    field = only([*range(20), 0.5, None, "7", True, 10**400, {"a": 1}])
    assert field.kind == "number"
    assert field.values.dtype == np.float64
    assert field.values[:21].tolist() == [*map(float, range(20)), 0.5]
    assert np.isnan(field.values[21:]).all()
    (field,) = choose_fields(['{"a": 1.5}', '{"a": NaN}', '{"a": -Infinity}', '{"a": 2}'], ["a"]).fields
    assert np.isnan(field.values).tolist() == [False, True, True, False]


def test_few_fractions_are_numbers() -> None:
    """Few different numbers that are not whole stay numbers."""
    assert only([0.5, 1.0] * 20).kind == "number"
    assert only([*range(13)] * 5).kind == "number"
    assert only([*range(12)] * 5).kind == "category"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-01", (2024, 5, 1)),
        ("2024-05", (2024, 5, 1)),
        ("2024-05-01T12:30", (2024, 5, 1, 12, 30)),
        ("2024-05-01 12:30:15", (2024, 5, 1, 12, 30, 15)),
        ("2024-05-01T12:30:15.250Z", (2024, 5, 1, 12, 30, 15, 250_000)),
        ("2024-05-01T12:30:15.123456789Z", (2024, 5, 1, 12, 30, 15, 123_000)),
        ("2024-05-01T12:30:15+02:00", (2024, 5, 1, 10, 30, 15)),
        ("2024-05-01T00:15:00-0530", (2024, 5, 1, 5, 45)),
        ("1600-02-29", (1600, 2, 29)),
        ("0001-01-01", (1, 1, 1)),
        ("9999-12-31T23:59:59Z", (9999, 12, 31, 23, 59, 59)),
    ],
)
def test_dates_are_milliseconds(text: str, moment: tuple[int, ...]) -> None:
    """ISO 8601 dates of any year are milliseconds since 1970 in UTC."""
    assert date_of_text(text) == milliseconds(*moment)


NO_DATES = [
    "2024-13-01", "2024-02-30", "2024-05-01T25:00", "0000-01-01", "-2024-01-01", "20240501", "2024", "12024-01-01",
    "2024-05-01T", "2024-05T12:00", "2024-05-01T12:00:00+99:00", "2024-W01-1", "٢٠٢٤-05-01",
]  # fmt: skip


@pytest.mark.parametrize("text", [*NO_DATES, "2024-05-01\n", "", "x" * 10_000, 5, None])
def test_what_is_no_date_is_missing(text: Any) -> None:
    """Anything else is no date, and no error."""
    assert np.isnan(date_of_text(text))


def test_fields_of_dates() -> None:
    """A field of dates keeps its gaps, and values that are none are missing."""
    field = only(["1969-12-31", "2024-05-01T00:00:00Z", "2300-01-01"] * 10 + ["soon", None, 5])
    assert field.kind == "date"
    assert field.values[:3].tolist() == [-86_400_000.0, milliseconds(2024, 5, 1), milliseconds(2300, 1, 1)]
    assert np.isnan(field.values[30:]).all()


@pytest.mark.parametrize("name", ["created_at", "createdAt", "date", "Date", "meta.pub_date", "time", "timestamp"])
@pytest.mark.parametrize("unit", [1, 1000])
def test_numbers_named_like_dates_are_dates(name: str, unit: int) -> None:
    """Seconds or milliseconds since 1970 under a name like a date's are dates, those before 1970 too."""
    values = [(1_700_000_000 + 1_000 * i) * unit for i in range(50)]
    field = only([*values, -86_400 * unit, 1e300, "x"], name)
    assert field.kind == "date"
    assert field.values[0] == 1_700_000_000_000
    assert field.values[50] == -86_400_000
    assert np.isnan(field.values[51:]).all()


@pytest.mark.parametrize(
    ("name", "values"), [("format", [1.7e9, 1.8e9]), ("runtime", [12.5, 99.0]), ("number", [1.7e12, 1.8e12])]
)
def test_other_numbers_are_no_dates(name: str, values: list[float]) -> None:
    """A name alone, or a range alone, makes no date."""
    assert only(values * 20, name).kind == "number"


def test_many_different_texts_are_texts() -> None:
    """Short texts that rarely repeat are texts, "" where missing, cut to 200 characters."""
    field = only([*(f"https://example.com/{i}" for i in range(50)), None, "x" * 10_000])
    assert field.kind == "text"
    assert field.values[0] == "https://example.com/0"
    assert field.values[50] == ""
    assert field.values[51] == "x" * 199 + "…"


def test_texts_may_be_given_as_an_array() -> None:
    """A field of texts made from an array of objects holds the same list."""
    assert PayloadField("a", "text", np.array(["x", ""], dtype=object)).values == ["x", ""]


def test_long_texts_come_only_when_asked_for() -> None:
    """Documents beside the document are left out unless named."""
    payloads = encode([{"summary": f"{i} " + "word " * 60, "lang": "de" if i % 2 else "en"} for i in range(40)])
    assert named(choose_fields(payloads, None)) == ["lang"]
    (field,) = choose_fields(payloads, ["summary"]).fields
    assert (field.kind, len(field.values[0])) == ("text", 200)


def test_telling_fields_are_chosen() -> None:
    """Of many fields those are chosen that tell something, of every kind some; identifiers and inner names are not."""
    payloads = encode(
        [
            {
                "lang": ["de", "en"][i % 2],
                "price": i * 1.5,
                "published": f"2024-01-{1 + i % 28:02}",
                "url": f"https://example.com/{i}",
                "doc_id": i * 7,
                "chunk": f"{i:032x}",
                "same": "always",
                "_node_type": ["a", "b"][i % 2],
                "meta": {"_inner": i % 2, "source": ["x", "y", "z"][i % 3], "deep": {"er": i % 4, "too": {"deep": 1}}},
                "vis_assets": {"7": {"cluster": i % 3}},
            }
            for i in range(60)
        ]
    )
    choice = choose_fields(payloads, None)
    assert named(choice) == ["lang", "published", "price", "url", "meta.source", "meta.deep.er"]
    assert choice.notes == ()
    assert named(choose_fields(payloads, None, most=2)) == ["lang", "published"]
    assert named(choose_fields(payloads, ["same", "_node_type"])) == ["same", "_node_type"]


def test_no_more_than_eight_are_chosen() -> None:
    """Of many fields eight are chosen, those first that most points have."""
    payloads = encode([{f"c{j:02}": i % 2 == 0 for j in range(30) if i % (j + 1) == 0} for i in range(400)])
    chosen = named(choose_fields(payloads, None))
    assert len(chosen) == 8
    assert chosen[0] == "c00"


def test_payload_fields_are_shown_in_the_order_asked_for() -> None:
    """`payload_fields` are shown as named, also more than eight; unknown ones are told once, with what there is."""
    payloads = encode([{f"f{j}": i + j for j in range(12)} for i in range(30)])
    wanted = [f"f{j}" for j in reversed(range(12))]
    choice = choose_fields(payloads, [*wanted, "f3", "missing", "f1.x"])
    assert named(choice) == wanted
    (note,) = choice.notes
    assert note.startswith(
        "payload_fields: no point has a value in 'missing', 'f1.x'; the fields of the payload are: 'f0'"
    )
    assert choose_fields(payloads, []) == FieldChoice()


def test_color_by_is_a_field_beside_those_asked_for() -> None:
    """`color_by` brings its field along, as categories where it holds texts; what is built in is no field."""
    payloads = encode([{"a": i, "url": f"u{i}"} for i in range(300)])
    choice = choose_fields(payloads, ["a"], color_by="url")
    assert [(field.name, field.kind) for field in choice.fields] == [("a", "number"), ("url", "category")]
    assert choice.fields[1].categories[-1] == OTHER
    assert "url" in named(choose_fields(payloads, None, most=1, color_by="url"))
    for color in ("cluster", "strength", None):
        assert choose_fields(payloads, ["a"], color_by=color).notes == ()
    (note,) = choose_fields(payloads, ["a"], color_by="b").notes
    assert note.startswith("color_by: no point has a value in 'b', so the points are coloured by cluster; ")


def test_a_rare_field_is_found_when_asked_for() -> None:
    """A field that only one of very many points has, is found if it is named, whatever its letters."""
    payloads = ['{"a": 1}'] * 10_000
    for is_ascii in (True, False):
        payloads[1] = json.dumps({"meta": {"größe": "x"}}, ensure_ascii=is_ascii)
        assert named(choose_fields(payloads, None)) == []
        (field,) = choose_fields(payloads, ["meta.größe"]).fields
        assert [row for row, value in enumerate(field.values) if value not in (-1, "")] == [1]


@pytest.mark.parametrize("payloads", [[], ["{}"], ["", "null", "[]", "5", "{", '{"a":' * 5_000], [None]])
def test_points_without_payload_have_no_fields(payloads: Any) -> None:
    """No points, empty payloads and what is no JSON object have no fields; those asked for are told."""
    assert choose_fields(payloads, None) == FieldChoice()
    (note,) = choose_fields(payloads, ["a"]).notes
    assert note.endswith("the fields of the payload are: none")


def test_names_with_dots() -> None:
    """A name with dots is a key of its own, or leads into objects, whichever there is."""
    assert value_at({"a.b": 1, "a": {"b": 2}}, "a.b") == 1
    assert value_at({"a": {"b.c": 3}}, "a.b.c") == 3
    assert value_at({"a.b": {"c": 4}}, "a.b.c") == 4
    assert value_at({"a": 5}, "a.b") is None
    assert value_at({}, "..") is None


def test_hostile_names_and_values_are_cleaned() -> None:
    """Control characters, half characters and script names never reach a page; markup stays a text, and short."""
    names = [HOSTILE, "a\x00\u202eb", "\ud800", "n" * 1000, "__proto__", "constructor", "", " ", "a b"]
    values = [HOSTILE, "\x00\u202e", "\udfff", "v" * 10_000, "\u2028x"]
    payloads = encode([{name: values[(i + j) % len(values)] for j, name in enumerate(names)} for i in range(40)])
    choice = choose_fields(payloads, names)
    shown = named(choice)
    assert len(shown) == len(set(shown)) == len([name for name in names if name])
    assert "__proto__" not in shown
    for field in choice.fields:
        assert 0 < len(field.name) <= 90
        for text in (field.name, *field.categories):
            assert text == text.encode().decode()
            assert text.isprintable()
            assert len(text) <= 200


def test_arrow_and_lists_give_the_same() -> None:
    """Payloads of a table are read as those of a list; the order of keys does not matter."""
    rows = [{"a": i % 3, "b": f"t{i}", "c": {"d": i * 0.5}} for i in range(9_000)]
    texts = encode(rows)
    column = pa.chunked_array([pa.array(texts[:10]), pa.array(texts[10:])])
    turned = encode([dict(reversed(row.items())) for row in rows])
    expected = choose_fields(texts, None)
    assert len(expected.fields) == 3
    assert equal(choose_fields(column, None), expected)
    assert equal(choose_fields(turned, None), expected)


def test_parts_of_lists() -> None:
    """Lists become texts: their parts with commas between, without what is no text, and not without end."""
    assert text_of(["a", 1, True, None, {"x": 1}, ["y"], ""]) == "a, 1, true"
    assert len(text_of(["word"] * 1_000_000)) == 200


def test_codes_have_categories() -> None:
    """Codes without a category are refused."""
    with pytest.raises(PointsMismatch, match="categories"):
        PayloadField("a", "category", np.array([0, 1], dtype=np.int32), ("x",))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.dictionaries(st.text(max_size=6), Json, max_size=4), max_size=12))
def test_any_payload_is_read(payloads: list[dict[str, Any]]) -> None:
    """Whatever the payloads hold, each field has one value a point of its kind."""
    asked = sorted({name for payload in payloads for name in payload})
    for choice in (choose_fields(encode(payloads), None), choose_fields(encode(payloads), asked)):
        for field in choice.fields:
            assert len(field.values) == len(payloads)
            if field.kind == "text":
                assert all(isinstance(text, str) for text in field.values)
                "".join([field.name, *field.values]).encode()
            elif field.kind == "category":
                assert set(field.values.tolist()) <= {*range(-1, len(field.categories))}
            else:
                assert not np.isinf(field.values).any()
