"""What is mapped: built-in texts and their vectors, or a file of one's own."""

import json
import platform
import sysconfig
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vis_assets.errors import InvalidJob, NoPoints
from vis_assets.operations.bench.source_chunks import draw_chunks, installed_sources
from vis_assets.operations.bench.text_vectors import fit_text_model, write_vectors
from vis_assets.operations.demo_corpus import cache_key, demo_corpus

DOCSTRINGS_UP_TO = 10_000
"""Larger maps are made of source chunks: there are not many more docstrings."""
DEFAULT_POINTS = 10_000
DEFAULT_DIMENSION = 384
SPARE = 1.005
"""Texts drawn for each vector wanted: a few hold no word of the vocabulary."""
MATRIX_AXES = 2
VERSION = 1
"""Part of the cache key: raise it when the texts or vectors change for the same packages."""


@dataclass(frozen=True)
class BenchData:
    """Points to map.

    Attributes:
        vectors: `.npy` file, (rows, dim) float32.
        texts: `.jsonl` file of `{"text": ...}` lines, one a row; None where there is none.
        points: how many rows are mapped, from the first on.
        dim: length of a vector.
        about: what the texts are, for a person.
    """

    vectors: Path
    texts: Path | None
    points: int
    dim: int
    about: str


def own_data(path: Path, points: int | None) -> BenchData:
    """Take a file of one's own, and the `.jsonl` of the same name beside it if there is one.

    Args:
        path: an `.npy` file of shape (n, d).
        points: map only so many rows; None for all.

    Raises:
        InvalidJob: the file holds no float32 matrix, or has not so many rows.
    """
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError) as error:
        raise InvalidJob(f"{path} cannot be read as .npy: {error}") from error
    if matrix.ndim != MATRIX_AXES or matrix.dtype != np.float32:
        raise InvalidJob(f"{path} holds {matrix.dtype} of shape {matrix.shape}; bench needs a float32 matrix")
    rows, dim = matrix.shape
    if rows < (points or 1):
        raise InvalidJob(f"{path} has {rows} rows; --points {points} is more than that")
    beside = path.with_suffix(".jsonl")
    return BenchData(path, beside if beside.exists() else None, points or rows, dim, path.name)


def built_in_data(points: int, dimension: int, folder: Path, say: Callable[[str], None]) -> BenchData:
    """Make the built-in data, or take them from the folder where they were made for these packages before.

    Up to 10,000 points are docstrings of the installed packages, as in the demo; more are chunks of the installed
    packages' and the standard library's sources. Vectors are TF-IDF reduced by truncated SVD.

    Args:
        points: how many.
        dimension: of the vectors.
        folder: the cache; made if missing.
        say: told what takes long.

    Raises:
        NoPoints: the installed packages have fewer texts.
    """
    is_small = points <= DOCSTRINGS_UP_TO
    about = "docstrings of the installed packages" if is_small else "chunks of the installed packages' sources"
    site = Path(sysconfig.get_paths()["purelib"])
    key = cache_key(site, VERSION, platform.python_version(), points, dimension)
    vectors = folder / f"text_{points}x{dimension}_{key}.npy"
    data = BenchData(vectors, vectors.with_suffix(".jsonl"), points, dimension, about)
    if not vectors.exists():  # written last, so it stands for both files
        folder.mkdir(parents=True, exist_ok=True)
        say(f"making {points:,} x {dimension} of {about}; later runs find them in {folder}")
        made = _docstrings(data, folder) if is_small else _chunks(data)
        if made < points:
            raise NoPoints(f"there are only {made:,} {about} to make points of; ask for fewer, or bring your own file")
    return data


def read_texts(data_file: Path, points: int, longest: int) -> list[str]:
    """Read the first texts of a `.jsonl` file, each cut to so many characters."""
    with data_file.open(encoding="utf-8") as file:
        return [str(json.loads(line).get("text", ""))[:longest] for line, _ in zip(file, range(points), strict=False)]


def _docstrings(data: BenchData, folder: Path) -> int:
    corpus = demo_corpus(data.points, folder / "docstrings", data.dim)
    if corpus.count == data.points:
        partial = data.vectors.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, corpus.vectors)
        _finish(data, partial, corpus.table["text"].to_pylist())
    return corpus.count


def _chunks(data: BenchData) -> int:
    texts = draw_chunks(installed_sources(), int(data.points * SPARE) + 100)
    partial = data.vectors.with_suffix(".partial")
    rows = write_vectors(texts, data.points, fit_text_model(texts, data.dim), partial)
    if len(rows) == data.points:
        _finish(data, partial, (texts[row] for row in rows))
    return len(rows)


def _finish(data: BenchData, partial: Path, texts: Iterable[str]) -> None:
    with data.vectors.with_suffix(".jsonl").open("w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    partial.replace(data.vectors)
