"""The real graph over a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from dagster import DagsterInstance

from vis_assets_tests.assets.graph import Graph


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Graph]:
    """An installation with one map."""
    with DagsterInstance.ephemeral() as instance:
        yield Graph(tmp_path, instance)
