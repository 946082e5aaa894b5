"""The machine's own sockets behind a host's published ports, so that a browser outside reaches a container.

A port of the host's address is bound on the address that stands for the host on this machine; one of the swarm's first
host on 127.0.0.1 and ::1 as well while it is free there. What cannot be bound (privileged, or a stranger's) is left out
and named in `refused`: where nothing could be, the port is published inside the LAN only.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import Counter
from collections.abc import Callable, Sequence

from daemon.underlay.accepted import AcceptedStreams
from daemon.underlay.addresses import AddressMap
from daemon.underlay.contract import Accept, Address

_DRAIN = 64
_MAX_DATAGRAM = 65535
_ANY = ("", "0.0.0.0")
_WHY = {errno.EACCES: "a privileged port", errno.EADDRINUSE: "another program of this machine has it"}
_NO_IPV6 = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)


def _written(place: Address, protocol: str) -> str:
    return f"[{place[0]}]:{place[1]}/{protocol}" if ":" in place[0] else f"{place[0]}:{place[1]}/{protocol}"


def _refusal(place: Address, protocol: str, error: OSError) -> str:
    return f"{_written(place, protocol)}: {_WHY.get(error.errno or 0, error.strerror or str(error))}"


def _would_split_localhost(place: Address, bound: Sequence[Address]) -> bool:
    """::1 goes with 127.0.0.1: where a stranger has the one, localhost is the stranger's altogether."""
    return place[0] == "::1" and ("127.0.0.1", place[1]) not in bound


class TcpPort:
    """The listening sockets of one published port and the tasks of what they accepted."""

    def __init__(
        self,
        servers: Sequence[asyncio.Server],
        bound: Sequence[Address],
        refused: Sequence[str],
        tasks: AcceptedStreams,
    ) -> None:
        self._servers = servers
        self._tasks = tasks
        self.bound = bound
        self.refused = refused

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        await self._tasks.end()


class UdpPort:
    """The sockets of one published UDP port. An answer leaves by the socket that its asker used."""

    def __init__(
        self, sockets: Sequence[socket.socket], refused: Sequence[str], receive: Callable[[bytes, Address], None]
    ) -> None:
        self.bound: Sequence[Address] = [s.getsockname()[:2] for s in sockets]
        self.refused = refused
        self.counters: Counter[str] = Counter()
        self._sockets = sockets
        self._receive = receive
        self._by_peer: dict[Address, socket.socket] = {}
        self._loop = asyncio.get_running_loop()
        for sock in sockets:
            self._loop.add_reader(sock.fileno(), self._drain, sock)

    def _drain(self, sock: socket.socket) -> None:
        for _ in range(_DRAIN):
            try:
                data, peer = sock.recvfrom(_MAX_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                self.counters["receive_error"] += 1
                continue
            if len(self._by_peer) > 4096:
                self._by_peer.clear()
            self._by_peer[peer] = sock
            self._receive(data, peer)

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        sock = self._by_peer.get(to)
        if sock is None:
            self.counters["send_to_nobody"] += 1
            return
        try:
            sock.sendto(data, to)
        except OSError as error:
            self.counters[f"send_{type(error).__name__}"] += 1

    def close(self) -> None:
        for sock in self._sockets:
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                sock.close()


class SocketPorts:
    """Published ports of one host. own: the host's address on the LAN."""

    def __init__(self, own: str, addresses: AddressMap, *, localhost: bool) -> None:
        self._own = own
        self._addresses = addresses
        self._localhost = localhost

    def _places(self, host_ip: str, port: int) -> list[Address]:
        """Where on this machine a published port of this host belongs."""
        places: list[Address] = []
        if host_ip in _ANY or not host_ip.startswith("127."):
            # The known port only serves to learn the address: published ports keep their number on this machine.
            real = self._addresses.real((self._own if host_ip in _ANY else host_ip, 7946))
            # Where all hosts share one address of the machine, a further one of a host has none of its own either.
            real = real or self._addresses.real((self._own, 7946))
            if real is not None:
                places.append((real[0], port))
        if self._localhost and (host_ip in _ANY or host_ip.startswith("127.")):
            for address in ("127.0.0.1", "::1") if host_ip in _ANY else (host_ip,):
                if (address, port) not in places:
                    places.append((address, port))
        return places

    async def listen_tcp(self, host_ip: str, port: int, accept: Accept) -> TcpPort | None:
        tasks = AcceptedStreams(accept)

        def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            tasks.serve(reader, writer, writer.get_extra_info("peername")[:2])

        servers: list[asyncio.Server] = []
        bound: list[Address] = []
        refused: list[str] = []
        for place in self._places(host_ip, port):
            if _would_split_localhost(place, bound):
                continue
            try:
                server = await asyncio.start_server(accepted, place[0], place[1], backlog=128)
            except OSError as error:
                if ":" not in place[0] or error.errno not in _NO_IPV6:
                    refused.append(_refusal(place, "tcp", error))
                continue
            servers.append(server)
            bound.append(server.sockets[0].getsockname()[:2])
        return TcpPort(servers, bound, refused, tasks) if servers or refused else None

    async def bind_udp(self, host_ip: str, port: int, receive: Callable[[bytes, Address], None]) -> UdpPort | None:
        sockets: list[socket.socket] = []
        refused: list[str] = []
        for place in self._places(host_ip, port):
            family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
            if _would_split_localhost(place, [s.getsockname()[:2] for s in sockets]):
                continue
            try:
                sock = socket.socket(family, socket.SOCK_DGRAM)
            except OSError:
                continue  # this machine has no IPv6
            sock.setblocking(False)
            try:
                sock.bind(place)
            except OSError as error:
                sock.close()
                if family == socket.AF_INET or error.errno not in _NO_IPV6:
                    refused.append(_refusal(place, "udp", error))
                continue
            sockets.append(sock)
        return UdpPort(sockets, refused, receive) if sockets or refused else None


class NoPorts:
    """A simulated host has no machine around it: everything is published inside the LAN only."""

    async def listen_tcp(self, host_ip: str, port: int, accept: Accept) -> TcpPort | None:
        return None

    async def bind_udp(self, host_ip: str, port: int, receive: Callable[[bytes, Address], None]) -> UdpPort | None:
        return None
