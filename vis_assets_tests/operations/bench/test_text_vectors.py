"""Vectors of texts on disk."""

from pathlib import Path

import numpy as np
import pytest

from vis_assets.operations.bench import text_vectors
from vis_assets.operations.bench.text_vectors import fit_text_model, write_vectors

THEMES = (
    "violin sonata orchestra concert melody",
    "bread flour oven yeast dough",
    "glacier summit rope climber snow",
    "harbour sail anchor captain wave",
    "lawyer court judge appeal verdict",
    "telescope comet orbit planet nebula",
)


@pytest.fixture
def texts() -> list[str]:
    """90 texts on 6 themes, each with words of its theme in another order, and two without a known word."""
    random = np.random.default_rng(4)
    made = [" ".join(random.permutation(THEMES[i % 6].split())[:4]) for i in range(90)]
    made[5] = "1 2 3"
    made[10] = "zzyzx"
    return made


def test_vectors_of_one_theme_are_near(texts: list[str]) -> None:
    """Texts on one theme are nearer to each other than to those on another; rows have length 1."""
    vectors = fit_text_model(texts, 8).embed([texts[0], texts[6], texts[1]])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)
    assert vectors[0] @ vectors[1] > 0.5 > vectors[0] @ vectors[2]


def test_rows_on_disk_are_those_of_the_texts(texts: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches end up as one file; texts without a known word are skipped, and their places are told."""
    monkeypatch.setattr(text_vectors, "TEXTS_AT_ONCE", 7)
    model = fit_text_model(texts, 8)
    rows = write_vectors(texts, 40, model, tmp_path / "v.npy")
    assert len(rows) == 40
    assert {5, 10}.isdisjoint(rows)
    assert np.load(tmp_path / "v.npy") == pytest.approx(model.embed([texts[row] for row in rows]), abs=1e-5)


def test_too_few_texts_make_a_shorter_file(texts: list[str], tmp_path: Path) -> None:
    """Where the texts do not suffice, the file holds those that there are and says so in its header."""
    rows = write_vectors(texts, 1_000_000, fit_text_model(texts, 8), tmp_path / "v.npy")
    assert len(rows) == 88
    assert np.load(tmp_path / "v.npy", mmap_mode="r").shape == (88, 8)
