import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.manifold import trustworthiness as reference
from sklearn.neighbors import NearestNeighbors

from vis_assets.errors import PointsMismatch
from vis_assets.mapping import quality
from vis_assets.mapping.quality import measure_quality, rank_neighbors, sample_rows, without_self


@pytest.fixture(scope="module")
def blobs():
    vectors, _ = make_blobs(600, 20, centers=8, random_state=3)
    return vectors, np.ascontiguousarray(vectors[:, :2] + vectors[:, 5:7], dtype=np.float32)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_trustworthiness_is_what_scikit_learn_says(blobs, metric):
    """The whole map, asked row by row, gives the figure of the definition's other implementation."""
    vectors, coordinates = blobs
    expected = reference(vectors, coordinates.astype(np.float64), n_neighbors=15, metric=metric)
    measured = measure_quality(vectors, coordinates, metric=metric)
    assert measured.trustworthiness == pytest.approx(expected, abs=1e-9)
    assert measured.sampled_rows == 600


def test_preservation_is_the_overlap_of_both_neighbourhoods(blobs):
    """Neighbour preservation is the mean overlap of the 15 nearest here and there."""
    vectors, coordinates = blobs
    near, on_map = (
        NearestNeighbors(n_neighbors=16).fit(points).kneighbors(points, return_distance=False)[:, 1:]
        for points in (vectors, coordinates)
    )
    overlap = np.mean([len(set(a) & set(b)) / 15 for a, b in zip(near, on_map, strict=True)])
    measured = measure_quality(vectors, coordinates, metric="euclidean")
    assert measured.neighbor_preservation == pytest.approx(overlap)


def test_recall_of_a_graph_counts_wrong_and_missing_neighbours(blobs):
    """A graph of exact neighbours has recall 1; one whose last two of ten are far or missing has 0.8."""
    vectors, coordinates = blobs
    exact = NearestNeighbors(n_neighbors=10, metric="cosine").fit(vectors).kneighbors(return_distance=False)
    assert measure_quality(vectors, coordinates, graph=exact).knn_recall == 1.0
    worse = exact.copy()
    worse[:, 8] = -1
    farthest = NearestNeighbors(n_neighbors=600, metric="cosine").fit(vectors).kneighbors(vectors)[1][:, -1]
    worse[:, 9] = farthest
    assert measure_quality(vectors, coordinates, graph=worse).knn_recall == pytest.approx(0.8)


def test_the_point_itself_is_no_neighbour():
    """Its own id is dropped wherever it stands; a row that lacks it, as copies crowded it out, loses its last id."""
    ids = np.array([[0, 1, 2], [2, 1, 0], [0, 1, 3]])
    assert without_self(ids, np.arange(3)).tolist() == [[1, 2], [2, 0], [0, 1]]


def test_copies_of_a_vector_rank_alike():
    """Points that are equally near, but for rounding, all rank first, so that copies cost no quality."""
    vectors = np.repeat(np.random.default_rng(0).normal(size=(4, 30)), 20, axis=0).astype(np.float32)
    ranks = rank_neighbors(vectors, np.array([0, 1]), np.array([[19, 20], [0, 79]]))
    assert ranks[:, 0].tolist() == [1, 1]
    assert (ranks[:, 1] >= 20).all()


def test_ranks_do_not_depend_on_blocks(blobs, monkeypatch):
    """Memory is bounded by blocks, whose size changes nothing."""
    vectors, _ = blobs
    rows, candidates = np.array([3, 599]), np.array([[1, 2, 5], [0, 10, 20]])
    whole = rank_neighbors(vectors, rows, candidates)
    monkeypatch.setattr(quality, "_BLOCK_BYTES", 2_000)
    assert (rank_neighbors(vectors, rows, candidates) == whole).all()


def test_a_sample_is_near_the_whole(blobs):
    """A sample of rows estimates the figures of all rows, and the same seed draws the same rows."""
    vectors, coordinates = blobs
    whole = measure_quality(vectors, coordinates)
    sample = measure_quality(vectors, coordinates, most_rows=200)
    assert sample.sampled_rows == 200
    assert sample.trustworthiness == pytest.approx(whole.trustworthiness, abs=0.03)
    assert sample.neighbor_preservation == pytest.approx(whole.neighbor_preservation, abs=0.05)
    assert (sample_rows(600, 200, 1) == sample_rows(600, 200, 1)).all()


def test_vectors_of_no_length_have_ranks():
    """A zero vector, which has no direction, does not break the measure."""
    vectors = np.random.default_rng(1).normal(size=(64, 8)).astype(np.float32)
    vectors[5] = 0
    assert 0 <= measure_quality(vectors, vectors[:, :2]).trustworthiness <= 1


@pytest.mark.parametrize("points", [1, 30])
def test_too_few_points_are_refused(points):
    """Trustworthiness is not defined where the neighbours are half of the points."""
    with pytest.raises(PointsMismatch, match="too few"):
        measure_quality(np.ones((points, 3)), np.ones((points, 2), dtype=np.float32))


def test_rows_must_match(blobs):
    """Places of other points than the vectors are refused."""
    vectors, coordinates = blobs
    with pytest.raises(PointsMismatch, match="rows of the same points"):
        measure_quality(vectors, coordinates[:-1])
