"""Job messages: what is read, in which dialect, what is refused, and in which words."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.errors import InvalidJob, InvalidMessage
from vis_assets.protocol.job import (
    MAX_MESSAGE_BYTES,
    MAX_NESTING,
    Dialect,
    JobEnvelope,
    envelope,
    in_dialect,
    parse_job,
    read_object,
)
from vis_assets.protocol.visualization_config import embedded_image
from vis_assets_tests.protocol.messages import CANARY, EXAMPLE, encoded, explorer_job, worker_job

HOSTILE_NAMES = [
    "",
    ".x",
    "../x",
    "a/b",
    "a\\b",
    "a\n",
    "\n",
    "a b",
    "a\x00",
    "\u0661\u0662",
    "\uff41",
    "é",
    "a*",
    "a>",
    "x" * 129,
]

Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4),
    max_leaves=12,
)


def refusal(job: dict[str, Any]) -> str:
    """Why a job is refused."""
    with pytest.raises(InvalidJob) as caught:
        parse_job(job)
    return str(caught.value)


def test_example_of_the_specification_is_read() -> None:
    """Every field of the example message arrives in the model."""
    read = parse_job(EXAMPLE)
    job = read.job
    assert read.dialect is Dialect.WORKER
    assert job.partition_key == "123"
    assert job.visualization_config.model_dump(exclude_unset=True) == EXAMPLE["visualization_config"]
    assert job.vector_database_config.model_dump() == EXAMPLE["vector_database_config"]
    assert job.llm_config is not None
    assert job.llm_config.api_key is not None
    assert job.llm_config.api_key.get_secret_value() == "sk-..."
    for name in ("job_id", "visualization_transform_id", "visualization_id", "owner", "embedded_dataset_id"):
        assert getattr(job, name) == EXAMPLE[name]


def test_explorer_dialect_is_read_as_the_same_job() -> None:
    """`owner_id` and `qdrant_config` become the fields of the worker's dialect."""
    read = parse_job(explorer_job(qdrant_config={"url": "http://qdrant:6334", "api_key": "k"}))
    assert read.dialect is Dialect.SEMANTIC_EXPLORER
    assert read.job.owner == EXAMPLE["owner"]
    assert read.job.vector_database_config.database_type == "qdrant"
    assert read.job.vector_database_config.api_key is not None
    assert read.job.vector_database_config.api_key.get_secret_value() == "k"
    left, right = (
        job.model_dump(exclude={"vector_database_config"}) for job in (read.job, parse_job(worker_job()).job)
    )
    assert left == right


@pytest.mark.parametrize("key", ["owner_id", "qdrant_config"])
def test_one_key_of_the_explorer_dialect_is_enough(key: str) -> None:
    """A message with either key of the Semantic Explorer dialect is answered in that dialect, valid or not."""
    assert envelope({key: None}).dialect is Dialect.SEMANTIC_EXPLORER
    assert envelope({}).dialect is Dialect.WORKER


def test_explorer_options_are_ignored_with_a_warning() -> None:
    """The platform's further options are listed in a warning, sorted, and do not fail the job."""
    read = parse_job(explorer_job(visualization_config={"glow_keywords": [], "cluster_layer_colormaps": False}))
    assert read.warnings == ("visualization_config: unknown keys are ignored: cluster_layer_colormaps, glow_keywords",)


def test_hostile_unknown_keys_stay_short_in_the_warning() -> None:
    """However many and however long unknown keys are, the warning stays readable."""
    config = {f"{i:03}" + "x" * 1000: i for i in range(1000)}
    (warning,) = parse_job(worker_job(visualization_config=config)).warnings
    assert len(warning) < 4000


