"""One member of this library in a process of its own (``member.py``), as serf's agents are."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from scenarios.bench.gossip.node import GOSSIP_PORT, Condition, Seen, end

_START_LIMIT = 60.0


class OurMember:
    """Profile SHOAL, plain."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._view: dict[str, Seen] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._waiting: dict[asyncio.Future[float], Condition] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._view.clear()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-OO", "-m", "scenarios.bench.gossip.member", self.name, self.address,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        self._reading = asyncio.get_running_loop().create_task(self._read(self._process.stdout))
        async with asyncio.timeout(_START_LIMIT):
            await self.until(lambda view: self.name in view)

    async def _read(self, lines: asyncio.StreamReader | None) -> None:
        assert lines is not None
        while line := await lines.readline():
            when, name, status, tag = json.loads(line)
            self._view[name] = Seen(status, tag)
            for future, condition in list(self._waiting.items()):
                if not future.done() and condition(self._view):
                    future.set_result(when)

    def _say(self, line: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")

    async def join(self, address: str) -> None:
        self._say(f"join {address}:{GOSSIP_PORT}")

    async def retag(self, value: str) -> None:
        self._say(f"tag {value}")

    async def until(self, condition: Condition) -> float:
        if condition(self._view):
            return time.monotonic()
        future: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self._waiting[future] = condition
        try:
            return await future
        finally:
            del self._waiting[future]

    async def kill(self) -> None:
        await end(self._process)
        if self._reading is not None:
            await self._reading
            self._reading = None
