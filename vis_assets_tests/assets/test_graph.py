"""The whole graph on small files: every number of points has a map or a clear answer."""

import json
from typing import Any

import numpy as np
import pytest

from vis_assets.protocol.result import Status
from vis_assets.protocol.stages import Stage
from vis_assets_tests.assets.graph import PARTITION, Graph, checks, groups, metadata, outcome

pytestmark = pytest.mark.timeout(300)

STATS = {
    "unique_clusters", "noise_points", "umap_n_neighbors", "hdbscan_min_cluster_size", "warnings",
}  # fmt: skip


def finish(graph: Graph, vectors: Any, texts: Any = None, **config: Any) -> dict[str, Any]:
    """Make the map and return what its sender is told, after checking what is true of every map."""
    graph.fill(vectors, texts)
    graph.ask(**config)
    result = graph.run()
    told = outcome(graph, result)
    assert told.status is Status.COMPLETED, told.error
    assert told.html_key == f"visualizations/o/{PARTITION}/8.html"
    page = graph.folder / "store" / told.html_key
    assert page.read_bytes().rstrip().endswith(b"</html>")
    assert told.point_count == len(vectors)
    assert told.stats.keys() >= STATS
    assert told.stats["unique_clusters"] == told.cluster_count
    json.dumps(told.stats, allow_nan=False)
    failed = {name for name, check in checks(result).items() if not check.passed}
    assert failed <= {"noise_share"}
    assert len(checks(result)) == 7
    percents = [percent for _, percent in graph.steps]
    assert percents == sorted(percents)
    for stage in Stage:
        if stage is not Stage.STARTING:
            steps = graph.steps_of(stage)
            assert (steps[0], steps[-1]) == (stage.first_percent, stage.last_percent)
    return {"told": told, "result": result}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_map_of_too_few_points(graph: Graph, count: int) -> None:
    """One, two or three points have a map without clusters and with a warning."""
    made = finish(graph, groups(count))
    assert made["told"].cluster_count == 0
    assert any("min_cluster_size" in warning for warning in made["told"].stats["warnings"])
    noise = checks(made["result"])["noise_share"]
    assert not noise.passed
    assert noise.severity.name == "WARN"


def test_a_map_of_fourteen_points(graph: Graph) -> None:
    """Fourteen points, fewer than the neighbours asked for, are laid out by UMAP with a warning."""
    made = finish(graph, groups(7, 7))
    warnings = " ".join(made["told"].stats["warnings"])
    assert "n_neighbors was lowered from 15 to 13" in warnings
    assert "14 points are fewer than min_cluster_size (15)" in warnings


def test_a_map_of_identical_points(graph: Graph) -> None:
    """Identical points are one cluster in one place, with a warning, and pass every check."""
    made = finish(graph, np.ones((30, 4), dtype=np.float32))
    assert (made["told"].cluster_count, made["told"].stats["noise_points"]) == (1, 0)
    assert all(check.passed for check in checks(made["result"]).values())
    assert any("in one place" in warning for warning in made["told"].stats["warnings"])


@pytest.mark.parametrize("texts", [[None] * 30, [""] * 30])
def test_a_map_of_points_without_text(graph: Graph, texts: list[str | None]) -> None:
    """Points without text have a map whose clusters have a number and no keyphrases, and a warning."""
    made = finish(graph, np.ones((30, 4), dtype=np.float32), texts)
    names = made["result"].asset_value("cluster_names")
    assert list(names["name"]) == ["Cluster 0"]
    assert [list(phrases) for phrases in names["keyphrases"]] == [[]]
    assert metadata(made["result"], "vectors")["points_with_text"] == 0
    assert any("text" in warning for warning in made["told"].stats["warnings"])


def test_a_real_small_map(graph: Graph) -> None:
    """Three groups become three clusters, biggest first, named and described; the metadata say what people use."""
    texts = ["apples and pears"] * 40 + ["wheels of cars"] * 30 + ["rivers to the sea"] * 20
    made = finish(graph, groups(40, 30, 20), texts, min_cluster_size=10)
    told, result = made["told"], made["result"]
    assert told.cluster_count == 3
    names = result.asset_value("cluster_names")
    assert list(names["name"]) == ["Apples & Pears", "Wheels & Cars", "Rivers & Sea"]
    assert set(names["named_by"]) == {"keyphrases"}
    assert list(names["size"]) == sorted(names["size"], reverse=True)
    for phrases, word in zip(names["keyphrases"], ["apples", "wheels", "rivers"], strict=True):
        assert any(word in phrase for phrase in phrases)
    assert metadata(result, "vectors")["point_count"] == 90
    assert metadata(result, "vectors")["dimension"] == 8
    assert metadata(result, "cluster_labels")["cluster_count"] == 3
    sizes = metadata(result, "cluster_labels")["cluster_sizes"].records
    assert [record.data["points"] for record in sizes] == list(names["size"])
    page = metadata(result, "html_map")
    assert page["map"] == f"https://maps.example.com/maps/o/{PARTITION}/8.html"
    assert page["preview"].startswith("![map](data:image/png;base64,")
    assert page["point_count"] == 90
    for asset in ("vectors", "embedding_2d", "cluster_labels", "cluster_names", "html_map"):
        assert metadata(result, asset)["duration_seconds"] >= 0
    assert metadata(result, "visualization_job")["sealed_secrets"] == []
    steps = graph.steps_of(Stage.APPLYING_UMAP)
    assert len(steps) > 5  # epochs, not only the two ends


