"""Chunks of source files."""

from pathlib import Path

import pytest

from vis_assets.operations.bench.source_chunks import ChunkRule, draw_chunks, installed_sources, read_chunks

RULE = ChunkRule(characters=40, distinct_words=4)
LINES = [
    "def measure_length(vectors, metric):",
    "    return vectors.distance(metric).minimum()",
    "",
    "class ForestOfTrees:",
    "    rotten, healthy = branches(leaves)",
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of sources: one good file, a copy that differs in space and punctuation, and what is to be skipped."""
    (tmp_path / "package" / "deep").mkdir(parents=True)
    (tmp_path / "package" / "good.py").write_text("\n".join(LINES))
    (tmp_path / "package" / "deep" / "copy.pyx").write_text(
        "\n\n".join(f"\t{line}".replace(")", "7") for line in LINES)
    )
    (tmp_path / "package" / "table.py").write_text("0, 1, 2, 3, 4, 5, 6, 7, 8, 9\n" * 100)
    (tmp_path / "package" / "minified.js").write_text("var alpha,beta,gamma,delta;" * 100)
    (tmp_path / "package" / "binary.py").write_bytes(b"\xff\xfe alpha beta gamma delta epsilon" * 10)
    (tmp_path / "package" / "notes.bin").write_text("\n".join(LINES))
    (tmp_path / "site-packages").mkdir()
    (tmp_path / "site-packages" / "other.py").write_text("alpha beta gamma delta epsilon zeta eta theta iota kappa")
    return tmp_path


def test_chunks_are_lines_of_readable_sources(folder: Path) -> None:
    """Only texts with enough different words become chunks, each headed by the name of its file."""
    chunks = list(read_chunks([folder], RULE))
    assert {chunk.text.splitlines()[0] for chunk in chunks} == {"package/good.py", "package/deep/copy.pyx"}
    assert all(len(chunk.text) > 40 for chunk in chunks)


def test_drawn_chunks_are_distinct(folder: Path) -> None:
    """Chunks with the same words count once, and a smaller draw is the beginning of a larger one."""
    everything = draw_chunks([folder], 100, RULE)
    assert len(everything) == len(list(read_chunks([folder], RULE))) // 2 >= 2
    assert draw_chunks([folder], 1, RULE) == everything[:1]


def test_a_bounded_draw_is_the_same_as_one_of_everything(tmp_path: Path) -> None:
    """Dropping what cannot be drawn any more, to bound memory, does not change what is drawn."""
    names = ["alpha", "beta", "gamma", "delta", "epsilon", "omega", "kappa", "sigma", "lambda", "theta"]
    words = [f"{a}{b}" for a in names for b in names]
    lines = [f"{words[i % 100]} {words[i // 100]} common words in every line of these" for i in range(3000)]
    (tmp_path / "many.py").write_text("\n".join(lines))
    everything = draw_chunks([tmp_path], 10_000, ChunkRule(40, 4))
    assert len(everything) > 2000
    assert draw_chunks([tmp_path], 300, ChunkRule(40, 4)) == everything[:300]


def test_this_python_has_sources() -> None:
    """The standard library and the installed packages are read."""
    folders = installed_sources()
    assert (folders[0] / "json" / "__init__.py").exists()
    assert (folders[1] / "numpy" / "__init__.py").exists()
