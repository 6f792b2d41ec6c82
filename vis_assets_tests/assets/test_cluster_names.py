"""The names of a map through the real graph: a language model over HTTP, its faults, its memory, what people see."""

import io
import json
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from vis_assets.operations.embedded_llm import (
    EmbeddedLlm,
    Fault,
    Hangup,
    Injected,
    Malformed,
    RateLimited,
    ServerError,
    Slow,
)
from vis_assets.protocol.result import Status
from vis_assets.protocol.stages import Stage
from vis_assets_tests.assets.graph import PARTITION, Graph, metadata, outcome
from vis_assets_tests.protocol.messages import CANARY

pytestmark = [pytest.mark.timeout(300), pytest.mark.enable_socket]

SUBJECTS = (
    "sparse matrix solver", "neural network training", "http request header", "database query planner",
    "calendar time zone", "symbolic link directory", "password hash certificate", "audio sample rate",
    "protein sequence alignment", "traffic light intersection", "bread dough yeast", "color map figure",
)  # fmt: skip
SIZE = 30


WORDS = (
    "apple", "river", "window", "garden", "morning", "copper", "ladder", "violet", "harbor", "pencil", "meadow",
    "button", "forest", "silver", "bridge", "hammer", "orange", "valley", "basket", "island", "mirror", "needle",
)  # fmt: skip
FORMS = (
    "Why {b} and {c} make every {a} slower",
    "{b} {c} {d}: a first look at the {a}",
    "We tried one more {a} behind a {d} {b}, and it held",
    "After the {b} came a {c}. Then the {a} was done",
    "The {a} of 1998, with {d} and {b}",
    "{d}? {c}? Neither helps where a {a} is missing a {b}",
)


def documents(subject: int, count: int = SIZE) -> list[str]:
    """Texts that have their subject in common, and little else."""
    rng = random.Random(subject)  # noqa: S311 - texts, no secret
    chosen = (rng.sample(WORDS, 3) for _ in range(count))
    return [rng.choice(FORMS).format(a=SUBJECTS[subject], b=b, c=c, d=d) for b, c, d in chosen]


def fill(graph: Graph, counts: list[int]) -> None:
    """A collection with so many documents of each subject, whose layout is well separated."""
    rng = np.random.default_rng(7)
    rows = np.repeat(np.arange(len(counts)), counts)
    centres = rng.normal(size=(len(counts), 16))
    vectors = (centres[rows] + 0.02 * rng.normal(size=(len(rows), 16))).astype(np.float32)
    graph.fill(vectors, [text for subject, count in enumerate(counts) for text in documents(subject, count)])
    graph.ask("fetch")
    assert graph.run("visualization_job", "vectors").success
    places = np.stack([rows * 40.0, (rows % 3) * 40.0], axis=1)
    graph.place(places + np.random.default_rng(3).normal(size=places.shape))


def llm_config(llm: EmbeddedLlm, provider: str = "openai_compatible", **more: Any) -> dict[str, Any]:
    url = llm.url if provider in {"cohere", "internal"} else llm.openai_url
    options = {"base_url": url, **more.pop("config", {})}
    return {"provider": provider, "model": "double", "api_key": CANARY, "config": options, **more}


def name(graph: Graph, job_id: str, config: dict[str, Any] | None = None, **options: Any) -> Any:
    """Name the clusters, and return the table."""
    graph.ask(job_id, llm_config=config, min_cluster_size=10, **options)
    result = graph.run("cluster_labels", "cluster_names")
    assert result.success
    return result.asset_value("cluster_names")


@pytest.mark.parametrize("provider", ["openai", "cohere", "internal"])
def test_a_model_names_the_clusters(graph: Graph, provider: str) -> None:
    """Through each provider's client the model's names are those of the table, which says who gave them."""
    fill(graph, [SIZE] * 6)
    with EmbeddedLlm(api_key=CANARY) as llm:
        table = name(graph, "a", llm_config(llm, provider))
        (request,) = llm.requests
    assert set(table["named_by"]) == {f"{provider}/double"}
    assert table["name"].is_unique
    told = table.attrs["naming"]
    assert (told["calls"], told["cache_hits"], told["fallbacks"]) == (1, 0, [])
    assert told["input_tokens"] > 0
    assert table.attrs["notes"] == []
    assert all(subject.split()[0] in json.dumps(request.body) for subject in SUBJECTS[:6])


@pytest.mark.parametrize(("batch", "requests"), [(1, 12), (5, 3), (10, 2), (100, 1)])
def test_llm_batch_size_is_how_many_a_request_names(graph: Graph, batch: int, requests: int) -> None:
    """`llm_batch_size` clusters share a request; the stage reports its start, its steps and its end."""
    fill(graph, [SIZE] * 12)
    with EmbeddedLlm() as llm:
        table = name(graph, "b", llm_config(llm), llm_batch_size=batch)
        fine = [r for r in llm.requests if "children" not in json.dumps(r.body["messages"][1])]
    assert len(fine) == requests
    assert set(table["named_by"]) == {"openai_compatible/double"}
    percents = graph.steps_of(Stage.NAMING_CLUSTERS)
    assert (percents[0], percents[-1]) == (72, 85)
    assert percents == sorted(percents)


