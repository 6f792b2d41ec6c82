"""What the tests of the `vis-assets` command share."""

from pathlib import Path

import pytest

from vis_assets_tests.integration.live import Live, live_stack, stop_unless_needed

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests speak to real servers, so they may open sockets."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.enable_socket)


def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Stop the stack after the last test that uses it."""
    stop_unless_needed(item.config, nextitem)


@pytest.fixture(scope="session", autouse=True)
def _jobs_run_meanwhile(request: pytest.FixtureRequest) -> None:
    """Send the jobs of the integration tests early, so that they are worked on while commands are tried."""
    if any("live" in getattr(item, "fixturenames", ()) for item in request.session.items):
        live_stack(request.config)


@pytest.fixture(scope="session")
def live(pytestconfig: pytest.Config) -> Live:
    """The running stack, all jobs sent."""
    return live_stack(pytestconfig)
