"""The plainest underlay: real UDP and TCP sockets on one address. For use of this library without a daemon."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from collections.abc import Callable

from gossip.swim.member import Address
from gossip.underlay import Accept, Datagrams, Listener


class _SocketDatagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None], counters: Counter[str]) -> None:
        self._receive = receive
        self._counters = counters
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._receive(data, (addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        self._counters["udp_errors"] += 1

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        if self._transport is None or self._transport.is_closing():
            self._counters["udp_sent_after_close"] += 1
            return
        try:
            self._transport.sendto(data, to)
        except (OSError, ValueError):
            self._counters["udp_errors"] += 1

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()


class _SocketListener:
    """Owns the tasks of the connections that it accepted."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._tasks: dict[asyncio.Task[None], None] = {}
        self._server: asyncio.Server | None = None

    async def open(self, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        self._server = await asyncio.start_server(self._connected, address, port, ssl=tls)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks[task] = None
        try:
            host, port = writer.get_extra_info("peername")[:2]
            await self._accept(reader, writer, (host, port))
        except asyncio.CancelledError:
            # Only ``close`` cancels these tasks; the server's own callback would report it as an error.
            pass
        finally:
            del self._tasks[task]
            writer.close()

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._server is not None:
            with contextlib.suppress(OSError):
                await self._server.wait_closed()


class SocketUnderlay:
    """Binds to ``address`` only, and sends from it."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.counters: Counter[str] = Counter()

    async def datagrams(self, port: int, receive: Callable[[bytes, Address], None]) -> Datagrams:
        loop = asyncio.get_running_loop()
        _, protocol = await loop.create_datagram_endpoint(
            lambda: _SocketDatagrams(receive, self.counters), local_addr=(self.address, port)
        )
        return protocol

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        listener = _SocketListener(accept)
        await listener.open(self.address, port, tls)
        return listener

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(deadline):
            return await asyncio.open_connection(*to, ssl=tls, local_addr=(self.address, 0))
