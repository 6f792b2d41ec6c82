"""Removing all streams of a test server, so that streams of the same names can be made anew."""

import asyncio
from pathlib import Path

from nats.aio.client import Client


async def forget_streams(client: Client) -> None:
    """Delete all streams, and wait until their files are gone.

    nats-server (2.15) removes files a moment after it answered; a stream that is made anew meanwhile finds, and
    keeps, messages of the old one.
    """
    jetstream = client.jetstream()
    for info in await jetstream.streams_info():
        await jetstream.delete_stream(str(info.config.name))
    folder = _storage(int(str(client.connected_url.port)) if client.connected_url else 0)
    for _ in range(2000):
        if folder is None or not list(folder.glob("jetstream/*/streams/*")):
            return
        await asyncio.sleep(0.005)
    raise TimeoutError(f"nats-server does not remove the files of its streams below {folder}")


def _storage(port: int) -> Path | None:
    """Where the server on this port keeps its streams: its command line says so."""
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if str(port) in words and "-sd" in words:
            return Path(words[words.index("-sd") + 1])
    return None
