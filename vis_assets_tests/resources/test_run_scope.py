"""What lives as long as a run: its lease, kept by a process of its own."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.delivery.job_record import JobRecord
from vis_assets.delivery.run_tags import tags_for
from vis_assets.operations.embedded_servers import EmbeddedNats, start_nats

pytestmark = [pytest.mark.enable_socket, pytest.mark.timeout(120)]
RECORD = JobRecord("job-1", "7", 1, "o", (1, 1), None)
RUN = """
import json, os, sys, time
from pathlib import Path
from dagster import ResourceParam, DagsterInstance, asset, materialize
from vis_assets.delivery import ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.resources.run_scope import lease_resource
from vis_assets.settings import load_settings

def children():
    return [int(pid) for pid in Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()]

@asset
def work(context, lease: ResourceParam[None]) -> None:
    with NatsConnection(os.environ["NATS_URL"], "run") as connection:
        deadline = time.monotonic() + float(sys.argv[2])
        while connection.run(lambda c: ledger.read_lease(c, context.run.run_id)) is None:
            if time.monotonic() > deadline:
                break
            time.sleep(0.1)
    print(json.dumps({"run": context.run.run_id, "keepers": len(children())}))

with DagsterInstance.ephemeral() as instance:
    materialize([work], instance=instance, tags=json.loads(sys.argv[1]),
                resources={"lease": lease_resource(load_settings())})
print(json.dumps({"left": len(children())}))
"""
"""A run's process: waits for its lease, then ends."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedNats]:
    """A NATS server."""
    running = start_nats(tmp_path_factory.mktemp("nats"))
    yield running
    running.child.stop()


def run(server: EmbeddedNats, tmp_path: Path, tags: dict[str, str], patience_seconds: float) -> list[dict[str, object]]:
    """What a run with these tags says."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, json.dumps(tags), str(patience_seconds)],
        env={**os.environ, "NATS_URL": server.url, "VIS_ASSETS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def test_a_run_of_a_job_keeps_its_lease(server: EmbeddedNats, tmp_path: Path) -> None:
    """A run that a job asked for has a keeper that renews its lease, and that ends with the run."""
    with NatsConnection(server.url, "test") as connection:
        connection.run(lambda c: ledger.ensure(c, 1, 1))
        connection.run(lambda c: ledger.create_record(c, RECORD))
        during, after = run(server, tmp_path, tags_for(RECORD, "w"), 60.0)
        assert (during["keepers"], after["left"]) == (1, 0)
        lease = connection.run(lambda c: ledger.read_lease(c, str(during["run"])))
        assert lease is not None
        assert not lease.timed_out


def test_a_run_that_a_person_launched_has_no_keeper(server: EmbeddedNats, tmp_path: Path) -> None:
    """A run from the UI has no lease, and nothing that could end it."""
    with NatsConnection(server.url, "test") as connection:
        connection.run(lambda c: ledger.ensure(c, 1, 1))
        during, _ = run(server, tmp_path, {"dagster/partition": "7"}, 1.0)
        assert during["keepers"] == 0
        assert connection.run(lambda c: ledger.read_lease(c, str(during["run"]))) is None
