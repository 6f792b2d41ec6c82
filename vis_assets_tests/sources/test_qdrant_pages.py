"""Pages of a collection, taken apart."""

import numpy as np
import pytest
from qdrant_client import grpc

from vis_assets.sources.qdrant_pages import (
    FIRST_PAGE,
    LARGEST_PAGE,
    SMALLEST_PAGE,
    Page,
    Selection,
    dense_vector,
    page_limit,
)

DENSE = grpc.VectorOutput(dense=grpc.DenseVector(data=[1.5, -2.0, 0.25]))
DEPRECATED = grpc.VectorOutput(data=[1.5, -2.0, 0.25])


@pytest.mark.parametrize("output", [DENSE, DEPRECATED], ids=["dense", "deprecated"])
def test_dense_vectors_of_new_and_old_servers(output: grpc.VectorOutput) -> None:
    """Unnamed and named vectors are read from the new and from the deprecated field."""
    unnamed = grpc.VectorsOutput(vector=output)
    named = grpc.VectorsOutput(vectors=grpc.NamedVectorsOutput(vectors={"a": output}))
    for vectors, name in ((unnamed, ""), (named, "a")):
        vector = dense_vector(vectors, name)
        assert vector is not None
        assert vector.dtype == np.float32
        assert vector.tolist() == [1.5, -2.0, 0.25]


def test_point_without_the_vector() -> None:
    """Neither another name nor an empty message is a vector."""
    assert dense_vector(grpc.VectorsOutput(), "") is None
    assert dense_vector(grpc.VectorsOutput(vectors=grpc.NamedVectorsOutput(vectors={"a": DENSE})), "b") is None
    assert dense_vector(grpc.VectorsOutput(vector=grpc.VectorOutput()), "") is None


@pytest.mark.parametrize(
    ("dimension", "text", "limit"), [(2, "", LARGEST_PAGE), (384, "x" * 1000, 1613), (384, "x" * 10**6, SMALLEST_PAGE)]
)
def test_pages_are_of_some_megabytes(dimension: int, text: str, limit: int) -> None:
    """The next page is sized by what the points of the last one weigh."""
    selection = Selection("c", "", dimension, None)
    page = Page(["1"], np.zeros((1, dimension), np.float32), [{"text": text}], 0, 2)
    assert page_limit(page, selection) == limit
    assert page_limit(None, selection) == FIRST_PAGE
