"""The one real stack that all integration tests share."""

from pathlib import Path

import pytest

from vis_assets_tests.integration.live import Live, live_stack, stop_unless_needed

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests speak to real servers, so they may open sockets; what looks at all that happened comes last."""
    ours = [item for item in items if item.path.is_relative_to(HERE)]
    for item in ours:
        item.add_marker(pytest.mark.enable_socket)
    if ours:
        first = items.index(ours[0])
        ours.sort(key=lambda item: item.path.name == "test_afterwards.py")
        items[first : first + len(ours)] = ours


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the stack after the last test that uses it."""
    stop_unless_needed(item.config, nextitem)


@pytest.fixture(scope="session")
def live(pytestconfig: pytest.Config) -> Live:
    """The running stack, all jobs sent."""
    return live_stack(pytestconfig)
