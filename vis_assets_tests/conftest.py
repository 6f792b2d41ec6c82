"""How the tests are spread over processes: file by file, but all that share the one running stack stay together."""

from typing import Any

import pytest
from xdist.scheduler import LoadFileScheduling

LIVE = ("vis_assets_tests/cli/", "vis_assets_tests/integration/")
"""Folders whose tests use the one running stack, and look at what all its jobs left behind."""


class LiveTogether(LoadFileScheduling):
    """The tests of a file, and of all files that use the running stack, run in one process, in order."""

    def _split_scope(self, nodeid: str) -> str:
        return "live" if nodeid.startswith(LIVE) else super()._split_scope(nodeid)  # type: ignore[no-any-return]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LiveTogether:
    """Spread the tests as the class above says."""
    return LiveTogether(config, log)
