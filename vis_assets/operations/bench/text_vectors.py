"""Vectors of many texts, written to disk batch by batch: TF-IDF, reduced by a truncated SVD that a sample decides."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

SAMPLE_TEXTS = 60_000
TEXTS_AT_ONCE = 20_000
VOCABULARY = 50_000
SEED = 20240229
_WORD = r"[A-Z]?[a-z]{2,}|[A-Z]{3,}"  # parts of identifiers are words: find_neighbors, findNeighbors


@dataclass(frozen=True)
class TextModel:
    """TF-IDF weights and the directions that they are reduced to.

    Attributes:
        weigh: a fitted scikit-learn vectorizer.
        directions: (vocabulary, d) float32, orthonormal columns.
    """

    weigh: Any
    directions: npt.NDArray[np.float32]

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Return (n, d) float32, rows of length 1; all zeros where no word is in the vocabulary."""
        weights: csr_matrix = self.weigh.transform(texts)
        vectors = np.asarray(weights @ self.directions, dtype=np.float32)
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        np.divide(vectors, lengths, out=vectors, where=lengths > 0)
        return vectors


def fit_text_model(texts: Sequence[str], dimension: int) -> TextModel:
    """Fit latent semantic analysis (Deerwester et al. 1990) to a sample of texts. The same texts give the same model.

    Args:
        texts: those that decide; the first 60,000 are read.
        dimension: of the vectors; columns beyond the rank of few texts are 0.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    sample = texts[:SAMPLE_TEXTS]
    vectorizer = TfidfVectorizer(
        sublinear_tf=True,
        min_df=2,
        max_df=0.2,
        max_features=VOCABULARY,
        token_pattern=_WORD,
        dtype=np.float32,
    )
    weights = vectorizer.fit_transform(sample)
    rank = min(dimension, min(weights.shape) - 1)
    reduction = TruncatedSVD(rank, n_iter=2, random_state=SEED).fit(weights)
    directions = np.zeros((weights.shape[1], dimension), dtype=np.float32)
    directions[:, :rank] = reduction.components_.T
    return TextModel(vectorizer, directions)


def write_vectors(texts: Sequence[str], wanted: int, model: TextModel, target: Path) -> list[int]:
    """Write the vectors of the first texts that have one to an `.npy` file, a batch in memory at a time.

    Args:
        texts: a few more than wanted, for some may hold no known word.
        wanted: how many rows; fewer where the texts do not suffice.
        model: what embeds them.
        target: (n, d) float32 is written here.

    Returns:
        Which text each row is of.
    """
    rows: list[int] = []
    header_bytes = _header(wanted, model)
    with target.open("wb") as file:
        file.write(header_bytes)
        for known, vectors in _embedded(texts, model):
            kept = min(len(known), wanted - len(rows))
            rows += known[:kept]
            file.write(vectors[:kept].tobytes())
            if len(rows) == wanted:
                break
        if len(rows) < wanted:
            file.seek(0)
            file.write(_header(len(rows), model))
    return rows


def _embedded(texts: Sequence[str], model: TextModel) -> Iterator[tuple[list[int], npt.NDArray[np.float32]]]:
    for start in range(0, len(texts), TEXTS_AT_ONCE):
        vectors = model.embed(texts[start : start + TEXTS_AT_ONCE])
        known = np.flatnonzero(vectors.any(axis=1))
        yield (known + start).tolist(), vectors[known]


def _header(rows: int, model: TextModel) -> bytes:
    """Return the header of an `.npy` file, of the same length for every number of rows."""
    buffer = io.BytesIO()
    shape = (rows, model.directions.shape[1])
    np.lib.format.write_array_header_1_0(buffer, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return buffer.getvalue()