def test_llm_sample_tokens_cut_documents(graph: Graph) -> None:
    """With fewer `llm_sample_tokens` the same clusters are asked for with fewer tokens."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm() as llm:
        lengths = []
        for tokens in (8, 64):
            name(graph, f"t{tokens}", llm_config(llm), llm_sample_tokens=tokens, topic_language=f"English {tokens}")
            lengths.append(len(llm.requests[-1].body["messages"][1]["content"]))
    assert lengths[0] < lengths[1]


@pytest.mark.parametrize(
    ("topic_names", "named_by", "first"),
    [
        ("numbers", "numbers", "Cluster 0"),
        ("keyphrases", "keyphrases", None),
        ("llm", "openai_compatible/double", None),
    ],
)
def test_topic_names_says_what_makes_them(graph: Graph, topic_names: str, named_by: str, first: str | None) -> None:
    """`topic_names` chooses numbers, keyphrases or the model, whatever model is configured."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm() as llm:
        table = name(graph, "n", llm_config(llm), topic_names=topic_names)
        assert bool(llm.requests) is (topic_names == "llm")
    assert set(table["named_by"]) == {named_by}
    assert first is None or table["name"][0] == first


def test_topic_language_and_prompt_are_asked_with(graph: Graph) -> None:
    """`topic_language` and `topic_naming_prompt` reach the model, the documents in the place of {{samples}}."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm() as llm:
        prompt = "Read:\n{{samples}}\nTitle?"
        table = name(graph, "p", llm_config(llm), topic_language="Deutsch", topic_naming_prompt=prompt)
        system, user = (message["content"] for message in llm.requests[0].body["messages"])
    assert "in this language: Deutsch." in system
    (*_, last) = json.loads(user)["clusters"]
    assert last["task"].startswith("Read:\n<documents>\n- ")
    assert set(table["named_by"]) == {"openai_compatible/double"}


@pytest.mark.parametrize("budget", ["llm_budget_usd", "llm_budget_tokens"])
def test_a_budget_of_nothing_asks_nobody(graph: Graph, budget: str) -> None:
    """With `llm_budget_usd` or `llm_budget_tokens` of 0 keyphrases name all clusters, and the notes say why."""
    fill(graph, [SIZE] * 3)
    prices = graph.folder / "prices.json"
    prices.write_text('{"openai_compatible/double": {"input_usd": 1, "output_usd": 2}}')
    models = graph.resources["language_models"]
    models._settings = models._settings.model_copy(update={"llm_prices": prices})
    with EmbeddedLlm() as llm:
        table = name(graph, "z", llm_config(llm), **{budget: 0})
        assert llm.requests == []
    assert set(table["named_by"]) == {"keyphrases"}
    assert budget in table.attrs["notes"][0]


def test_a_second_run_asks_nothing(graph: Graph) -> None:
    """The same data cost no call the second time, in a new job and for another map of the collection."""
    fill(graph, [SIZE] * 12)
    with EmbeddedLlm() as llm:
        first = name(graph, "one", llm_config(llm))
        asked = len(llm.requests)
        second = name(graph, "two", llm_config(llm))
        assert len(llm.requests) == asked > 0
    assert list(second["name"]) == list(first["name"])
    assert second.attrs["naming"]["calls"] == 0
    assert second.attrs["naming"]["cache_hits"] == len(second)
    assert not first["is_remembered"].any()
    assert second["is_remembered"].all()


@pytest.mark.parametrize("reuse_names", [True, False])
def test_reuse_names_keeps_them_or_asks_anew(graph: Graph, reuse_names: bool) -> None:
    """With `reuse_names` off, what was named before is asked for again."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm() as llm:
        name(graph, "one", llm_config(llm))
        asked = len(llm.requests)
        table = name(graph, "two", llm_config(llm), reuse_names=reuse_names)
        assert (len(llm.requests) == asked) is reuse_names
    assert set(table["is_remembered"]) == {reuse_names}