def test_llm_config_is_accepted() -> None:
    """A language model may be named, with a chain of others behind it; the sender is warned of nothing."""
    assert parse_job(EXAMPLE).warnings == ()
    options = {"base_url": "https://llm.example.com/v1", "temperature": 0.5, "requests_per_minute": 30.0}
    other = {"provider": "cohere", "model": "command", "api_key": "k", "config": {"timeout_seconds": 5.0}}
    llm = {"provider": "openai", "model": "gpt-4", "config": options, "fallbacks": [other]}
    read = parse_job(worker_job(llm_config=llm))
    assert read.warnings == ()
    assert read.job.llm_config is not None
    first, second = read.job.llm_config.chain
    assert (first.config.base_url, first.config.temperature) == ("https://llm.example.com/v1", 0.5)
    assert (second.provider, second.config.timeout_seconds) == ("cohere", 5.0)


def test_unknown_llm_options_are_told_by_name_only() -> None:
    """Options of a language model that nobody knows are listed by name, never with their values."""
    fallback = {"provider": "cohere", "model": "m", "config": {"top_secret": CANARY}}
    llm = {"provider": "openai", "model": "m", "config": {"organization": CANARY}, "fallbacks": [fallback]}
    llm["base_url"] = CANARY
    assert parse_job(worker_job(llm_config=llm)).warnings == (
        "llm_config: unknown keys are not used: base_url",
        "llm_config.config: unknown keys are not used: organization",
        "llm_config.fallbacks.0.config: unknown keys are not used: top_secret",
    )


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("temperature", 3.0, "2"),
        ("timeout_seconds", 0.0, "1"),
        ("timeout_seconds", "soon", "number"),
        ("requests_per_minute", 0.0, "greater than 0"),
        ("max_input_tokens", 10, "500"),
        ("base_url", "llm.example.com", "https://llm.example.com/v1"),
        ("base_url", "ftp://llm.example.com", "https://llm.example.com/v1"),
        ("base_url", f"https://user:{CANARY}@llm.example.com", "put the key into api_key"),
        ("base_url", f"https://llm.example.com/?key={CANARY}", "put the key into api_key"),
    ],
)
@pytest.mark.parametrize("is_fallback", [False, True])
def test_wrong_llm_options_are_refused(option: str, value: object, says: str, is_fallback: bool) -> None:
    """A wrong option of a language model is named with what is allowed; its value, maybe a secret, is not repeated."""
    wrong = {"provider": "openai", "model": "m", "config": {option: value}}
    llm = {"provider": "cohere", "model": "m", "fallbacks": [wrong]} if is_fallback else wrong
    said = refusal(worker_job(llm_config=llm))
    assert said.startswith(f"llm_config.{'fallbacks.0.' if is_fallback else ''}config.{option}: ")
    assert says in said
    assert CANARY not in said


def test_a_prompt_without_a_place_for_documents_is_warned_of() -> None:
    """The sender of a prompt without {{samples}} is told where the documents go."""
    config = {"topic_naming_prompt": "Name this."}
    (warning,) = parse_job(worker_job(visualization_config=config)).warnings
    assert warning == "visualization_config.topic_naming_prompt holds no {{samples}}; the documents are put after it"
    assert parse_job(worker_job(visualization_config={"topic_naming_prompt": "Of {{samples}}?"})).warnings == ()


@pytest.mark.parametrize(
    "key", ["visualization_config", "llm_config", "filter", "vector_name", "text_field", "embedded_dataset_id"]
)
def test_null_is_absent(key: str) -> None:
    """Null in an optional field means its default."""
    assert parse_job(worker_job(**{key: None})) == parse_job(worker_job(**{key: ...}))


@pytest.mark.parametrize(
    "key", ["job_id", "visualization_transform_id", "visualization_id", "owner", "qdrant_collection_name"]
)
def test_missing_field_is_named(key: str) -> None:
    """A required field that is missing is named."""
    assert refusal(worker_job(**{key: ...})) == f"{key}: is missing"
    assert refusal(worker_job(**{key: None})).startswith(f"{key}: null ")


