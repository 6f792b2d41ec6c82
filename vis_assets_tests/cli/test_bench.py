"""`vis-assets bench`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vis_assets_tests.cli.command import alone, run

KEYS = ["engine", "points", "dim", "stages", "total_seconds", "peak_rss_bytes", "quality", "clusters"]


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 vectors in 6 groups."""
    random = np.random.default_rng(7)
    path = tmp_path_factory.mktemp("bench") / "own.npy"
    centers = random.normal(size=(6, 24))
    np.save(path, (np.repeat(centers, 50, axis=0) + random.normal(0, 0.2, (300, 24))).astype(np.float32))
    return path


def objects_of(out: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_both_engines_map_the_same_file(matrix: Path, tmp_path: Path) -> None:
    """`--json` prints one object an engine, each with its own seconds, memory and quality; `--report` keeps it all."""
    report = tmp_path / "report.json"
    done = run(
        "bench", "pipeline", "--input", matrix, "--cold", "--json", "--report", report, environment=alone(tmp_path)
    )
    assert done.code == 0, done.err
    fast, spec = objects_of(done.out)
    assert [list(fast), list(spec)] == [KEYS, KEYS]
    assert [fast["engine"], spec["engine"]] == ["fast", "spec"]
    for found in (fast, spec):
        assert (found["points"], found["dim"], found["clusters"]) == (300, 24, 6)
        assert {"layout", "clusters", "page"} < set(found["stages"])
        assert found["total_seconds"] >= sum(found["stages"][name] for name in ("layout", "clusters", "page"))
        assert found["peak_rss_bytes"] > 50_000_000
        assert list(found["quality"]) == ["trustworthiness", "neighbor_preservation", "knn_recall"]
        assert all(0.3 < share <= 1 for share in found["quality"].values())
    kept = json.loads(report.read_text())
    assert kept["machine"]["cores"] >= 1
    assert len(kept["measured"]) == 2


def test_a_table_for_people(matrix: Path, tmp_path: Path) -> None:
    """Without `--json` there is a table of the stages, what is in the total, how clusterings agree, and the machine."""
    done = run(
        "bench", "pipeline", "--engine", "fast", "--input", matrix, "--points", "200", environment=alone(tmp_path)
    )
    assert done.code == 0, done.err
    for told in ("layout", "clusters", "page", "names", "trustworthiness", "200 x 24", "shuffled rows", "cores"):
        assert told in done.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dim", "32", "--input", __file__], "--dim"),
        (["--engine", "none"], "none"),
        (["--points", "1"], "100"),
    ],
)
def test_wrong_use(arguments: list[str], says: str, tmp_path: Path) -> None:
    """Options that contradict each other, or make no sense, are wrong use."""
    refused = run("bench", "pipeline", *arguments, environment=alone(tmp_path))
    assert (refused.code, refused.out) == (2, "")
    assert says in refused.err


def test_a_file_that_is_no_matrix(tmp_path: Path) -> None:
    """A file that holds no matrix ends in one sentence."""
    (tmp_path / "own.npy").write_text("no matrix")
    refused = run("bench", "pipeline", "--input", tmp_path / "own.npy", environment=alone(tmp_path))
    assert refused.code == 1
    assert "own.npy" in refused.err
