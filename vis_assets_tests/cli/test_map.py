"""`vis-assets map`: a file becomes a map, without NATS."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from vis_assets.operations.embedded_llm import EmbeddedLlm
from vis_assets_tests.cli.command import alone, run

LLM_KEY = "sk-canary-llm-key-of-installation-3b1c"


@pytest.fixture
def points(tmp_path: Path) -> Path:
    """A Parquet file of 60 points in 3 groups."""
    random = np.random.default_rng(1)
    vectors = np.repeat(np.eye(8)[:3] * 5, 20, axis=0) + random.normal(0, 0.3, (60, 8))
    words = np.repeat(["stone rock", "violin song", "bread oven"], 20)
    path = tmp_path / "points.parquet"
    table = pa.table(
        {
            "id": [f"doc-{i}" for i in range(60)],
            "text": [f"{words[i]} number {i}" for i in range(60)],
            "vector": pa.array(vectors.astype(np.float32).tolist(), pa.list_(pa.float32())),
            "year": list(range(60)),
        }
    )
    pq.write_table(table, path)
    return path


def test_map_of_parquet(points: Path, tmp_path: Path) -> None:
    """A Parquet file becomes a page, a table of points and statistics; `--json` says where they are."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"title": "Sixty documents", "min_cluster_size": 5, "noise_label": "the rest"}))
    out = tmp_path / "deep" / "out"
    made = run("map", points, "--out", out, "--config", config, "--json", environment=alone(tmp_path / "home"))
    assert made.code == 0, made.err
    said = json.loads(made.out)
    assert set(said) == {"html", "points", "point_count", "cluster_count", "stats"}
    assert (said["point_count"], said["cluster_count"]) == (60, 3)
    assert said["stats"]["hdbscan_min_cluster_size"] == 5
    assert said["stats"] == json.loads((out / "stats.json").read_text())
    assert "Sixty documents" in Path(said["html"]).read_text()
    assert Path(said["html"]).resolve() == (out / "map.html").resolve()
    table = pq.read_table(said["points"])
    assert table.column_names == ["id", "x", "y", "cluster", "name", "membership_strength"]
    assert table["id"].to_pylist() == [f"doc-{i}" for i in range(60)]
    names = {row["cluster"]: row["name"] for row in table.to_pylist()}
    assert {cluster for cluster in names if cluster >= 0} == {0, 1, 2}
    assert all((name is None) == (cluster < 0) for cluster, name in names.items())
    assert said["stats"]["naming"]["named_by"] == {"keyphrases": 3}
    clusters = pq.read_table(out / "names.parquet").to_pylist()
    assert {row["cluster"]: row["name"] for row in clusters} == {c: name for c, name in names.items() if c >= 0}
    assert all(row["keyphrases"] and row["exemplar_texts"] for row in clusters)


def test_second_map_of_a_file_asks_nothing(points: Path, tmp_path: Path) -> None:
    """A language model names the clusters of a file; another map of it has the same names and costs nothing."""
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"min_cluster_size": 5}))
    with EmbeddedLlm(api_key=LLM_KEY) as llm:
        ours = {"LLM_PROVIDER": "openai/gpt-4o", "OPENAI_BASE_URL": llm.openai_url, "OPENAI_API_KEY": LLM_KEY}
        environment = alone(tmp_path / "home", **ours)
        stats = []
        for out in (tmp_path / "first", tmp_path / "second"):
            made = run("map", points, "--out", out, "--config", config, "--json", environment=environment)
            assert made.code == 0, made.err
            stats.append(json.loads(made.out)["stats"]["naming"])
            assert LLM_KEY not in made.out + made.err
        assert [one["named_by"] for one in stats] == [{"openai/gpt-4o": 3}] * 2
        assert [one["cache_hits"] for one in stats] == [0, 3]
        assert stats[0]["calls"] == len(llm.requests) == 1
        assert stats[1]["calls"] == 0
    first, second = (pq.read_table(tmp_path / out / "names.parquet") for out in ("first", "second"))
    assert first["name"] == second["name"]