def test_missing_database_is_named() -> None:
    """A job that does not say where its points are is refused by the name of that field."""
    assert refusal(worker_job(vector_database_config=...)) == "vector_database_config: is missing"
    assert refusal(worker_job(vector_database_config={})) == "vector_database_config.connection_url: is missing"


@pytest.mark.parametrize("key", ["visualization_transform_id", "visualization_id", "embedded_dataset_id"])
@pytest.mark.parametrize("value", [-1, 2**63, 1.0, 1.5, "1", True, [1], {}])
def test_ids_are_whole_numbers(key: str, value: object) -> None:
    """Ids are whole numbers from 0 to 2**63 - 1; nothing is converted."""
    assert refusal(worker_job(**{key: value})).startswith(f"{key}: ")
    assert getattr(envelope(worker_job(**{key: value})), key) is None


@pytest.mark.parametrize("value", [0, 2**63 - 1])
def test_ids_reach_their_bounds(value: int) -> None:
    """The least and the greatest id are accepted."""
    assert parse_job(worker_job(visualization_transform_id=value)).job.partition_key == str(value)


@pytest.mark.parametrize("owner", [*HOSTILE_NAMES, "..", 5, ["a"], True])
def test_hostile_owners_are_refused(owner: object) -> None:
    """An owner that could leave its folder or its subject is refused, and not repeated in the envelope."""
    job = worker_job(owner=owner)
    assert refusal(job).startswith("owner: ")
    assert envelope(job).owner is None


@pytest.mark.parametrize("job_id", [*HOSTILE_NAMES, "a.b", "a@b", "x" * 65, 7, None, {}])
def test_hostile_job_ids_are_refused(job_id: object) -> None:
    """A job id that could leave its folder or its subject is refused, and not repeated in the envelope."""
    job = worker_job(job_id=job_id)
    assert refusal(job).startswith("job_id: ")
    assert envelope(job).job_id is None


@pytest.mark.parametrize("owner", ["a", "user@example.com", "a.b..c", "+-_@", "x" * 128])
def test_plain_owners_are_accepted(owner: str) -> None:
    """Mail addresses and names, also the longest, are owners."""
    assert parse_job(worker_job(owner=owner)).job.owner == owner


@pytest.mark.parametrize("name", ["", "a/b", "a\\b", "a\n", "a\x7f", "x" * 256, 1])
def test_hostile_collection_names_are_refused(name: object) -> None:
    """A collection name with a slash or a control character is refused."""
    assert refusal(worker_job(qdrant_collection_name=name)).startswith("qdrant_collection_name: ")


HOSTILE_COLORS = ["red", "#ff", "#ffff", "#ffffffg", "#ffffff;x:y", "#ffffff\n", "url(#a)", "rgb(0,0,0)", 5]
HOSTILE_FONTS = ["a;b", "a'b", 'a"b', "a:b", "a\n", "a(b)", "</style>", "é", "x" * 201, ",", " ", 5]
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

