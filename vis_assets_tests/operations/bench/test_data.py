"""What is mapped."""

from pathlib import Path

import numpy as np
import pytest

from vis_assets.errors import InvalidJob
from vis_assets.operations.bench.data import built_in_data, own_data, read_texts


def test_small_data_are_docstrings(tmp_path: Path) -> None:
    """Built-in data are unit vectors with a text each, and the second time they come from the folder."""
    said: list[str] = []
    data = built_in_data(200, 16, tmp_path, said.append)
    vectors = np.load(data.vectors)
    assert (vectors.shape, vectors.dtype) == ((200, 16), np.float32)
    assert np.linalg.norm(vectors, axis=1).max() == pytest.approx(1, abs=1e-5)
    assert data.texts is not None
    assert len(read_texts(data.texts, 200, 50)) == 200
    assert max(map(len, read_texts(data.texts, 200, 50))) == 50
    assert built_in_data(200, 16, tmp_path, said.append) == data
    assert len(said) == 1


def test_own_file(tmp_path: Path) -> None:
    """A file of one's own is taken whole or from its beginning, with or without texts beside it."""
    path = tmp_path / "own.npy"
    np.save(path, np.ones((30, 4), dtype=np.float32))
    assert (own_data(path, None).points, own_data(path, 20).points, own_data(path, None).texts) == (30, 20, None)
    (tmp_path / "own.jsonl").write_text('{"text": "a"}\n' * 30)
    assert own_data(path, None).texts == tmp_path / "own.jsonl"


def test_unusable_files(tmp_path: Path) -> None:
    """What is no float32 matrix, or too short, is refused with a reason."""
    path = tmp_path / "own.npy"
    path.write_bytes(b"no matrix")
    with pytest.raises(InvalidJob, match="cannot be read"):
        own_data(path, None)
    np.save(path, np.ones((30, 4)))
    with pytest.raises(InvalidJob, match="float32"):
        own_data(path, None)
    np.save(path, np.ones((30, 4), dtype=np.float32))
    with pytest.raises(InvalidJob, match="30 rows"):
        own_data(path, 31)
