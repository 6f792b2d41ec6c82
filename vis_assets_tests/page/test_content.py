"""MapContent."""

from typing import Any

import numpy as np
import pytest

from vis_assets.errors import ComputeFailed, NoPoints, PointsMismatch
from vis_assets.page.content import ClusterLayer, MapContent, PhraseLists
from vis_assets.page.fields import PayloadField
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


def two_points(**more: Any) -> MapContent:
    return MapContent(np.zeros((2, 2), dtype=np.float32), np.array([0, -1], dtype=np.int32), ["A"], ["", ""], **more)


def layer(*labels: int, names: tuple[str, ...] = ("G",), **more: Any) -> ClusterLayer:
    return ClusterLayer(np.array(labels, dtype=np.int32), names, **more)


def test_layers_begin_with_the_finest() -> None:
    """The layers of a map are its own clusters and then the coarser ones."""
    content = two_points(coarser=(layer(0, 0), layer(-1, -1)), keyphrases=[["a"]])
    assert [list(one.names) for one in content.layers] == [["A"], ["G"], ["G"]]
    assert content.layers[0].keyphrases == [["a"]]
    assert two_points().layers[0].labels.tolist() == [0, -1]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"ids": ["a"]}, "2 points and 1 ids; materialize vectors"),
        (
            {"strengths": np.ones(3, dtype=np.float32)},
            "2 points and 3 membership strengths; materialize cluster_labels",
        ),
        ({"coarser": (layer(0, 0), layer(0))}, "2 points and 1 labels in layer 2; materialize cluster_labels"),
        (
            {"fields": (PayloadField("year", "number", np.zeros(1)),)},
            "2 points and 1 values of field 'year'; materialize vectors",
        ),
        ({"keyphrases": [["a"], ["b"]]}, "2 clusters of 1 have keyphrases; materialize cluster_names"),
    ],
)
def test_what_belongs_to_other_points_is_refused(more: dict[str, Any], message: str) -> None:
    """Parts of other lengths are refused with what they are and what to do."""
    with pytest.raises(PointsMismatch, match=message):
        two_points(**more)


@pytest.mark.parametrize(
    ("labels", "message"), [((1, 0), "cluster 1 has no name among 1"), ((-2, 0), "cluster -2 is below -1")]
)
def test_labels_have_names(labels: tuple[int, ...], message: str) -> None:
    """A label beyond the names or below noise is refused in any layer."""
    with pytest.raises(PointsMismatch, match=message):
        layer(*labels)


@pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
def test_strengths_lie_between_none_and_all(strength: float) -> None:
    """Strengths below 0, above 1 or without a value are refused."""
    with pytest.raises(ComputeFailed, match="not between 0 and 1"):
        two_points(strengths=np.array([1, strength], dtype=np.float32))


def test_phrases_are_lists_again() -> None:
    """Lists of texts come out as they were put in, by index, from the end, and in slices."""
    lists = [["a", "b"], [], ["c"]]
    phrases = PhraseLists.of(lists)
    assert list(phrases) == lists
    assert (len(phrases), phrases[-1], phrases[1:]) == (3, ["c"], [[], ["c"]])
    with pytest.raises(IndexError):
        phrases[3]
    assert list(PhraseLists.of([])) == []