OUT_OF_RANGE: dict[str, tuple[list[float], list[float], str]] = {
    "n_neighbors": ([1, 1001], [2, 1000], "2 to 1000"),
    "min_dist": ([-0.01, 1.0, 1e400], [0.0, 0, 0.99], "0.0 to 0.99"),
    "min_cluster_size": ([1, 1_000_001], [2, 1_000_000], "2 to 1000000"),
    "min_samples": ([0, 10_001], [1, 10_000], "1 to 10000"),
    "height": ([99, 10_001], [100, 10_000], "100 to 10000"),
    "label_wrap_width": ([0, 201], [1, 200], "1 to 200"),
    "llm_batch_size": ([0, 101], [1, 100], "1 to 100"),
    "samples_per_cluster": ([0, 101], [1, 100], "1 to 100"),
    "palette_hue_shift": ([-361, 361], [-360, 360.0], "-360.0 to 360.0"),
    "palette_hue_radius_dependence": ([-0.1, 11], [0, 10], "0.0 to 10.0"),
    "palette_theta_range": ([-0.1, 6.3], [0, 0.19634954, 6.28], "0.0 to 6.2832"),
    "polygon_alpha": ([-0.1, 1.1], [0, 1], "0.0 to 1.0"),
    "cluster_boundary_line_width": ([-1, 21], [0, 20], "0.0 to 20.0"),
    "initial_zoom_fraction": ([0, 1.1], [0.01, 1], "0.01 to 1.0"),
    "title_font_size": ([7, 101], [8, 100], "8 to 100"),
    "sub_title_font_size": ([7, 101], [8, 100], "8 to 100"),
    "font_weight": ([0, 1001], [1, 1000], "1 to 1000"),
    "tooltip_font_weight": ([0, 1001], [1, 1000], "1 to 1000"),
    "min_fontsize": ([0.9, 201], [1, 200], "1.0 to 200.0"),
    "max_fontsize": ([0.9, 201], [1, 200], "1.0 to 200.0"),
    "text_min_pixel_size": ([0, 101], [1, 100], "1.0 to 100.0"),
    "text_max_pixel_size": ([0, 101], [1, 100], "1.0 to 100.0"),
    "text_collision_size_scale": ([0, 11], [0.1, 10], "0.1 to 10.0"),
    "text_outline_width": ([-1, 21], [0, 20], "0.0 to 20.0"),
    "line_spacing": ([0, 3.1], [0.1, 3], "0.1 to 3.0"),
    "logo_width": ([7, 2001], [8, 2000], "8 to 2000"),
    "point_size_scale": ([0, 1001], [0.01, 1000], "0.01 to 1000.0"),
    "point_radius_min_pixels": ([-1, 101], [0, 100], "0.0 to 100.0"),
    "point_radius_max_pixels": ([0, 101], [0.1, 100], "0.1 to 100.0"),
    "point_line_width": ([-1, 11], [0, 10], "0.0 to 10.0"),
    "point_line_width_min_pixels": ([-1, 11], [0, 10], "0.0 to 10.0"),
    "point_line_width_max_pixels": ([-1, 11], [0, 10], "0.0 to 10.0"),
}


@pytest.mark.parametrize("name", OUT_OF_RANGE)
def test_bounds_of_numbers(name: str) -> None:
    """A number out of range is refused by name, value and allowed range; the bounds themselves are accepted."""
    refused, accepted, allowed = OUT_OF_RANGE[name]
    for value in refused:
        reason = refusal(worker_job(visualization_config={name: value}))
        assert reason.startswith(f"visualization_config.{name}: {json.dumps(value)} ")
        assert reason.endswith(f"(allowed: {allowed})")
    for value in accepted:
        assert (
            getattr(parse_job(worker_job(visualization_config={name: value})).job.visualization_config, name) == value
        )


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("metric", ["Cosine", "hamming", 1]),
        ("n_neighbors", [15.0, "15", True, [15]]),
        ("min_dist", ["0.1", True]),
        ("width", ["100", "100pt", "1px;x:y", "1px\n", "\u0661px", "-1px", "calc(1px)", 100, "123456px"]),
        ("noise_color", ["red", "#99", "#9999", "#999999\n", "#99999g", "999999", 9]),
        ("darkmode", [1, "true", "false", 0]),
        ("inline_data", ["true"]),
        ("color_label_text", [1]),
        ("cluster_boundary_polygons", ["no"]),
        ("enable_topic_tree", [0]),
        ("title", ["x" * 501, 5, ["t"]]),
        ("sub_title", ["x" * 501, 5]),
        ("noise_label", ["x" * 501, False]),
        ("payload_fields", ["year", ["a"] * 33, [""], ["x" * 256], [1], {"a": 1}]),
        ("color_by", ["x" * 256, 5, ["year"]]),
        *((name, [1, "true"]) for name in ("write_back", "use_medoids", "cvd_safer")),
        *((name, HOSTILE_COLORS) for name in ("background_color", "text_outline_color", "point_hover_color")),
        *((name, HOSTILE_FONTS) for name in ("font_family", "tooltip_font_family")),
        ("font_weight", [600.0, "bold"]),
        ("title_font_size", [22.5]),
    ],
)
def test_wrong_types_and_forms_are_refused(name: str, values: list[object]) -> None:
    """Options of the wrong type or form are refused by name; nothing is converted."""
    for value in values:
        path = refusal(worker_job(visualization_config={name: value})).partition(": ")[0]
        assert path in {f"visualization_config.{name}", f"visualization_config.{name}.0"}


