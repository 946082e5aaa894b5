"""The plainest underlay: real UDP and TCP sockets on one address. For use of this library without a daemon."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
from collections import Counter
from collections.abc import Callable

from gossip import icmp
from gossip.swim.member import Address
from gossip.underlay import Accept, Datagrams, Listener

_READS_AT_ONCE = 64
"""Datagrams read in one turn of the loop: a flood must not keep timers waiting."""


class _SocketDatagrams:
    """A UDP socket on the event loop. asyncio's own transport would take an ICMP error about one member for a failure
    to send to another, and could not say whom it is about."""

    def __init__(
        self, sock: socket.socket, receive: Callable[[bytes, Address], None], counters: Counter[str]
    ) -> None:
        self._socket = sock
        self._receive = receive
        self._refused: Callable[[Address], None] | None = None
        self._counters = counters
        self._loop = asyncio.get_running_loop()
        self._errors = icmp.listen(sock)
        self._loop.add_reader(sock, self._ready)

    def on_refused(self, callback: Callable[[Address], None]) -> None:
        self._refused = callback

    def _ready(self) -> None:
        for _ in range(_READS_AT_ONCE):
            try:
                data, source = self._socket.recvfrom(65535)
            except BlockingIOError:
                break
            except OSError:
                if self._report():
                    continue
                self._counters["udp_errors"] += 1
                break
            self._receive(data, (source[0], source[1]))
            if self._socket.fileno() < 0:
                return
        self._report()

    def _report(self) -> bool:
        """Pass on ICMP errors; whether there were any."""
        if not self._errors or self._socket.fileno() < 0:
            return False
        found = icmp.refused(self._socket)
        for where in found:
            self._counters["icmp_refused"] += 1
            if self._refused is not None:
                self._refused(where)
        return bool(found)

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        if self._socket.fileno() < 0:
            self._counters["udp_sent_after_close"] += 1
            return
        for _ in range(2):
            try:
                self._socket.sendto(data, to)
                return
            except OSError as error:
                # An error that waits may be about another destination: then this datagram has not been sent yet.
                if error.errno != errno.ECONNREFUSED:
                    break
            except ValueError:
                break
        self._counters["udp_errors"] += 1

    def close(self) -> None:
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket)
            self._socket.close()


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
        sock = socket.socket(socket.AF_INET6 if ":" in self.address else socket.AF_INET, socket.SOCK_DGRAM)
        try:
            sock.setblocking(False)
            sock.bind((self.address, port))
            return _SocketDatagrams(sock, receive, self.counters)
        except OSError:
            sock.close()
            raise

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> Listener:
        listener = _SocketListener(accept)
        await listener.open(self.address, port, tls)
        return listener

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(deadline):
            return await asyncio.open_connection(*to, ssl=tls, local_addr=(self.address, 0))
