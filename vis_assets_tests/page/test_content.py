"""MapContent."""

import numpy as np
import pytest

from vis_assets.errors import ComputeFailed, NoPoints, PointsMismatch
from vis_assets_tests.page.maps import make


def test_sizes_and_centers_leave_noise_out() -> None:
    """Cluster sizes and centres count members only."""
    content = make([[0, 0], [2, 2], [9, 9], [5, 5]], [0, 0, -1, 2], ["A", "B", "C"])
    assert content.cluster_sizes.tolist() == [2, 0, 1]
    assert content.cluster_centers.tolist() == [[1, 1], [0, 0], [5, 5]]


def test_no_points_is_refused() -> None:
    """A map without points cannot be made."""
    with pytest.raises(NoPoints):
        make(np.zeros((0, 2)), [], [])


@pytest.mark.parametrize(
    ("labels", "names", "texts"),
    [([0], ["A"], ["", ""]), ([0, 1], ["A"], ["", ""]), ([0, 0], ["A"], [""])],
)
def test_fields_of_different_points_are_refused(labels: list[int], names: list[str], texts: list[str]) -> None:
    """Fields that speak of different points are refused with what to do."""
    with pytest.raises(PointsMismatch, match="materialize"):
        make([[0, 0], [1, 1]], labels, names, texts)


def test_coordinates_that_are_no_numbers_are_refused() -> None:
    """NaN coordinates are refused."""
    with pytest.raises(ComputeFailed, match="not finite"):
        make([[0, float("nan")]], [0], ["A"])