def test_metric_refusal_lists_the_metrics() -> None:
    """An unknown metric is answered with the known ones."""
    assert "(allowed: cosine, euclidean, " in refusal(worker_job(visualization_config={"metric": "hamming"}))


@pytest.mark.parametrize("value", [[], "x", 5, True])
def test_parts_are_objects(value: object) -> None:
    """A part of the job that is no object is refused by name."""
    for key in ("visualization_config", "vector_database_config", "llm_config", "filter"):
        assert refusal(worker_job(**{key: value})).startswith(f"{key}: ")


def test_null_options_mean_defaults() -> None:
    """Clients that serialise optional fields as null get the defaults."""
    nulls = dict.fromkeys(EXAMPLE["visualization_config"])
    assert parse_job(worker_job(visualization_config=nulls)) == parse_job(worker_job())


def test_many_problems_are_told_at_once() -> None:
    """Several problems are reported together."""
    reason = refusal(worker_job(owner="../x", visualization_config={"n_neighbors": 1}, job_id=...))
    assert all(f"{name}: " in reason for name in ("owner", "job_id", "visualization_config.n_neighbors"))


@pytest.mark.parametrize(
    "url",
    [
        f"http://user:{CANARY}@qdrant:6334",
        f"http://{CANARY}@qdrant:6334",
        f"http://qdrant:6334?api_key={CANARY}",
        f"http://qdrant:6334#{CANARY}",
        f"http://qdrant:{CANARY}",
        f"http://[{CANARY}",
        f"{CANARY}",
        f"http:user:{CANARY}@qdrant:6334",
        f"http:///user:{CANARY}@qdrant",
        f"http://qdrant/user:{CANARY}@x",
        f"user:{CANARY}@qdrant:6334",
        f"file://user:{CANARY}@qdrant/x",
        "http://@qdrant",
        "http://qdrant:0",
        "http://qdrant:65536",
        "",
        5,
    ],
)
def test_connection_url_holds_no_secret(url: object) -> None:
    """A URL with user, password, query or fragment, or that is none, is refused and never quoted."""
    reason = refusal(worker_job(vector_database_config={"connection_url": url}))
    assert reason.startswith("vector_database_config.connection_url: ")
    assert CANARY not in reason


SECRET_PLACES: list[dict[str, Any]] = [
    {"vector_database_config": {"connection_url": "http://q:1", "api_key": [CANARY]}},
    {"vector_database_config": {"connection_url": "http://q:1", "api_key": {"key": CANARY}}},
    {"vector_database_config": {"api_key": CANARY}},
    {"vector_database_config": [CANARY]},
    {"vector_database_config": json.dumps({"connection_url": "http://q:1", "api_key": CANARY})},
    {"vector_database_config": f"http://user:{CANARY}@qdrant:6334"},
    {"llm_config": CANARY},
    {"llm_config": json.dumps({"provider": "openai", "api_key": CANARY})},
    {"llm_config": {"api_key": CANARY}},
    {"llm_config": {"provider": "openai", "model": "m", "api_key": [CANARY]}},
    {"llm_config": {"provider": "openai", "model": "m", "config": CANARY}},
    {"llm_config": {"provider": "openai", "model": "m", "config": [CANARY]}},
    {"qdrant_config": CANARY, "owner_id": "a"},
    {"qdrant_config": {"url": 5, "api_key": CANARY}, "owner_id": "a"},
    {"qdrant_config": {"url": "http://q:1", "api_key": [CANARY]}, "owner_id": "a"},
    {"qdrant_collection_name": f"https://user:{CANARY}@qdrant:6334/c"},
    {"visualization_config": {"width": f"https://user:a/{CANARY}@qdrant:6334/c"}},
    {"job_id": f"x https://{CANARY}@h"},
]


