"""The demo's corpus of docstrings."""

import json
import sysconfig
from pathlib import Path

import numpy as np
import pytest

from vis_assets.errors import NoPoints
from vis_assets.operations import demo_corpus as corpus
from vis_assets.operations.demo_corpus import demo_corpus, embed, read_docstrings, sample_docstrings
from vis_assets.sources.points import POINTS_SCHEMA

LONG = "It says what it does in more words than anybody needs, so that it counts as a document of the demo."


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder with a large package, a small one, and what is no package."""
    for package, modules in (("large", 30), ("small", 2)):
        (tmp_path / package / "tests").mkdir(parents=True)
        (tmp_path / package / "__init__.py").write_text(f'"""Package {package}. {LONG}"""')
        (tmp_path / package / "tests" / "test_it.py").write_text(f'"""A test. {LONG}"""')
        for i in range(modules):
            text = f'class C:\n    """Class {i} of {package}. {LONG}"""\n    def f(self):\n        """Short."""\n'
            (tmp_path / package / f"m{i}.py").write_text(text)
    (tmp_path / "large" / "broken.py").write_text("def (:")
    (tmp_path / "large" / "bytes.py").write_bytes(b'"""\xff\x00"""')
    (tmp_path / "large" / "copy.py").write_text(f'"""Package  large: {LONG}"""')
    (tmp_path / "no_package").mkdir()
    (tmp_path / "no_package" / "x.py").write_text(f'"""{LONG}"""')
    return tmp_path


def test_sample_is_balanced_and_repeatable(site: Path) -> None:
    """Packages take turns, copies and tests are left out, and the same files give the same list."""
    sample = sample_docstrings(site, 8)
    assert sample == sample_docstrings(site, 8)
    assert sum(item.package == "small" for item in sample) == 3
    assert len(sample_docstrings(site, 1000)) == 34
    assert not any("test" in item.module for item in sample_docstrings(site, 1000))


def test_docstrings_know_where_they_stand(tmp_path: Path) -> None:
    """Modules, classes, methods and coroutines are found with their qualified names."""
    path = tmp_path / "p" / "m.py"
    path.parent.mkdir()
    doc = f'"""{LONG}"""'
    path.write_text(f"{doc}\nclass A:\n  {doc}\n  def b(self):\n    {doc}\n  async def c(self):\n    {doc}\n")
    found = [(item.kind, item.name) for item in read_docstrings(path, tmp_path)]
    assert found == [("module", "p.m"), ("class", "p.m.A"), ("function", "p.m.A.b"), ("function", "p.m.A.c")]


def test_corpus_of_the_installed_packages(tmp_path: Path) -> None:
    """The corpus has the columns of a source, unit vectors, many packages, and is the same from the cache."""
    points = demo_corpus(300, tmp_path, dimension=16)
    assert points.table.schema == POINTS_SCHEMA
    assert points.vectors.shape == (300, 16)
    assert points.vectors.dtype == np.float32
    assert points.notes == ()
    np.testing.assert_allclose(np.linalg.norm(points.vectors, axis=1), 1, atol=1e-3)
    payloads = [json.loads(payload) for payload in points.table["payload"].to_pylist()]
    assert payloads[0].keys() == {"package", "module", "kind", "name", "words"}
    assert len({payload["package"] for payload in payloads}) > 20
    texts = points.table["text"].to_pylist()
    assert all(text.startswith(payload["name"]) for text, payload in zip(texts, payloads, strict=True))
    assert max(map(len, texts)) <= corpus.LONGEST_TEXT
    again = demo_corpus(300, tmp_path, dimension=16)
    assert again.table.equals(points.table)
    np.testing.assert_array_equal(again.vectors, points.vectors)


def test_interrupted_build_is_repeated(tmp_path: Path) -> None:
    """A cache without its table, which is written last, is built anew."""
    points = demo_corpus(50, tmp_path, dimension=4)
    next(tmp_path.glob("*/points.parquet")).unlink()
    assert demo_corpus(50, tmp_path, dimension=4).table.equals(points.table)


def test_fewer_docstrings_than_asked_for(
    site: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All docstrings there are come, with a note."""
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"purelib": str(site)})
    points = demo_corpus(1000, tmp_path_factory.mktemp("cache"), dimension=8)
    assert points.count == 34
    assert points.notes == ("the installed packages have only 34 usable docstrings, 1000 were asked for",)


def test_no_docstrings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without packages cannot give a demo."""
    monkeypatch.setattr(sysconfig, "get_paths", lambda: {"purelib": str(tmp_path)})
    with pytest.raises(NoPoints, match="have 0 docstrings"):
        demo_corpus(10, tmp_path / "cache")


def test_similar_texts_have_similar_vectors() -> None:
    """Texts about one thing are nearer to each other than to others."""
    texts = ["matrix inverse algebra", "algebra matrix product", "http request server", "server http response"]
    vectors = embed(texts, 8)
    similarity = vectors @ vectors.T
    assert similarity[0, 1] > similarity[0, 2]
    assert similarity[2, 3] > similarity[1, 3]
