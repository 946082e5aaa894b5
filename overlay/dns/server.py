"""Port 53 of a sandbox, UDP and TCP, in front of anything that answers queries."""

from __future__ import annotations

import asyncio
from typing import Protocol

from overlay.nursery import Nursery
from overlay.sandbox import Sandbox, TcpConnection, TcpListener, UdpSocket

PORT = 53
_AT_ONCE = 128
_IDLE = 10.0
"""Seconds that a TCP client may be silent (RFC 7766 leaves it to the server)."""


class Answerer(Protocol):
    """Who answers queries; `stream` says that one came over TCP. None is silence."""

    def at_once(self, query: bytes, stream: bool) -> bytes | None:
        """The answer that needs nobody else; costs no task."""

    async def later(self, query: bytes, stream: bool) -> bytes | None:
        """The answer to what `at_once` had none for."""


class DnsServer:
    """Serves one address of a sandbox until it is stopped or the sandbox closes."""

    def __init__(self, sandbox: Sandbox, address: str, answerer: Answerer) -> None:
        self._sandbox = sandbox
        self._address = address
        self._answerer = answerer
        self._loops = Nursery(2)
        self._queries = Nursery(_AT_ONCE)
        self._udp: UdpSocket | None = None
        self._tcp: TcpListener | None = None

    def start(self) -> None:
        """Bind both sockets; OSError if they are taken."""
        self._udp = self._sandbox.udp_open(self._address, PORT)
        self._tcp = self._sandbox.tcp_listen(self._address, PORT)
        self._loops.spawn(self._serve_udp(self._udp))
        self._loops.spawn(self._serve_tcp(self._tcp))

    @property
    def refused(self) -> int:
        """Queries dropped because too many were being answered."""
        return self._queries.refused

    def cancel(self) -> None:
        """Stop without waiting."""
        self._loops.cancel()
        self._queries.cancel()
        if self._udp is not None:
            self._udp.close()
        if self._tcp is not None:
            self._tcp.close()
        self._udp = self._tcp = None

    async def stop(self) -> None:
        """Stop, and wait for what was under way."""
        self.cancel()
        await self._loops.close()
        await self._queries.close()

    async def _serve_udp(self, socket: UdpSocket) -> None:
        while True:
            data, peer = await socket.recvfrom()
            reply = self._answerer.at_once(data, False)
            if reply is None:
                self._queries.spawn(self._answer_later(socket, data, peer))
                continue
            try:
                socket.sendto(reply, peer)
            except OSError:
                continue  # the asker has no address any more; the others have

    async def _answer_later(self, socket: UdpSocket, data: bytes, peer: tuple[str, int]) -> None:
        reply = await self._answerer.later(data, False)
        if reply is not None:
            socket.sendto(reply, peer)

    async def _serve_tcp(self, listener: TcpListener) -> None:
        while True:
            connection = await listener.accept()
            if not self._queries.spawn(self._answer_tcp(connection)):
                connection.abort()

    async def _answer_tcp(self, connection: TcpConnection) -> None:
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    length = int.from_bytes(await connection.readexactly(2), "big")
                    data = await connection.readexactly(length)
                reply = self._answerer.at_once(data, True) or await self._answerer.later(data, True)
                if reply is None:
                    return
                async with asyncio.timeout(_IDLE):
                    await connection.write(len(reply).to_bytes(2, "big") + reply)
        finally:
            connection.close()
