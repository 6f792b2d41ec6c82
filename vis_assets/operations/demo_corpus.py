"""The demo's collection: docstrings of the installed Python packages, embedded without any model to download."""

import ast
import hashlib
import json
import random
import re
import sysconfig
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from vis_assets.errors import NoPoints
from vis_assets.sources.points import POINTS_SCHEMA, PointSet

DEFAULT_POINTS = 10_000
DEFAULT_DIMENSION = 128
SHORTEST_DOCSTRING = 80
LONGEST_TEXT = 1500
FEWEST_DOCSTRINGS = 3
FEW_TEXTS = 100
LARGEST_FILE_BYTES = 1_000_000
CANDIDATES_PER_POINT = 1.5
SEED = 20240229
VERSION = 2
"""Part of the cache key: raise it when the texts or vectors change for the same packages."""

_SKIPPED_FOLDERS = frozenset(
    {"tests", "test", "testing", "_vendor", "vendor", "vendored", "node_modules", "__pycache__"}
)
_DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Documented:
    """One docstring and where it stands.

    Attributes:
        package: top-level package, e.g. "numpy".
        module: dotted name, e.g. "numpy.linalg".
        kind: "module", "class" or "function".
        name: qualified name, e.g. "numpy.linalg.norm".
        docstring: cleaned, on one or more lines.
    """

    package: str
    module: str
    kind: str
    name: str
    docstring: str


def demo_corpus(points: int, folder: Path, dimension: int = DEFAULT_DIMENSION) -> PointSet:
    """Build the corpus, or load it if the folder has it for these packages.

    Texts are the qualified name and the docstring; vectors are TF-IDF reduced by truncated SVD (latent semantic
    analysis; Deerwester et al. 1990). The same packages give the same corpus.

    Args:
        points: how many; fewer if there are not so many docstrings, which a note then says.
        folder: the cache; made if missing.
        dimension: of the vectors.

    Returns:
        Vectors (n, dimension) float32 of length 1, read-only memory map; rows in an order mixed over the packages.

    Raises:
        NoPoints: fewer docstrings than three.
    """
    site = Path(sysconfig.get_paths()["purelib"])
    cache = folder / f"demo-{cache_key(site, VERSION, points, dimension)}"
    vectors_file, table_file = cache / "vectors.npy", cache / "points.parquet"
    # The table is written last, so it stands for a complete corpus.
    if not table_file.exists():
        cache.mkdir(parents=True, exist_ok=True)
        documented = sample_docstrings(site, points)
        if len(documented) < FEWEST_DOCSTRINGS:
            raise NoPoints(f"the packages under {site} have {len(documented)} docstrings; install some for the demo")
        np.save(vectors_file, embed([_text(item) for item in documented], dimension))
        partial_file = table_file.with_suffix(".partial")
        pq.write_table(_table(documented), partial_file)
        partial_file.replace(table_file)
    table = pq.read_table(table_file)
    fewer = f"the installed packages have only {table.num_rows} usable docstrings, {points} were asked for"
    return PointSet(
        vectors=np.load(vectors_file, mmap_mode="r"),
        table=table,
        text_field="text",
        notes=(fewer,) if table.num_rows < points else (),
    )


def sample_docstrings(site: Path, points: int) -> list[Documented]:
    """Collect docstrings of the packages in a folder, as evenly over packages and their files as there are enough.

    Files are read in rounds, one of each package, until there is half as many again as asked for; then docstrings are
    drawn in rounds too, one of each package. The same files give the same list.
    """
    by_package: dict[str, list[Documented]] = {}
    seen: set[str] = set()
    wanted, found = int(points * CANDIDATES_PER_POINT), 0
    for path in _files_in_rounds(site):
        if found >= wanted:
            break
        for item in read_docstrings(path, site):
            fingerprint = re.sub(r"\W+", " ", item.docstring).lower()
            if fingerprint not in seen:
                seen.add(fingerprint)
                by_package.setdefault(item.package, []).append(item)
                found += 1
    generator = random.Random(SEED)  # noqa: S311 - a repeatable sample, no secret
    queues = [generator.sample(by_package[package], len(by_package[package])) for package in sorted(by_package)]
    drawn = [item for one_of_each in zip_longest(*queues) for item in one_of_each if item is not None]
    return drawn[:points]


