"""The first job after an installation need not compile: that is done here, and lies on disk from then on."""

import os
from collections.abc import Callable

from vis_assets.errors import InvalidSetting
from vis_assets.resources.compute.warm import CodeCache, Warmed, find_code_cache, warm_up


def warm_installation(on_path: Callable[[Warmed], None]) -> CodeCache:
    """Go every hot path once, so that later processes find compiled code.

    Args:
        on_path: called after each path.

    Returns:
        Where the compiled code lies, and how much of it is new.

    Raises:
        InvalidSetting: there is no folder to keep compiled code in.
        ComputeFailed: a path failed.
    """
    try:
        warm_up(on_path=on_path)
    except RuntimeError as error:
        if "no locator" not in str(error):
            raise
        where = os.environ.get("NUMBA_CACHE_DIR") or "the installation, or the user's cache folder,"
        raise InvalidSetting(f"compiled code cannot be kept: make {where} writable, or set NUMBA_CACHE_DIR") from error
    return find_code_cache()
