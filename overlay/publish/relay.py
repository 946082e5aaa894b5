"""Carrying connections and datagrams between a published port and the container: docker-proxy's part."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Protocol

from overlay.nursery import Nursery
from overlay.sandbox import Sandbox, TcpConnection, UdpSocket
from overlay.spec import Address

_CHUNK = 65536
CONNECT_TIMEOUT = 30.0
UDP_IDLE = 90.0
"""Seconds (docker-proxy's UDPConnTrackTimeout)."""
_UDP_PEERS = 1024


class Stream(Protocol):
    """One end of a relayed connection."""

    async def read(self, n: int) -> bytes: ...
    async def write(self, data: bytes) -> None: ...
    def shutdown_write(self) -> None: ...
    def close(self) -> None: ...


class RealStream:
    """A connection of the machine, with a container connection's methods."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self, n: int) -> bytes:
        """As TcpConnection.read."""
        return await self._reader.read(n)

    async def write(self, data: bytes) -> None:
        """As TcpConnection.write."""
        self._writer.write(data)
        await self._writer.drain()

    def shutdown_write(self) -> None:
        """As TcpConnection.shutdown_write."""
        if self._writer.can_write_eof():
            self._writer.write_eof()

    def close(self) -> None:
        """As TcpConnection.close."""
        self._writer.close()


async def relay(one: Stream, other: Stream) -> None:
    """Carry both directions until both have ended, or one broke; the end of one is passed on as such (half-close)."""
    loop = asyncio.get_running_loop()
    pumps = [loop.create_task(_pump(one, other)), loop.create_task(_pump(other, one))]
    try:
        await asyncio.gather(*pumps)
    finally:
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)
        one.close()
        other.close()


async def _pump(source: Stream, target: Stream) -> None:
    while data := await source.read(_CHUNK):
        await target.write(data)
    target.shutdown_write()


async def connect(host: Sandbox, target: Address) -> TcpConnection:
    """From the host's stack to the container."""
    return await host.tcp_connect(target[0], target[1], timeout=CONNECT_TIMEOUT)


class UdpRelay:
    """One published UDP port: a socket in the host's stack per asker, so that answers find their way back."""

    def __init__(
        self, host: Sandbox, target: Address, answer: Callable[[bytes, Address], None], *, counters: Counter[str]
    ) -> None:
        self._host = host
        self._target = target
        self._answer = answer
        self._counters = counters
        self._sockets: dict[Address, UdpSocket] = {}
        self._tasks = Nursery(_UDP_PEERS)

    def receive(self, data: bytes, peer: Address) -> None:
        """A datagram came to the published port."""
        socket = self._sockets.get(peer)
        try:
            if socket is None:
                socket = self._host.udp_open("::" if ":" in self._target[0] else "0.0.0.0")
                socket.connect(self._target)
                self._sockets[peer] = socket
                if not self._tasks.spawn(self._carry_back(socket, peer)):
                    del self._sockets[peer]
                    socket.close()
                    self._counters["publish_dropped_udp_peers"] += 1
                    return
            socket.sendto(data)
        except OSError:
            self._counters["publish_dropped_udp"] += 1

    async def _carry_back(self, socket: UdpSocket, peer: Address) -> None:
        try:
            while True:
                try:
                    async with asyncio.timeout(UDP_IDLE):
                        data, _ = await socket.recvfrom()
                except ConnectionRefusedError:
                    continue  # nobody listens there (yet); the asker hears nothing, as through docker-proxy
                self._answer(data, peer)
        finally:
            self._sockets.pop(peer, None)
            socket.close()

    async def close(self) -> None:
        """End it."""
        await self._tasks.close()
