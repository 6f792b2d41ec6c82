"""What becomes a reference to a file, and what is written for it."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from vis_assets.mapping.neighbors.space import Space
from vis_assets.resources.compute.filing import ArrayReference, Filing, unfile
from vis_assets.resources.compute.shelves import FolderShelf, Reader


@pytest.fixture
def shelf(tmp_path):
    """A folder of its own."""
    return FolderShelf(tmp_path / "shelf")


@pytest.fixture
def vectors(tmp_path):
    """A read-only memory map."""
    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32))
    return np.load(tmp_path / "vectors.npy", mmap_mode="r")


def written(tmp_path: Path):
    """Sizes of the arrays on the shelf."""
    return [file.stat().st_size for file in (tmp_path / "shelf").glob("*.npy")]


def test_views_of_a_memory_map_are_its_file(tmp_path, shelf, vectors):
    """A view of another class, or of another kind of number, or its rows, are found in the file and copied nowhere."""
    plain = vectors.view(np.ndarray)
    for view in (plain, plain[3:9], vectors[3:].view(np.ndarray)[1:], plain.view(np.int32), plain[7]):
        reference = Filing(shelf).file(view)
        assert reference.place.name == str(tmp_path / "vectors.npy")
        assert np.array_equal(unfile(reference, Reader(tmp_path)), view)
    assert written(tmp_path) == []


@pytest.mark.parametrize("by_angle", [True, False])
def test_a_space_over_a_memory_map_is_not_copied(tmp_path, shelf, vectors, by_angle):
    """What the search for neighbours hands to workers holds the file of the vectors."""
    space = Space.of(vectors, by_angle=by_angle)
    there = unfile(Filing(shelf).file(space), Reader(tmp_path))
    assert np.array_equal(there.vectors, vectors)
    assert np.array_equal(there.scales, space.scales)
    assert all(size < vectors.nbytes for size in written(tmp_path))


def test_a_map_whose_changes_nobody_else_sees_is_copied(tmp_path, shelf, vectors):
    """The file of a map that was written to holds other numbers, also for a view that is read-only."""
    changed = np.load(tmp_path / "vectors.npy", mmap_mode="c")
    changed[:] = 1
    view = changed.view(np.ndarray)
    view.flags.writeable = False
    assert np.array_equal(unfile(Filing(shelf).file(view), Reader(tmp_path)), np.ones((500, 8)))
    assert len(written(tmp_path)) == 1


def test_what_is_computed_from_a_map_is_no_part_of_its_file(tmp_path, shelf, vectors):
    """Numpy gives results the class of what they were made of."""
    reference = Filing(shelf).file(vectors + 1)
    assert isinstance(reference, ArrayReference)
    assert reference.place.name != str(tmp_path / "vectors.npy")


@pytest.mark.parametrize("texts", [[""] * 600_000, ["a"] * 600_000, ["", *["long"] * 5_000]])
def test_many_short_texts_are_filed(tmp_path, shelf, texts):
    """Texts without a character are many too."""
    reference = Filing(shelf).file(texts)
    assert len(pickle.dumps(reference)) < 1_000
    assert unfile(reference, Reader(tmp_path)) == texts
