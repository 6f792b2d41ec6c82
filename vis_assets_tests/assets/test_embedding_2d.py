"""When the search for neighbours is spread over several workers."""

import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest
from dagster import ResourceDefinition

from vis_assets.mapping import neighbors
from vis_assets.mapping.neighbors.search import explore_part, search_part
from vis_assets.resources.compute.contract import InProcess, Value
from vis_assets_tests.assets.graph import Graph, groups


class Several(InProcess):
    """Two workers, which do their calls here, and which functions they were given."""

    workers = 2

    def __init__(self, *, shares_cores: bool) -> None:
        """Be of this machine, or elsewhere."""
        self.shares_cores = shares_cores
        self.mapped: set[Callable[..., Any]] = set()

    def map(self, function: Callable[..., Value], calls: Iterable[Sequence[Any]]) -> list[Value]:
        """See Compute."""
        self.mapped.add(function)
        return super().map(function, calls)


@pytest.mark.parametrize(
    ("shares_cores", "config", "mapped"),
    [
        (False, {}, {search_part, explore_part}),
        (True, {}, set()),
        (False, {"metric": "manhattan"}, set()),
    ],
)
def test_only_workers_with_cores_of_their_own_search_together(
    graph: Graph,
    monkeypatch: pytest.MonkeyPatch,
    shares_cores: bool,
    config: dict[str, str],
    mapped: set[Callable[..., Any]],
) -> None:
    """The cluster of this machine searches on one worker; somebody else's on all, where our own search is used."""
    monkeypatch.setattr(sys.modules["vis_assets.assets.embedding_2d"], "SEARCHED_TOGETHER_FROM", 100)
    monkeypatch.setattr(neighbors, "EXACT_UP_TO", 100)
    compute = Several(shares_cores=shares_cores)
    graph.resources["compute"] = ResourceDefinition.hardcoded_resource(compute)
    graph.fill(groups(300, 300))
    graph.ask(**config)
    assert graph.run("visualization_job", "vectors", "embedding_2d").success
    assert compute.mapped == mapped
