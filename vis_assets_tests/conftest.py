"""How the tests are spread over two processes."""

import pytest

TOGETHER = {"cli": "integration"}
"""Folders whose tests share the servers of another folder."""


@pytest.hookimpl(tryfirst=True)  # xdist reads the groups in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests of a folder in one process: they share servers, or code that takes half a minute to compile."""
    for item in items:
        parts = item.nodeid.split("/")
        folder = parts[1] if len(parts) > 2 else "top"
        item.add_marker(pytest.mark.xdist_group(TOGETHER.get(folder, folder)))
