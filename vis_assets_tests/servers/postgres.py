"""A PostgreSQL server of our own, from Debian's package, in a folder of its own; not run as root, which it refuses."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from vis_assets.operations.processes import free_port

PASSWORD = "canary-postgres-password-1d9e"


def programs() -> Path | None:
    """Folder with initdb and postgres, the newest version; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Run a server until the block ends; yields the address of an empty database. Skips, loudly, without PostgreSQL."""
    bin_folder = programs()
    if bin_folder is None:
        pytest.skip("NO POSTGRESQL HERE, so a standby is NOT tested: apt-get install -y postgresql")
    port = free_port()
    folder.mkdir(mode=0o777)
    as_user: list[str] = []
    if os.getuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
        for parent in folder.parents:
            if parent.stat().st_mode & 0o001:
                break
            parent.chmod(parent.stat().st_mode | 0o011)
        as_user = ["runuser", "-u", "postgres", "--"]
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data = str(folder / "data")
    initdb = [str(bin_folder / "initdb"), "-D", data, "-U", "vis", "-A", "scram-sha-256", f"--pwfile={secret}", "-N"]
    subprocess.run([*as_user, *initdb], check=True, capture_output=True, cwd="/")
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    control = [*as_user, str(bin_folder / "pg_ctl"), "-D", data, "-w"]
    start = [*control, "-o", options, "-l", str(folder / "log"), "start"]
    subprocess.run(start, check=True, capture_output=True, cwd="/", start_new_session=True)
    try:
        yield f"postgresql://vis:{PASSWORD}@127.0.0.1:{port}/postgres"
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, capture_output=True, cwd="/")