def test_a_bug_in_naming_fails_no_map(graph: Graph, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong inside of naming by models, keyphrases name the clusters, and a note says so."""
    fill(graph, [SIZE] * 3)
    monkeypatch.setattr("vis_assets.naming.book.Book.take", None)
    with EmbeddedLlm() as llm:
        table = name(graph, "bug", llm_config(llm))
    assert set(table["named_by"]) == {"keyphrases"}
    assert "ended with TypeError" in table.attrs["notes"][0]


def test_new_points_cost_only_what_changed(graph: Graph) -> None:
    """After a tenth of new points, all about two subjects, only the clusters of these are asked for."""
    fill(graph, [SIZE] * 12)
    with EmbeddedLlm() as llm:
        first = name(graph, "before", llm_config(llm))
        asked = len(llm.requests)
        fill(graph, [SIZE * 2 if subject in {3, 8} else SIZE for subject in range(12)])
        second = name(graph, "after", llm_config(llm))
        new = llm.requests[asked:]
    finest = second[second["layer"] == 0]
    fresh = finest[~finest["is_remembered"]]
    assert len(fresh) == 2
    assert {row for phrases in fresh["keyphrases"] for row in phrases} >= {"database query planner"}
    assert 1 <= len(new) < asked + 1
    kept = set(first[first["layer"] == 0]["name"]) & set(finest[finest["is_remembered"]]["name"])
    assert len(kept) == 10


def test_a_few_new_points_cost_nothing(graph: Graph) -> None:
    """After a tenth of new points, spread over all subjects, every cluster keeps its name."""
    fill(graph, [SIZE] * 12)
    with EmbeddedLlm() as llm:
        first = name(graph, "before", llm_config(llm))
        asked = len(llm.requests)
        fill(graph, [SIZE + 3] * 12)
        second = name(graph, "after", llm_config(llm))
        assert len(llm.requests) == asked
    assert sorted(second["name"]) == sorted(first["name"])


@pytest.mark.parametrize(
    "fault",
    [RateLimited(retry_after_seconds=100.0), ServerError(), Slow(60.0), Malformed(), Injected("PWNED"), Hangup()],
    ids=lambda fault: type(fault).__name__,
)
def test_total_outage_still_gives_a_map(graph: Graph, fault: Fault) -> None:
    """Whatever a model's server does, the map is completed with keyphrase names, and the result says so."""
    fill(graph, [SIZE] * 12)
    with EmbeddedLlm(every=fault) as llm:
        config = llm_config(llm, config={"timeout_seconds": 1.0})
        graph.ask("o", llm_config=config, min_cluster_size=10)
        result = graph.run(
            "visualization_job", "vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map"
        )
    told = outcome(graph, result)
    assert told.status is Status.COMPLETED
    naming = told.stats["naming"]
    assert set(naming["named_by"]) == {"keyphrases"}
    assert naming["fallbacks"][0]["model"] == "openai_compatible/double"
    assert naming["failed_calls"] == naming["calls"] or isinstance(fault, Malformed | Injected)
    assert any("are named by their keyphrases" in warning for warning in told.stats["warnings"])
    assert "PWNED" not in json.dumps(told.stats)


def test_the_fallback_answers(graph: Graph) -> None:
    """Where the first model of a job fails, the next one names the clusters, and statsJson says why."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm(every=ServerError(503)) as broken, EmbeddedLlm() as sound:
        second = llm_config(sound, "cohere")
        config = llm_config(broken, config={"timeout_seconds": 2.0}, fallbacks=[second])
        table = name(graph, "f", config)
    assert set(table["named_by"]) == {"cohere/double"}
    (fallback,) = table.attrs["naming"]["fallbacks"]
    assert fallback["model"] == "openai_compatible/double"
    assert table.attrs["naming"]["by_model"]["openai_compatible/double"]["failed_calls"] >= 1
    (note,) = table.attrs["notes"]
    assert note.startswith("language model openai_compatible/double left 1 requests to others: ")


def test_people_see_names_and_where_they_are_from(graph: Graph) -> None:
    """The Dagster page has a table of all clusters; hostile texts are escaped; names.parquet lies beside the page."""
    texts = [f"<img> | `{text}` [a](b)" for text in (*documents(0, 20), *documents(1, 20))]
    graph.fill(np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32), texts)
    graph.ask("fetch")
    assert graph.run("visualization_job", "vectors").success
    rng = np.random.default_rng(0)
    graph.place(np.repeat([[0.0, 0.0], [90.0, 0.0]], 20, axis=0) + rng.normal(size=(40, 2)))
    graph.ask("m", min_cluster_size=10)
    result = graph.run("visualization_job", "vectors", "cluster_labels", "cluster_names", "html_map")
    assert result.success, result
    about = metadata(result, "cluster_names")
    table = about["clusters"]
    header, _, *rows = table.splitlines()
    assert header == "| Layer (0 = finest) | Name | Points | Named by | Keyphrases | Examples |"
    assert len(rows) == 2
    assert all(row.count(" | ") == 5 and " | keyphrases | " in row for row in rows)
    assert not re.search(r"(?<!\\)[<`]", table)
    assert "](" not in table
    assert about["llm_calls"] == 0
    body = (graph.folder / f"store/visualizations/o/{PARTITION}/8.names.parquet").read_bytes()
    names = pq.read_table(io.BytesIO(body)).to_pydict()
    assert names["name"] == list(result.asset_value("cluster_names")["name"])
    assert [len(ids) for ids in names["exemplar_ids"]] == [5, 5]
    assert names["named_by"] == ["keyphrases"] * 2


def test_secrets_stay_secret(graph: Graph) -> None:
    """The key of a language model is in nothing that is stored, though its server repeats it in every error."""
    fill(graph, [SIZE] * 3)
    with EmbeddedLlm(every=ServerError()) as llm:
        table = name(graph, "s", llm_config(llm, config={"timeout_seconds": 2.0}))
    assert CANARY not in json.dumps(table.attrs)
    stored = [path for path in Path(graph.folder).rglob("*") if path.is_file()]
    assert not any(CANARY.encode() in path.read_bytes() for path in stored)