@pytest.mark.parametrize("changes", SECRET_PLACES, ids=lambda changes: json.dumps(changes)[:60])
def test_secrets_are_never_quoted(changes: dict[str, Any]) -> None:
    """Whatever is wrong with the part that holds a secret, the answer does not repeat it."""
    assert CANARY not in refusal(worker_job(**changes))


def test_a_folder_may_have_an_at_sign() -> None:
    """The @ of a path is no user."""
    url = "file:///data/user@example.com/points.parquet"
    job = worker_job(vector_database_config={"connection_url": url, "database_type": "parquet"})
    assert parse_job(job).job.vector_database_config.connection_url == url


def test_secrets_are_hidden_when_a_job_is_printed() -> None:
    """The text form of a job shows none of its secrets."""
    job = parse_job(
        worker_job(
            vector_database_config={"connection_url": "http://q:1", "api_key": CANARY},
            llm_config={"provider": "p", "model": "m", "api_key": CANARY, "config": {"organization": CANARY}},
        )
    )
    assert CANARY not in repr(job)
    assert CANARY not in str(job.job)


def test_explorer_refusal_speaks_the_senders_dialect() -> None:
    """A refused Semantic Explorer job is told about the fields it wrote."""
    assert refusal(explorer_job(owner_id="../x")).startswith("owner_id: ")
    assert refusal(explorer_job(qdrant_config={"url": "qdrant"})).startswith("qdrant_config.url: ")


def test_envelope_keeps_each_well_formed_id() -> None:
    """What is well-formed of an invalid job is known for its answer."""
    job = worker_job(job_id="../x", qdrant_collection_name=...)
    assert envelope(job) == JobEnvelope(Dialect.WORKER, None, 123, 456, "user@example.com", 789)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b"nonsense", b'{"a": 1}}', b"[" * 200_000, b'{"a": 01}'])
def test_what_is_no_json_is_refused(payload: bytes) -> None:
    """Bytes that are no JSON are refused in one sentence."""
    with pytest.raises(InvalidMessage, match=r"^message is not valid JSON: .*; send one UTF-8 JSON object$"):
        read_object(payload)


@pytest.mark.parametrize("payload", [b"[]", b"null", b"5", b'"{}"'])
def test_what_is_no_object_is_refused(payload: bytes) -> None:
    """JSON that is no object is refused."""
    with pytest.raises(InvalidMessage, match="send one JSON object"):
        read_object(payload)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 5000])
def test_numbers_that_json_has_not_are_refused(number: str) -> None:
    """NaN, infinities and numbers beyond what can be held are refused wherever they stand."""
    with pytest.raises(InvalidMessage):
        read_object(encoded(worker_job(filter={"gt": "@"})).replace(b'"@"', number.encode()))


def test_the_last_of_equal_keys_counts_everywhere() -> None:
    """Of a repeated key the last one counts, for the job and for its answer alike."""
    data = read_object(encoded(worker_job())[:-1] + b', "job_id": "second"}')
    assert parse_job(data).job.job_id == envelope(data).job_id == "second"


@pytest.mark.parametrize(
    "changes",
    [
        {"filter": {"must": "\ud800"}},
        {"filter": {"\udfff": 1}},
        {"vector_database_config": {"connection_url": "http://q:1", "api_key": "k\ud800"}},
        {"llm_config": {"provider": "p", "model": "m", "config": {"\ud800": 1}}},
        {"visualization_config": {"\ud800": 1}},
        {"visualization_config": {"title": "\ud800"}},
        {"vector_name": "\ud800"},
        {"owner": "\ud800"},
    ],
    ids=str,
)
def test_half_characters_are_refused(changes: dict[str, Any]) -> None:
    """Half a surrogate pair, which no UTF-8 text can hold, is refused before anything else sees it."""
    with pytest.raises((InvalidMessage, InvalidJob)) as caught:
        parse_job(read_object(encoded(worker_job(**changes))))
    str(caught.value).encode()


