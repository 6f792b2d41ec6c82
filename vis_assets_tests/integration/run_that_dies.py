"""A run in a process of its own, with its lease keeper beside it, that never comes to its end.

    python -m vis_assets_tests.integration.run_that_dies HOME PARTITION TAGS {waits|is-killed}

HOME is the folder of a Dagster instance, TAGS are those of the run that a tick asked for, as JSON. The run waits for
ever, or its process is killed as the kernel does that is out of memory.
"""

import json
import os
import signal
import sys
import time

from dagster import DagsterInstance, asset, materialize

from vis_assets.assets.partitions import visualization_transforms
from vis_assets.resources.run_scope import lease_resource
from vis_assets.settings import load_settings

ENDS = {
    "waits": lambda: time.sleep(600),
    "is-killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
}


def main(home: str, partition: str, tags: str, end: str) -> None:
    """Run."""

    @asset(name="embedding_2d", partitions_def=visualization_transforms, required_resource_keys={"lease"})
    def stuck() -> None:
        ENDS[end]()

    with DagsterInstance.local_temp(home) as instance:
        materialize(
            [stuck],
            partition_key=partition,
            instance=instance,
            tags=json.loads(tags),
            resources={"lease": lease_resource(load_settings())},
        )


if __name__ == "__main__":
    main(*sys.argv[1:])
