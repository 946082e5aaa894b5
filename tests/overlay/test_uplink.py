"""The LAN's router as the way to the machine's network: P1, packet by packet, with a machine of the test's own.

Its servers are real sockets of 127.0.0.1; what addresses lead to them is the test's to say.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from daemon.underlay.uplink import ConnectedUdp
from overlay.dns import messages
from overlay.sandbox import Sandbox
from overlay.spec import Address
from tests.overlay.lab import Lab, docker0, fetch, lab, ping

ROUTER = "192.0.2.254"
THERE, DEAD, CLOSED = "203.0.113.5", "203.0.113.6", "203.0.113.7"
_SILENT = "203.0.113.8"


class Machine:
    """Addresses of the world, and which port of 127.0.0.1 each leads to."""

    def __init__(self) -> None:
        self.ways: dict[Address, int] = {}
        self.asked: list[Address] = []
        self.resolvers: Sequence[Address] = [("198.51.100.1", 53)]

    def _way(self, to: Address) -> Address:
        self.asked.append(to)
        if to[0] == DEAD:
            raise OSError(errno.EHOSTUNREACH, "no route to host")
        return "127.0.0.1", self.ways.get(to, 1)

    async def connect(self, to: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(*self._way(to))

    def datagrams(self, to: Address, receive: Callable[[bytes], None], refused: Callable[[], None]) -> ConnectedUdp:
        return ConnectedUdp(self._way(to), receive, refused)

    async def echo(self, to: str, sequence: int, payload: bytes) -> bytes:
        if to == DEAD:
            raise OSError(errno.EACCES, "not permitted")
        if to == _SILENT:
            await asyncio.sleep(60)
        return payload


class Echo(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, peer: Address) -> None:
        self.transport.sendto(data[::-1], peer)


@asynccontextmanager
async def outside(machine: Machine) -> AsyncIterator[tuple[Lab, Sandbox]]:
    """A host with a container, and servers of the machine at THERE: 80 counts what it hears, 7 (UDP) turns it round."""

    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        total = 0
        while data := await reader.read(65536):
            total += len(data)
        writer.write(b"%d" % total)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(count, "127.0.0.1", 0)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
    machine.ways[THERE, 80] = machine.ways["127.0.0.1", 80] = server.sockets[0].getsockname()[1]
    machine.ways[THERE, 7] = transport.get_extra_info("sockname")[1]
    try:
        async with lab(machine=machine) as net:
            yield net, net.run(net.hosts[0], "c", net.create(docker0(), net.hosts[0]), "172.17.0.2")[0]
    finally:
        transport.close()
        server.close()


async def test_a_megabyte_and_a_half_close_go_through() -> None:
    async with outside(Machine()) as (net, box):
        for sandbox, address in ((box, THERE), (box, ROUTER), (net.hosts[0].host, THERE)):
            connection = await sandbox.tcp_connect(address, 80, timeout=5)
            assert connection.peer == (address, 80)
            await connection.write(bytes(1_000_000))
            connection.shutdown_write()
            assert await connection.read(100) == b"1000000"
            connection.close()


async def test_one_source_port_to_two_destinations_is_two_connections() -> None:
    machine = Machine()
    async with outside(machine) as (_, box):
        machine.ways["203.0.113.9", 80] = machine.ways[THERE, 80]
        both = [await box.tcp_connect(to, 80, source_port=5555, timeout=5) for to in (THERE, "203.0.113.9")]
        for number, connection in enumerate(both, 1):
            await connection.write(bytes(number))
            connection.shutdown_write()
        assert [await connection.read(100) for connection in both] == [b"1", b"2"]


async def test_refusals_are_what_they_are_outside() -> None:
    async with outside(Machine()) as (net, box):
        with pytest.raises(ConnectionRefusedError):
            await fetch(box, (CLOSED, 80))
        with pytest.raises(OSError) as unreachable:
            await fetch(box, (DEAD, 80))
        assert unreachable.value.errno == errno.EHOSTUNREACH
        socket = box.udp_open()
        socket.connect((CLOSED, 9))
        socket.sendto(b"anyone?")
        with pytest.raises(ConnectionRefusedError):
            async with asyncio.timeout(3):
                await socket.recvfrom()
        assert net.hosts[0].counters["uplink_tcp"] == 0


async def test_datagrams_and_pings() -> None:
    machine = Machine()
    async with outside(machine) as (net, box):
        socket = box.udp_open()
        for _ in range(3):
            socket.sendto(b"abc" * 1000, (THERE, 7))
            async with asyncio.timeout(3):
                assert await socket.recvfrom() == (b"cba" * 1000, (THERE, 7)), "whole, though it took fragments"
        assert machine.asked.count((THERE, 7)) == 1, "one socket a flow"
        assert await ping(box, THERE) is not None
        assert await ping(box, ROUTER) is not None
        assert await ping(box, DEAD) == -3
        assert await ping(box, _SILENT, wait=0.3) is None
        assert net.hosts[0].counters["uplink_echo"] == 1


async def test_the_lan_and_nowhere_are_not_forwarded() -> None:
    machine = Machine()
    async with outside(machine) as (_, box):
        for address in ("192.0.2.77", "240.0.0.1", "0.0.0.9"):
            with pytest.raises(OSError):
                await box.tcp_connect(address, 80, timeout=0.3)
        assert machine.asked == []


async def test_the_machine_s_resolver_is_asked_for_what_the_router_does_not_know() -> None:
    machine = Machine()

    class Resolver(asyncio.DatagramProtocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast(asyncio.DatagramTransport, transport)

        def datagram_received(self, data: bytes, peer: Address) -> None:
            asked = messages.parse_query(data)
            assert asked is not None
            reply = messages.answer(asked, authoritative=False, rcode="NOERROR")
            messages.add_addresses(reply, ["203.0.113.80"], ttl=9)
            self.transport.sendto(messages.pack(reply, asked, stream=False), peer)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    machine.ways["198.51.100.1", 53] = transport.get_extra_info("sockname")[1]
    query = b"\x124\x01\0\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01"
    async with outside(machine) as (_, box):
        socket = box.udp_open()
        socket.sendto(query, (ROUTER, 53))
        async with asyncio.timeout(3):
            reply, _ = await socket.recvfrom()
        assert reply[:2] == query[:2] and reply.endswith(bytes((203, 0, 113, 80)))
    transport.close()