def read_docstrings(path: Path, site: Path) -> Iterator[Documented]:
    """Yield the docstrings of one file that are long enough; a file that is no Python of this version has none."""
    try:
        with warnings.catch_warnings():
            # Other people's invalid escape sequences.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(path.read_text(encoding="utf-8"))
    except (SyntaxError, ValueError, RecursionError, OSError):
        return
    parts = path.relative_to(site).with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    for node, name in _documented_nodes(tree, module):
        docstring = (ast.get_docstring(node) or "").strip()
        if len(docstring) >= SHORTEST_DOCSTRING:
            yield Documented(parts[0], module, _kind(node), name, docstring)


def embed(texts: list[str], dimension: int) -> npt.NDArray[np.float32]:
    """Embed texts by TF-IDF and truncated SVD.

    Returns:
        (n, dimension) float32, rows of length 1; columns beyond the rank of few texts are 0.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.preprocessing import normalize

    few = len(texts) <= FEW_TEXTS
    weights = TfidfVectorizer(
        sublinear_tf=True,
        min_df=1 if few else 2,
        max_df=1.0 if few else 0.5,
        max_features=50_000,
        stop_words="english",
        token_pattern=r"(?u)\b[a-zA-Z]{3,}\b",  # noqa: S106 - a pattern of words, no password
        dtype=np.float32,
    ).fit_transform(texts)
    rank = min(dimension, min(weights.shape) - 1)
    reduced = TruncatedSVD(rank, random_state=SEED).fit_transform(weights)
    vectors = np.zeros((len(texts), dimension), dtype=np.float32)
    vectors[:, :rank] = normalize(reduced)
    return vectors


def cache_key(site: Path, *facts: str | int) -> str:
    """Return a name for what was made of the packages in a folder, another one when any of them or a fact changes."""
    # A distribution's folder name holds its version, e.g. numpy-2.4.6.dist-info.
    installed = sorted(path.name for path in site.glob("*.dist-info"))
    return hashlib.sha256(json.dumps([str(site), *facts, installed]).encode()).hexdigest()[:16]


def _files_in_rounds(site: Path) -> Iterator[Path]:
    generator = random.Random(SEED)  # noqa: S311 - a repeatable sample, no secret
    queues = []
    for package in sorted(path for path in site.iterdir() if (path / "__init__.py").is_file()):
        files = sorted(path for path in package.rglob("*.py") if _is_read(path, site))
        queues.append(generator.sample(files, len(files)))
    yield from (path for one_of_each in zip_longest(*queues) for path in one_of_each if path is not None)


def _is_read(path: Path, site: Path) -> bool:
    folders = path.relative_to(site).parts[:-1]
    return _SKIPPED_FOLDERS.isdisjoint(folders) and path.stat().st_size <= LARGEST_FILE_BYTES


def _documented_nodes(tree: ast.Module, module: str) -> Iterator[tuple[_DOCUMENTED, str]]:
    waiting: list[tuple[_DOCUMENTED, str]] = [(tree, module)]
    while waiting:
        node, name = waiting.pop()
        yield node, name
        waiting.extend(
            (child, f"{name}.{child.name}")
            for child in reversed(node.body)
            if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        )


def _kind(node: _DOCUMENTED) -> str:
    if isinstance(node, ast.Module):
        return "module"
    return "class" if isinstance(node, ast.ClassDef) else "function"


def _text(item: Documented) -> str:
    return f"{item.name}\n{item.docstring}"[:LONGEST_TEXT].encode("utf-8", "replace").decode()


def _payload(item: Documented) -> dict[str, str | int]:
    words = len(item.docstring.split())
    return {"package": item.package, "module": item.module, "kind": item.kind, "name": item.name, "words": words}


def _table(documented: list[Documented]) -> pa.Table:
    payloads = [json.dumps(_payload(item)) for item in documented]
    columns = [[str(row) for row in range(len(documented))], [_text(item) for item in documented], payloads]
    return pa.table([pa.array(column, pa.string()) for column in columns], schema=POINTS_SCHEMA)
