"""Fixtures of the page tests."""

import pytest

from vis_assets.page.vendor import vendor_assets_available


@pytest.fixture(scope="session")
def vendor_assets() -> None:
    """Skip where the browser libraries were not built."""
    if not vendor_assets_available():
        pytest.skip("browser libraries were not built: run `make setup`")