def test_no_points_are_a_clear_answer(graph: Graph) -> None:
    """An empty collection ends the job with one sentence, and no stage after it starts."""
    graph.fill(np.zeros((0, 4), dtype=np.float32))
    graph.ask()
    result = graph.run()
    told = outcome(graph, result)
    assert told.status is Status.FAILED
    assert told.error is not None
    assert "no row has a vector" in told.error or "no usable point" in told.error
    assert "Traceback" not in told.error
    assert {stage for stage, _ in graph.steps} == {Stage.FETCHING_VECTORS}
    assert not list((graph.folder / "store").rglob("*.html"))


def test_points_with_bad_numbers_are_left_out_and_told(graph: Graph) -> None:
    """Vectors with NaN are skipped with a warning."""
    vectors = np.ones((30, 4), dtype=np.float32)
    vectors[3, 1] = np.nan
    graph.fill(vectors)
    graph.ask()
    told = outcome(graph, graph.run())
    assert told.point_count == 29
    assert any("NaN" in warning for warning in told.stats["warnings"])


def test_a_missing_file_is_a_clear_answer(graph: Graph) -> None:
    """A source that is not there fails permanently in one sentence that names it."""
    graph.ask()
    told = outcome(graph, graph.run())
    assert told.status is Status.FAILED
    assert told.error is not None
    assert "points.parquet" in told.error
    assert "Traceback" not in told.error


def test_a_partition_without_a_job_is_a_clear_answer(graph: Graph) -> None:
    """Materializing a partition that no job asked for says how to send one."""
    told = outcome(graph, graph.run())
    assert told.error is not None
    assert "vis-assets submit" in told.error


def test_an_asset_without_its_upstream_is_a_clear_answer(graph: Graph) -> None:
    """Materializing one asset alone, before those above it, names what to materialize."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask()
    told = outcome(graph, graph.run("cluster_labels"))
    assert told.error is not None
    assert told.error.startswith("embedding_2d was never materialized for partition 7")


def test_stages_can_be_made_again_one_by_one(graph: Graph) -> None:
    """From the clusters on, a map can be made again without run config, with the options of the newest job."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask()
    assert outcome(graph, graph.run()).cluster_count == 1
    graph.ask("again", min_cluster_size=21, title="The second title")
    told = outcome(graph, graph.run("cluster_labels", "cluster_names", "html_map"))
    assert (told.status, told.cluster_count) == (Status.COMPLETED, 0)
    assert "The second title" in (graph.folder / "store" / str(told.html_key)).read_text()


def test_a_run_keeps_the_spec_it_started_with(graph: Graph) -> None:
    """A job that arrives while a run works does not change that run."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask("first", title="The first title")
    asked: list[Stage] = []

    def interfere(stage: Stage, percent: int) -> None:
        if stage is Stage.CLUSTERING and not asked:
            asked.append(stage)
            graph.ask("second", title="The second title")

    from vis_assets.resources.progress import CallbackProgress

    graph.resources["progress"] = CallbackProgress(interfere)
    told = outcome(graph, graph.run())
    assert asked
    page = (graph.folder / "store" / str(told.html_key)).read_text()
    assert "The first title" in page
    assert "The second title" not in page


@pytest.mark.parametrize("first_id", [1, 20])
@pytest.mark.parametrize("asset", ["cluster_names", "html_map"])
def test_assets_of_different_points_are_not_joined(graph: Graph, asset: str, first_id: int) -> None:
    """When other points were fetched meanwhile, a later stage alone refuses and says what to make again."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask()
    assert graph.run().success
    graph.fill(np.ones((20, 4), dtype=np.float32), first_id=first_id)
    assert graph.run("vectors").success
    told = outcome(graph, graph.run(asset))
    assert told.error is not None
    assert "was made from other points than the vectors of today" in told.error
    assert outcome(graph, graph.run("embedding_2d", "cluster_labels", "cluster_names", "html_map")).error is None


def test_fewer_points_are_not_joined_either(graph: Graph) -> None:
    """The same holds when points were removed."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask()
    assert graph.run().success
    graph.fill(np.ones((19, 4), dtype=np.float32))
    assert graph.run("vectors").success
    told = outcome(graph, graph.run("cluster_names"))
    assert told.error is not None
    assert "other points" in told.error


def test_too_much_noise_warns(graph: Graph) -> None:
    """With more than half of the points in no cluster the check warns and tells what to try; with less it passes."""
    graph.fill(np.ones((60, 4), dtype=np.float32))
    graph.ask(min_cluster_size=10)
    graph.run("visualization_job", "vectors")
    rng = np.random.default_rng(0)
    scattered, dense = rng.uniform(-1000, 1000, size=(35, 2)), rng.normal(size=(25, 2))
    graph.place(np.concatenate([dense, scattered]))
    noisy = checks(graph.run("cluster_labels"))["noise_share"]
    assert (noisy.passed, noisy.severity.name) == (False, "WARN")
    assert "min_cluster_size" in (noisy.description or "")
    graph.place(np.concatenate([dense, dense + 0.01, dense[:10] + 50]))
    assert checks(graph.run("cluster_labels"))["noise_share"].passed


def test_data_beside_the_page_are_stored(graph: Graph) -> None:
    """With inline_data off, the page's data lie beside it under names of its own."""
    graph.fill(np.ones((20, 4), dtype=np.float32))
    graph.ask(inline_data=False)
    assert graph.run().success
    names = {path.name for path in (graph.folder / "store/visualizations/o" / PARTITION).iterdir()}
    assert "8.html" in names
    assert len(names) > 1
    assert all(name.startswith("8") for name in names)