def test_map_of_npy(tmp_path: Path) -> None:
    """A .npy with a .jsonl beside it works too, and a person reads one line about it; numbers as ids become text."""
    np.save(tmp_path / "few.npy", np.eye(3, 8, dtype=np.float32))
    lines = [json.dumps({"id": i, "text": f"text {i}"}) for i in range(3)]
    (tmp_path / "few.jsonl").write_text("\n".join(lines) + "\n")
    made = run("map", tmp_path / "few.npy", "--out", tmp_path / "out", environment=alone(tmp_path / "home"))
    assert made.code == 0, made.err
    assert made.out.startswith("3 points in 0 clusters: ")
    assert pq.read_table(tmp_path / "out" / "points.parquet")["id"].to_pylist() == ["0", "1", "2"]
    assert (tmp_path / "out" / "map.html").stat().st_size > 100_000


def test_map_leaves_nothing_else_behind(tmp_path: Path, points: Path) -> None:
    """A map that fails leaves neither a home folder nor half an output."""
    config = tmp_path / "config.json"
    config.write_text('{"n_neighbors": 1}')
    home, out = tmp_path / "home", tmp_path / "out"
    refused = run("map", points, "--out", out, "--config", config, environment=alone(home))
    assert refused.code == 1
    assert "n_neighbors: 1 " in refused.err
    assert "2 to 1000" in refused.err
    assert not home.exists()
    assert not out.exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("points.parquet", b"PAR0 is not Parquet", "points.parquet"),
        ("points.csv", b"id,text\n", ".parquet"),
        ("empty.npy", b"", "empty.npy"),
    ],
)
def test_bad_file(name: str, content: bytes, says: str, tmp_path: Path) -> None:
    """A file that holds no points fails with a sentence that names what is wrong."""
    (tmp_path / name).write_bytes(content)
    refused = run("map", tmp_path / name, "--out", tmp_path / "out", environment=alone(tmp_path / "home"))
    assert (refused.code, refused.out) == (1, "")
    assert says in refused.err.splitlines()[-1]


def test_npy_with_too_few_texts(tmp_path: Path) -> None:
    """A .jsonl that has not one line for each row of the .npy is refused."""
    np.save(tmp_path / "three.npy", np.eye(3, dtype=np.float32))
    (tmp_path / "three.jsonl").write_text('{"text": "only one"}\n')
    refused = run("map", tmp_path / "three.npy", "--out", tmp_path / "out", environment=alone(tmp_path / "home"))
    assert refused.code == 1
    assert "three.jsonl" in refused.err


def test_missing_column(tmp_path: Path) -> None:
    """A Parquet file without vectors is told so."""
    pq.write_table(pa.table({"id": ["a"], "text": ["b"]}), tmp_path / "p.parquet")
    refused = run("map", tmp_path / "p.parquet", "--out", tmp_path / "out", environment=alone(tmp_path / "home"))
    assert refused.code == 1
    assert "vector" in refused.err


@pytest.mark.parametrize("content", ["{", "[]", "null"])
def test_bad_config_file(content: str, points: Path, tmp_path: Path) -> None:
    """A configuration that is no JSON object fails and says so."""
    config = tmp_path / "config.json"
    config.write_text(content)
    refused = run("map", points, "--out", tmp_path / "out", "--config", config, environment=alone(tmp_path / "home"))
    assert refused.code in {1, 2}
    assert "JSON" in refused.err


def test_missing_file_is_wrong_use(tmp_path: Path) -> None:
    """A file that does not exist is wrong use."""
    refused = run("map", tmp_path / "none.parquet", "--out", tmp_path, environment=alone(tmp_path / "home"))
    assert refused.code == 2
    assert "none.parquet" in refused.err
