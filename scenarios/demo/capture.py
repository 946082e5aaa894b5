"""What a daemon's tap saw, read from its control socket while something happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from scenarios.client import dial
from scenarios.demo.packet import Datagram
from scenarios.launch.record import Host


@asynccontextmanager
async def captured(host: Host, kind: str) -> AsyncIterator[asyncio.Queue[Datagram]]:
    """A queue of the datagrams of one kind that cross the host's underlay from now on.

    The capture is running when the block is entered: the daemon answers the request after it has begun.
    """
    reader, writer = await dial(host.control_api)
    queue: asyncio.Queue[Datagram] = asyncio.Queue()
    writer.write(f"GET /v1/capture?kind={kind} HTTP/1.0\r\nHost: shoald\r\n\r\n".encode())
    await writer.drain()
    await reader.readuntil(b"\r\n\r\n")

    async def follow() -> None:
        while line := await reader.readline():
            entry = json.loads(line)
            if "dropped" in entry:
                continue
            source, target = entry["source"], entry["target"]
            queue.put_nowait(Datagram(
                entry["direction"], (source[0], source[1]), (target[0], target[1]), bytes.fromhex(entry["data"])
            ))  # fmt: skip

    task = asyncio.create_task(follow())
    try:
        yield queue
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        writer.close()
