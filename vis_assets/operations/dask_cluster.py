"""The Dask cluster of this machine: how it is started, where it is reached, how it is."""

import datetime
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from vis_assets.operations.processes import free_port
from vis_assets.resources.compute.dask_compute import OWN_CLUSTER
from vis_assets.settings import Settings

CORES_PER_WORKER = 4
"""A stage uses so many cores well; with more of them, several maps at a time gain more."""
FEWEST_WORKERS = 2
"""On two cores two jobs at a time take a quarter less time on two workers than on one after the other on one."""
MEMORY_SHARE = 0.9
"""Share of this machine's memory that all workers together may hold."""


@dataclass(frozen=True)
class Plan:
    """What the workers of this machine are.

    Attributes:
        workers: processes, each of which does one task at a time.
        threads: of each, in native kernels.
        memory_bytes: of each, above which it is ended.
    """

    workers: int
    threads: int
    memory_bytes: int


@dataclass(frozen=True)
class ClusterState:
    """What the process of the cluster last wrote about it.

    Attributes:
        pid: of that process.
        workers: how many are there, and warm.
    """

    pid: int
    workers: int


def starts_cluster(settings: Settings) -> bool:
    """Whether `worker`, `dev` and `demo` start a cluster of their own."""
    return settings.compute == "dask" and settings.dask_scheduler is None


def plan_cluster(settings: Settings) -> Plan:
    """Share this machine out among workers."""
    from dask.system import CPU_COUNT
    from dask.utils import parse_bytes
    from distributed.system import MEMORY_LIMIT

    workers = settings.dask_workers or max(min(FEWEST_WORKERS, CPU_COUNT), CPU_COUNT // CORES_PER_WORKER)
    memory = parse_bytes(settings.dask_memory) if settings.dask_memory else int(MEMORY_LIMIT * MEMORY_SHARE / workers)
    # More threads than cores where there are few: a worker that is busy alone then uses them all.
    return Plan(workers, min(CPU_COUNT, max(CORES_PER_WORKER, CPU_COUNT // workers)), memory)


class Cluster:
    """Where the cluster of a home folder is reached, before and after it is started.

    Who reaches a Dask scheduler runs code in its name, also another user of this machine: so it speaks TLS, and only
    with who holds the key, a file in the home folder that is made anew each time.
    """

    def __init__(self, home: Path) -> None:
        """Choose a port and make a key; nothing is started."""
        self.port = free_port()
        self.state_file = home / "dask.json"
        self._key_file = home / "dask.pem"
        write_key(self._key_file)

    @property
    def command(self) -> list[str]:
        """Program and arguments of its process."""
        arguments = [str(self.port), str(self.state_file), str(self._key_file)]
        return [sys.executable, "-m", "vis_assets.operations.dask_process", *arguments]

    @property
    def environment(self) -> Mapping[str, str]:
        """Variables that lead runs to it; those of the key are Dask's own."""
        address = f"tls://127.0.0.1:{self.port}"
        return {
            "VIS_ASSETS_DASK_SCHEDULER": address,
            OWN_CLUSTER: address,
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": str(self._key_file),
            "DASK_DISTRIBUTED__COMM__TLS__CLIENT__CERT": str(self._key_file),
        }

    def state(self) -> ClusterState | None:
        """Return what its process last wrote; None where it wrote nothing yet."""
        try:
            return ClusterState(**json.loads(self.state_file.read_text()))
        except (OSError, ValueError, TypeError):
            return None


def write_key(file: Path) -> None:
    """Write a private key with its certificate, which is its own authority; for this user only."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "vis_assets dask cluster")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
        opened.write(pem)


def write_state(file: Path, workers: int) -> None:
    """Say how the cluster of this process is."""
    partial = file.with_suffix(".new")
    partial.write_text(json.dumps(asdict(ClusterState(os.getpid(), workers))))
    partial.replace(file)
