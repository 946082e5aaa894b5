"""A serf agent, and enough of its RPC (msgpack over TCP) to ask it for its members without starting a process."""

from __future__ import annotations

import asyncio
import shutil
import time

import msgpack

from scenarios.bench.gossip.node import GOSSIP_PORT, Condition, Seen, View, end

_RPC_PORT = 7373
_POLL = 0.01
"""Seconds between two looks: an agent's own event stream is coalesced over seconds, so it has to be asked."""
_START_LIMIT = 20.0


def found() -> bool:
    return shutil.which("serf") is not None


class SerfAgent:
    """Profile LAN, plain, everything else as the agent has it by default."""

    def __init__(self, name: str, address: str) -> None:
        self.name = name
        self.address = address
        self._process: asyncio.subprocess.Process | None = None
        self._rpc: _Rpc | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            "serf", "agent", f"-node={self.name}", f"-bind={self.address}:{GOSSIP_PORT}",
            f"-rpc-addr={self.address}:{_RPC_PORT}", "-profile=lan",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        async with asyncio.timeout(_START_LIMIT):
            while self._rpc is None:
                try:
                    self._rpc = await _Rpc.open(self.address)
                except OSError:
                    await asyncio.sleep(0.05)

    async def join(self, address: str) -> None:
        assert self._rpc is not None
        await self._rpc.call("join", {"Existing": [f"{address}:{GOSSIP_PORT}"], "Replay": False}, answers=True)

    async def retag(self, value: str) -> None:
        assert self._rpc is not None
        await self._rpc.call("tags", {"Tags": {"t": value}, "DeleteTags": []}, answers=False)

    async def until(self, condition: Condition) -> float:
        assert self._rpc is not None
        while True:
            asked = time.monotonic()
            if condition(await self._rpc.members()):
                return asked
            await asyncio.sleep(_POLL)

    async def kill(self) -> None:
        await end(self._process)
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None


class _Rpc:
    """One connection; one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._unpacker = msgpack.Unpacker(raw=True)
        self._seq = 0
        self._busy = asyncio.Lock()

    @classmethod
    async def open(cls, address: str) -> _Rpc:
        rpc = cls(*await asyncio.open_connection(address, _RPC_PORT))
        await rpc.call("handshake", {"Version": 1}, answers=False)
        return rpc

    def close(self) -> None:
        self._writer.close()

    async def call(self, command: str, body: dict[str, object] | None, *, answers: bool) -> dict[bytes, object]:
        """Raises OSError for an error that the agent reports, and at the end of the stream."""
        async with self._busy:
            self._seq += 1
            self._writer.write(msgpack.packb({"Command": command, "Seq": self._seq}))
            if body is not None:
                self._writer.write(msgpack.packb(body))
            header = await self._next()
            if header.get(b"Error"):
                raise OSError(f"serf {command}: {header[b'Error']!r}")
            return await self._next() if answers else {}

    async def members(self) -> View:
        answer = await self.call("members", None, answers=True)
        members = answer.get(b"Members")
        assert isinstance(members, list)
        return {
            m[b"Name"].decode(): Seen(m[b"Status"].decode(), (m[b"Tags"] or {}).get(b"t", b"").decode())
            for m in members
        }

    async def _next(self) -> dict[bytes, object]:
        while True:
            try:
                value: dict[bytes, object] = self._unpacker.unpack()
                return value
            except msgpack.OutOfData:
                data = await self._reader.read(65536)
                if not data:
                    raise ConnectionResetError("serf closed its RPC") from None
                self._unpacker.feed(data)
