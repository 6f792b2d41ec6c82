"""The small picture of a map."""

import io

import numpy as np
import pytest
from PIL import Image

from vis_assets.page.palette import palette_of
from vis_assets.page.preview import MAX_BYTES, MAX_THUMBNAIL_BYTES, draw_preview, draw_thumbnail
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


@pytest.mark.parametrize("darkmode", [False, True])
def test_thumbnail_is_larger_and_small_enough(darkmode: bool) -> None:
    """The picture beside a page has 960 x 720 pixels and at most 200 kB, the same bytes each time."""
    config = VisualizationConfig(darkmode=darkmode)
    thumbnail = draw_thumbnail(blobs(100_000, 60), config)
    assert _pixels(thumbnail).shape == (720, 960, 3)
    assert len(thumbnail) <= MAX_THUMBNAIL_BYTES
    assert thumbnail == draw_thumbnail(blobs(100_000, 60), config)


def test_a_picture_always_fits() -> None:
    """Where fewer colours are not enough, the picture gets fewer pixels."""
    picture = draw_preview(blobs(20_000, 40), max_bytes=3_000)
    assert len(picture) <= 3_000
    assert _pixels(picture).shape[1] < 480


def test_colors_of_the_job_are_kept() -> None:
    """The ground has the colour that was asked for, and another palette gives another picture."""
    ground = VisualizationConfig(background_color="#102030")
    assert _pixels(draw_preview(blobs(), ground))[0, 0].tolist() == [0x10, 0x20, 0x30]
    assert draw_preview(blobs(), VisualizationConfig(cvd_safer=True)) != draw_preview(blobs())
    safe = palette_of(VisualizationConfig(cvd_safer=True))
    assert (safe.cvd_safe, safe.theta_range) == (True, VisualizationConfig().palette_theta_range)
