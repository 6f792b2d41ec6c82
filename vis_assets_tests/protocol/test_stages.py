"""Stages and their share of the whole."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vis_assets.protocol.stages import Stage

RANGES = {
    "starting": (0, 0),
    "fetching_vectors": (5, 20),
    "applying_umap": (25, 50),
    "clustering": (55, 70),
    "naming_clusters": (72, 85),
    "generating_html": (88, 100),
}
"""The table of document 000."""


def test_stages_and_ranges_are_those_of_the_specification() -> None:
    """The stages come in the order of 000 with exactly its percent ranges."""
    assert [(stage.wire_name, (stage.first_percent, stage.last_percent)) for stage in Stage] == list(RANGES.items())


def test_stages_follow_one_another() -> None:
    """No stage begins before the one before it has ended."""
    assert all(before.last_percent < after.first_percent for before, after in pairwise(Stage))


@pytest.mark.parametrize("stage", Stage)
def test_a_stage_reaches_both_ends(stage: Stage) -> None:
    """Nothing done is the first percent, all done the last, and so is a stage without units."""
    assert stage.percent(0, 7) == stage.first_percent
    assert stage.percent(7, 7) == stage.percent(0, 0) == stage.last_percent


@given(st.sampled_from(Stage), st.integers(-5, 50), st.integers(-5, 50), st.integers(0, 40))
def test_percent_stays_in_range_and_never_falls(stage: Stage, done: int, more: int, total: int) -> None:
    """Percent grows with what is done and never leaves the stage's range."""
    low, high = sorted((done, more))
    assert stage.first_percent <= stage.percent(low, total) <= stage.percent(high, total) <= stage.last_percent
