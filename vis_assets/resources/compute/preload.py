"""What a Dask worker does before it takes its first task: it gets warm.

The workers that `vis-assets worker`, `dev` and `demo` start load it by themselves; those of an existing cluster do with
`dask worker --preload vis_assets.resources.compute.preload`.
"""

import logging
import os
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from distributed import Worker

_log = logging.getLogger(__name__)

COLD = "VIS_ASSETS_COMPUTE_COLD"
"""Environment variable that leaves workers cold; for tests, whose workers compute nothing heavy."""


def dask_setup(worker: "Worker") -> None:
    """Import the heavy libraries, and compile or load what they compile, before the worker registers.

    A worker that cannot get warm goes on cold: whatever is wrong concerns one stage maybe, and shows there.
    """
    if os.environ.get(COLD):
        return
    from vis_assets.resources.compute.warm import warm_up

    begun = time.monotonic()
    try:
        warm_up()
    except Exception:  # noqa: BLE001 - a worker that is merely slow beats none
        _log.exception("compute worker %s could not get warm", worker.name)
        return
    _log.info("compute worker %s is warm after %.1f s", worker.name, time.monotonic() - begun)