def test_size_is_bounded() -> None:
    """A message of the greatest size is read, one byte more is not, and the limit is told."""
    room = MAX_MESSAGE_BYTES - len(b'{"a":""}')
    assert len(read_object(b'{"a":"' + b"x" * room + b'"}')["a"]) == room
    with pytest.raises(InvalidMessage, match=f"at most {MAX_MESSAGE_BYTES}"):
        read_object(b'{"a":"' + b"x" * (room + 1) + b'"}')


def test_nesting_is_bounded() -> None:
    """JSON as deep as allowed is read, one level more is not."""
    levels = MAX_NESTING - 1
    read_object(b'{"a":' * levels + b"{}" + b"}" * levels)
    with pytest.raises(InvalidMessage, match="nested deeper"):
        read_object(b'{"a":' * levels + b"{}".join((b'{"a":', b"}")) + b"}" * levels)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(payload: bytes) -> None:
    """No bytes lead to anything but an object or InvalidMessage."""
    with contextlib.suppress(InvalidMessage):
        assert isinstance(read_object(payload), dict)


@given(st.sampled_from([*EXAMPLE, "owner_id", "qdrant_config", "filter", "text_field", "other"]), Json)
def test_any_value_is_a_job_or_refused(key: str, value: object) -> None:
    """Whatever stands in a field, the job is read or refused with a text, and its sender's ids can be read."""
    job = worker_job(**{key: value})
    envelope(job)
    try:
        assert parse_job(job).job.partition_key.isascii()
    except InvalidJob as error:
        refused = str(error)
        assert refused


@given(Json)
def test_any_configuration_is_read_or_refused(config: object) -> None:
    """Whatever stands for the configuration, it is read or refused."""
    try:
        parse_job(worker_job(visualization_config=config))
    except InvalidJob as error:
        refused = str(error)
        assert "visualization_config" in refused


@pytest.mark.parametrize("name", ["logo", "background_image"])
@pytest.mark.parametrize("kind", ["png", "jpeg", "gif", "webp", "svg+xml"])
def test_images_come_inside_the_job(name: str, kind: str) -> None:
    """An image as a `data:` URL is accepted without a warning."""
    image = f"data:image/{kind};base64,{PIXEL}"
    read = parse_job(worker_job(visualization_config={name: image}))
    assert embedded_image(getattr(read.job.visualization_config, name)) == image
    assert read.warnings == ()


@pytest.mark.parametrize("name", ["logo", "background_image"])
def test_images_at_an_address_are_not_shown(name: str) -> None:
    """An image at a web address is accepted, not shown, and the warning says why without repeating the address."""
    read = parse_job(worker_job(visualization_config={name: f"https://cdn.example.com/a.png?signature={CANARY}"}))
    (warning,) = read.warnings
    assert warning.startswith(f"visualization_config.{name}: ")
    assert "loads nothing from the network" in warning
    assert CANARY not in warning
    assert embedded_image(getattr(read.job.visualization_config, name)) is None
    assert CANARY not in str(read.job.visualization_config.describe())


