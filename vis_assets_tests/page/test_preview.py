"""The small picture of a map."""

import io

import numpy as np
import pytest
from PIL import Image

from vis_assets.page.preview import MAX_BYTES, draw_preview
from vis_assets.protocol.visualization_config import VisualizationConfig
from vis_assets_tests.page.maps import blobs, degenerate_maps


def _pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGB"))


@pytest.mark.parametrize("name", degenerate_maps())
def test_every_map_has_a_preview(name: str) -> None:
    """Maps at the edge of what can be drawn have a picture with something in it."""
    pixels = _pixels(draw_preview(degenerate_maps()[name]))
    assert pixels.shape == (360, 480, 3)
    assert (pixels != 255).any()


@pytest.mark.parametrize("n", [300, 1_000_000])
def test_preview_is_small(n: int) -> None:
    """Large and small maps fit 60 kB."""
    assert len(draw_preview(blobs(n, 20))) <= MAX_BYTES


def test_preview_size_can_be_chosen() -> None:
    """The picture has the size that was asked for."""
    assert _pixels(draw_preview(blobs(), size_px=(200, 100))).shape == (100, 200, 3)


def test_dark_mode_is_dark() -> None:
    """With darkmode the ground is black."""
    assert _pixels(draw_preview(blobs(), VisualizationConfig(darkmode=True)))[0, 0].tolist() == [0, 0, 0]


def test_noise_is_drawn_in_its_color() -> None:
    """A map of noise shows the noise colour and grey nowhere else."""
    pixels = _pixels(draw_preview(degenerate_maps()["all noise"], VisualizationConfig(noise_color="#ff0000")))
    assert (pixels == [255, 0, 0]).all(axis=2).any()


def test_labels_are_written() -> None:
    """Plain label text puts black ink on the picture."""
    pixels = _pixels(draw_preview(blobs(), VisualizationConfig(color_label_text=False)))
    assert (pixels.max(axis=2) < 60).sum() > 100


def test_equal_maps_make_equal_pictures() -> None:
    """Drawing twice gives the same bytes."""
    assert draw_preview(blobs()) == draw_preview(blobs())
