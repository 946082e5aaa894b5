"""The underlay from the kernel's sockets.

Datagram ports are read by a drain loop of our own: asyncio's transport takes one datagram per wake-up of the loop,
which is what bounds a tunnel in Python. A wake-up takes at most `_DRAIN` so that a flood cannot starve timers.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections import Counter

from daemon.underlay.accepted import AcceptedStreams
from daemon.underlay.addresses import AddressMap
from daemon.underlay.contract import Accept, Address, Receive

_DRAIN = 64
_BUFFER = 4 << 20
_MAX_DATAGRAM = 65535


class SocketDatagrams:
    """A bound UDP socket that is drained on each wake-up."""

    def __init__(self, sock: socket.socket, addresses: AddressMap, receive: Receive, counters: Counter[str]) -> None:
        self._sock = sock
        self._addresses = addresses
        self._receive = receive
        self._counters = counters
        self._real: dict[Address, Address | None] = {}
        self._lan: dict[Address, Address | None] = {}
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(sock.fileno(), self._drain)

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        try:
            real = self._real[to]
        except KeyError:
            real = _remember(self._real, to, self._addresses.real(to))
        if real is None:
            self._counters["unmapped_destination"] += 1
            return
        try:
            self._sock.sendto(data, real)
        except OSError as error:
            # A full buffer, an ICMP error of an earlier datagram, or an oversized one: all are losses to a datagram.
            self._counters[f"send_{type(error).__name__}"] += 1

    def _drain(self) -> None:
        recv, known = self._sock.recvfrom, self._lan
        for _ in range(_DRAIN):
            try:
                data, real = recv(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                # ICMP errors of earlier sends surface here (ECONNREFUSED); the socket itself is fine.
                self._counters["receive_error"] += 1
                continue
            try:
                source = known[real]
            except KeyError:
                source = _remember(known, real, self._addresses.lan(real))
            if source is None:
                self._counters["stranger"] += 1
                continue
            self._receive(data, source)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._loop.remove_reader(self._sock.fileno())
            self._sock.close()


def _remember(table: dict[Address, Address | None], key: Address, value: Address | None) -> Address | None:
    """Strangers choose their source addresses: the cache must not grow with them."""
    if len(table) > 4096:
        table.clear()
    table[key] = value
    return value


class SocketListener:
    """A listening socket and the tasks of what it accepted."""

    def __init__(self, accept: Accept, addresses: AddressMap) -> None:
        self._addresses = addresses
        self._streams = AcceptedStreams(accept)
        self.server: asyncio.Server | None = None

    def accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        real: Address = writer.get_extra_info("peername")[:2]
        # On shared ports a dialler's port says nothing of its host; it stays the machine's then.
        self._streams.serve(reader, writer, self._addresses.lan(real) or real)

    async def close(self) -> None:
        if self.server is not None:
            self.server.close()
        await self._streams.end()


class SocketUnderlay:
    """The kernel's sockets, bound on this host's address of the machine."""

    def __init__(self, address: str, addresses: AddressMap) -> None:
        self.address = address
        self.counters: Counter[str] = Counter()
        self._addresses = addresses

    async def datagrams(self, port: int, receive: Receive) -> SocketDatagrams:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host, real_port = self._own(port)
        try:
            sock.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, _BUFFER)
            sock.bind((host, real_port))
        except OSError as error:
            sock.close()
            raise OSError(error.errno, f"{error.strerror}: {host}:{real_port}/udp") from None
        return SocketDatagrams(sock, self._addresses, receive, self.counters)

    async def listen(self, port: int, accept: Accept, *, tls: ssl.SSLContext | None = None) -> SocketListener:
        listener = SocketListener(accept, self._addresses)
        host, real_port = self._own(port)
        listener.server = await asyncio.start_server(
            listener.accepted,
            host,
            real_port,
            ssl=tls,
            reuse_address=True,
            backlog=128,
            ssl_handshake_timeout=5.0 if tls else None,
            ssl_shutdown_timeout=1.0 if tls else None,
        )
        return listener

    async def connect(
        self, to: Address, *, deadline: float, tls: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        real = self._addresses.real(to)
        if real is None:
            raise OSError(f"no way to {to[0]}:{to[1]}")
        own, _ = self._own(0) if real[0] != "127.0.0.1" else ("127.0.0.1", 0)
        async with asyncio.timeout(deadline):
            return await asyncio.open_connection(
                real[0],
                real[1],
                ssl=tls,
                server_hostname="" if tls else None,
                ssl_shutdown_timeout=1.0 if tls else None,
                local_addr=(own, 0),
            )

    def _own(self, port: int) -> Address:
        if port == 0:
            real = self._addresses.real((self.address, 7946))
            return (real[0], 0) if real else ("127.0.0.1", 0)
        real = self._addresses.real((self.address, port))
        if real is None:
            raise OSError(f"{self.address}:{port} has no address on this machine")
        return real
