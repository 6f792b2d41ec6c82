"""Sketches tell how many documents two clusters share, and which clusters are the same."""

import numpy as np
import pytest

from vis_assets.naming.sketch import SKETCH_SIZE, Sketch, hash_documents, sketch_clusters


def sketch_of(texts: list[str]) -> Sketch:
    (sketch,) = sketch_clusters(hash_documents(texts), np.zeros(len(texts), dtype=np.int32))
    assert sketch is not None
    return sketch


def documents(first: int, last: int) -> list[str]:
    return [f"document {i}" for i in range(first, last)]


def test_order_and_repetition_do_not_count() -> None:
    """A cluster is a set of documents: their order and how often each occurs change nothing."""
    one, other = sketch_of(documents(0, 900)), sketch_of([*documents(0, 900)[::-1], *documents(0, 50)])
    assert one.content == other.content
    assert one.similarity(other) == 1.0
    assert sketch_of(documents(0, 899)).content != one.content


@pytest.mark.parametrize("size", [10, SKETCH_SIZE - 1])
@pytest.mark.parametrize("shared", [0.0, 0.3, 0.8, 1.0])
def test_small_clusters_are_compared_exactly(size: int, shared: float) -> None:
    """Of clusters that fit into a sketch the similarity is the Jaccard index itself."""
    common = int(size * shared)
    one, other = documents(0, size), documents(size - common, 2 * size - common)
    expected = common / (2 * size - common)
    assert sketch_of(one).similarity(sketch_of(other)) == pytest.approx(expected)


@pytest.mark.parametrize("expected", [0.1, 0.5, 0.8, 0.95])
def test_large_clusters_are_estimated(expected: float) -> None:
    """Of large clusters the similarity is near the Jaccard index, also of a small one with a large one."""
    size = 20_000
    common = int(2 * size * expected / (1 + expected))
    one, other = documents(0, size), documents(size - common, 2 * size - common)
    assert sketch_of(one).similarity(sketch_of(other)) == pytest.approx(expected, abs=0.1)
    part = documents(0, int(size * expected))
    assert sketch_of(one).similarity(sketch_of(part)) == pytest.approx(expected, abs=0.1)
    assert sketch_of(part).similarity(sketch_of(one)) == sketch_of(one).similarity(sketch_of(part))


def test_noise_and_empty_texts_are_in_no_sketch() -> None:
    """Points in no cluster and points without a text count for nothing; a cluster without texts has no sketch."""
    labels = np.array([0, 0, -1, 1, 1, 2], dtype=np.int32)
    sketches = sketch_clusters(hash_documents(["a", "", "b", "", "", "c"]), labels)
    assert sketches[1] is None
    alone = [sketch_of(["a"]), None, sketch_of(["c"])]
    assert [one and one.content for one in sketches] == [one and one.content for one in alone]
    assert sketch_clusters(hash_documents([]), np.zeros(0, dtype=np.int32)) == []
    assert sketch_clusters(hash_documents(["a"]), np.array([-1], dtype=np.int32)) == []


def test_half_characters_can_be_hashed() -> None:
    """A text with a lone surrogate, which some databases hold, has a hash too."""
    first, second = hash_documents(["\ud800", "\ud801"])
    assert first != second != 0