@pytest.mark.parametrize(
    "value",
    [
        "javascript:alert(1)",
        "blob:https://example.com/1",
        "logo.png",
        "/logo.png",
        "//example.com/logo.png",
        "file:///etc/passwd",
        "ftp://example.com/a.png",
        "https://",
        "https://user:word@example.com/a.png",
        "https://example.com/a b.png",
        "https://example.com/a.png\n",
        'https://example.com/é"',
        "https://[::1",
        "data:text/html;base64,PHNjcmlwdD4=",
        "data:image/svg+xml,<svg/>",
        "data:image/png;base64,",
        "data:image/png;base64,a",
        "data:image/png;base64,????",
        f"data:image/png;base64,{PIXEL}\n",
        f"data:image/png;charset=x;base64,{PIXEL}",
        f"DATA:image/png;base64,{PIXEL}",
        "data:image/png;base64," + "A" * 500_000,
        5,
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_no_image_is_refused(value: object) -> None:
    """Anything else in the place of an image is refused by name, in a short text that says what to send."""
    for name in ("logo", "background_image"):
        reason = refusal(worker_job(visualization_config={name: value}))
        assert reason.startswith(f"visualization_config.{name}: ")
        assert "data:image/png;base64," in reason or not isinstance(value, str) or "500000" in reason
        assert len(reason) < 500
        assert "user:word" not in reason


def test_an_image_reaches_its_bound() -> None:
    """An image of the greatest size is accepted."""
    image = "data:image/png;base64," + "A" * (500_000 - len("data:image/png;base64,") - 2)
    assert parse_job(worker_job(visualization_config={"logo": image})).job.visualization_config.logo == image


EXPLORER_OPTIONS: dict[str, Any] = {
    "n_neighbors": 15,
    "min_samples": None,
    "inline_data": True,
    "noise_label": "Unlabelled",
    "palette_hue_shift": 12.5,
    "palette_hue_radius_dependence": 1.0,
    "palette_theta_range": 0.19634954,
    "use_medoids": True,
    "polygon_alpha": 0.5,
    "cvd_safer": True,
    "title_font_size": 36,
    "sub_title_font_size": 18,
    "text_collision_size_scale": 3.0,
    "text_min_pixel_size": 12.0,
    "text_max_pixel_size": 36.0,
    "font_family": "Playfair Display SC",
    "font_weight": 600,
    "tooltip_font_family": "Playfair Display SC",
    "tooltip_font_weight": 400,
    "logo": None,
    "logo_width": 256,
    "line_spacing": 0.95,
    "min_fontsize": 12,
    "max_fontsize": 24.0,
    "text_outline_width": 8,
    "text_outline_color": "#eeeeeedd",
    "point_size_scale": None,
    "point_hover_color": "#aa0000bb",
    "point_radius_min_pixels": 0.01,
    "point_radius_max_pixels": 24.0,
    "point_line_width_min_pixels": 0.001,
    "point_line_width_max_pixels": 3.0,
    "point_line_width": 0.001,
    "cluster_boundary_line_width": 1.0,
    "initial_zoom_fraction": 1.0,
    "background_color": "",
    "background_image": "",
    "payload_fields": ["year", "meta.source"],
    "color_by": "year",
    "write_back": True,
}
"""What the platform sends: floats with and without a point, nulls, and "" from forms that nobody filled."""


@pytest.mark.parametrize("dialect", [worker_job, explorer_job])
def test_options_come_through_in_both_dialects(dialect: Any) -> None:
    """Every option of a page arrives, is written in the sender's dialect, and read again as the same job."""
    first = parse_job(read_object(encoded(dialect(visualization_config=EXPLORER_OPTIONS))))
    assert first.warnings == ()
    options = first.job.visualization_config.model_dump(exclude_unset=True)
    assert options == {name: value for name, value in EXPLORER_OPTIONS.items() if value not in (None, "")}
    written = in_dialect(json.loads(first.job.model_dump_json()), first.dialect)
    assert parse_job(written) == first


def test_options_are_described_without_their_images() -> None:
    """For people an image is told by its size."""
    image = f"data:image/png;base64,{PIXEL}"
    described = parse_job(worker_job(visualization_config={"logo": image})).job.visualization_config.describe()
    assert described["logo"] == f"image of {len(image)} characters"
    assert "background_image" not in described
    assert described["height"] == 800
