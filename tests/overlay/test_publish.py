"""Published ports: allocation, the host's stack, other hosts, real sockets (published-ports rows)."""

from __future__ import annotations

import asyncio
import socket as sockets
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from overlay.publish.allocator import PortAllocator
from overlay.sandbox import Sandbox
from overlay.spec import Address, PortMapping, PortTaken, PublishFailed
from tests.overlay.lab import Lab, bridge, docker0, fetch, lab, serving

LOCAL = "127.0.0.1"
MAPPED = PortMapping(80, "tcp", "", 8080)


class LoopbackListener:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.bound: list[Address] = [server.sockets[0].getsockname()]
        self.refused: list[str] = []

    async def close(self) -> None:
        self._server.close()


class LoopbackDatagrams(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self.datagram_received = receive  # type: ignore[method-assign]
        self.bound: list[Address] = []
        self.refused: list[str] = []
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)
        self.bound = [transport.get_extra_info("sockname")]

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        self.transport.sendto(data, to)

    def close(self) -> None:
        self.transport.close()


class Loopback:
    """Real sockets on 127.0.0.1 at whatever port is free; `broken` ones cannot be had."""

    def __init__(self, *broken: int) -> None:
        self.broken = broken
        self.where: dict[tuple[str, int], Address] = {}

    async def listen_tcp(
        self, host_ip: str, port: int, accept: Callable[..., Awaitable[None]]
    ) -> LoopbackListener | None:
        if port in self.broken:
            return None

        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                await accept(reader, writer, writer.get_extra_info("peername"))
            finally:
                writer.close()

        listener = LoopbackListener(await asyncio.start_server(accepted, LOCAL, 0))
        self.where["tcp", port] = listener.bound[0]
        return listener

    async def bind_udp(
        self, host_ip: str, port: int, receive: Callable[[bytes, Address], None]
    ) -> LoopbackDatagrams | None:
        if port in self.broken:
            return None
        loop = asyncio.get_running_loop()
        _, bound = await loop.create_datagram_endpoint(lambda: LoopbackDatagrams(receive), local_addr=(LOCAL, 0))
        self.where["udp", port] = bound.bound[0]
        return bound


def web(net: Lab) -> Sandbox:
    return net.run(net.hosts[0], "web", net.create(docker0(), net.hosts[0]), "172.17.0.2")[0]


async def refused(sandbox: Sandbox, to: Address) -> bool:
    with pytest.raises(ConnectionRefusedError):
        await fetch(sandbox, to)
    return True


async def test_reached_from_everywhere() -> None:
    real = Loopback()
    async with lab(2, real=real) as net:
        h1, h2 = net.hosts
        box = web(net)
        other, _ = net.run(h1, "other", net.create(bridge("n1", "172.18.0.0/16"), h1), "172.18.0.2")
        async with serving(box, 80, b"web"):
            shown = await h1.publish("web", [MAPPED], "172.17.0.2")
            assert [(p.host_ip, p.host_port) for p in shown] == [("0.0.0.0", 8080), ("::", 8080)]
            host, port = real.where["tcp", 8080]
            assert shown[0].real == f"{host}:{port}" and shown[0].note is None
            assert await fetch(h1.host, (LOCAL, 8080)) == b"web 172.17.0.1"
            assert await fetch(h1.host, ("192.0.2.1", 8080)) == b"web 172.17.0.1"
            assert await fetch(h2.host, ("192.0.2.1", 8080)) == b"web 192.0.2.2", "the client's address is kept"
            assert (await fetch(other, ("192.0.2.1", 8080))).startswith(b"web ")
            assert (await fetch(box, ("192.0.2.1", 8080))).startswith(b"web "), "hairpin"
            reader, writer = await asyncio.open_connection(host, port)
            assert (await reader.read()).startswith(b"web ")
            writer.close()
            assert await refused(h2.host, ("192.0.2.1", 80))
            assert await fetch(h1.host, ("172.17.0.2", 80)) == b"web 172.17.0.1"
            await h1.unpublish("web")
            assert await refused(h1.host, (LOCAL, 8080))
            assert await refused(h2.host, ("192.0.2.1", 8080))
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection(host, port)
            await h1.publish("web", [MAPPED], "172.17.0.2")
            assert await fetch(h2.host, ("192.0.2.1", 8080)) == b"web 192.0.2.2"


async def test_half_close_and_bulk_through_a_real_socket() -> None:
    real = Loopback()
    async with lab(real=real) as net:
        (h1,) = net.hosts
        box = web(net)
        listener = box.tcp_listen("0.0.0.0", 80)

        async def count() -> None:
            connection = await listener.accept()
            total = 0
            while chunk := await connection.read(65536):
                total += len(chunk)
            await connection.write(b"%d" % total)
            connection.close()

        task = asyncio.get_running_loop().create_task(count())
        await h1.publish("web", [MAPPED], "172.17.0.2")
        reader, writer = await asyncio.open_connection(*real.where["tcp", 8080])
        writer.write(bytes(1_000_000))
        writer.write_eof()
        async with asyncio.timeout(10):
            assert await reader.read() == b"1000000"
            await task
        writer.close()


async def test_a_connection_that_breaks_inside_breaks_outside() -> None:
    real = Loopback()
    async with lab(real=real) as net:
        (h1,) = net.hosts
        box = web(net)
        listener = box.tcp_listen("0.0.0.0", 80)
        await h1.publish("web", [MAPPED], "172.17.0.2")
        reader, writer = await asyncio.open_connection(*real.where["tcp", 8080])
        writer.write(b"hello")
        async with asyncio.timeout(2):
            connection = await listener.accept()
            assert await connection.read(5) == b"hello"
            connection.abort()
            assert await reader.read() == b""
            writer.close()
            listener.close()
            reader, writer = await asyncio.open_connection(*real.where["tcp", 8080])
            assert await reader.read() == b"", "nobody listens in the container"
            writer.close()


async def test_udp() -> None:
    real = Loopback()
    async with lab(2, real=real) as net:
        h1, h2 = net.hosts
        box = web(net)
        inside = box.udp_open("0.0.0.0", 80)
        await h1.publish("web", [PortMapping(80, "udp", "", 8080), PortMapping(80, "tcp", "", 8080)], "172.17.0.2")

        async def exchange(sandbox: Sandbox, to: str) -> str:
            socket = sandbox.udp_open()
            socket.sendto(b"hi", (to, 8080))
            async with asyncio.timeout(2):
                data, peer = await inside.recvfrom()
                inside.sendto(data + b"!", peer)
                answer, source = await socket.recvfrom()
            socket.close()
            assert (answer, source) == (b"hi!", (to, 8080))
            return peer[0]

        assert await exchange(h1.host, LOCAL) == "172.17.0.1"
        assert await exchange(h1.host, "192.0.2.1") == "172.17.0.1"
        assert await exchange(h2.host, "192.0.2.1") == "192.0.2.2"
        with sockets.socket(sockets.AF_INET, sockets.SOCK_DGRAM) as outside:
            outside.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_sendto(outside, b"real", real.where["udp", 8080])
            async with asyncio.timeout(2):
                data, peer = await inside.recvfrom()
                inside.sendto(data.upper(), peer)
                assert await loop.sock_recv(outside, 99) == b"REAL"


async def test_one_address_only() -> None:
    async with lab(2, extra=["192.168.1.100"]) as net:
        h1, h2 = net.hosts
        box = web(net)
        async with serving(box, 80, b"web"):
            for address in ("192.0.2.1", LOCAL, "192.168.1.100"):
                shown = await h1.publish("web", [PortMapping(80, "tcp", address, 8081)], "172.17.0.2")
                assert [(p.host_ip, p.host_port) for p in shown] == [(address, 8081)]
                assert (await fetch(h1.host, (address, 8081))).startswith(b"web")
                for closed in {"192.0.2.1", LOCAL, "192.168.1.100"} - {address}:
                    assert await refused(h1.host, (closed, 8081))
                if address == LOCAL:
                    assert await refused(h2.host, ("192.0.2.1", 8081))
                await h1.unpublish("web")


async def test_a_network_may_say_which_address() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        option = {"com__docker__network__bridge__host_binding_ipv4": LOCAL}
        box, _ = net.run(h1, "box", net.create(bridge("n1", "172.18.0.0/16", **option)), "172.18.0.2")
        shown = await h1.publish("box", [MAPPED, PortMapping(81, "tcp", "192.0.2.1", 8080)], "172.18.0.2")
        assert [(p.host_ip, p.mapping.host_ip) for p in shown] == [(LOCAL, ""), ("192.0.2.1", "192.0.2.1")]
        await box.close()
        await h1.remove_sandbox(box)


async def test_what_cannot_be_bound_outside_is_published_inside() -> None:
    async with lab(2, real=Loopback(80)) as net:
        h1, h2 = net.hosts
        box = web(net)
        async with serving(box, 80, b"web"):
            (shown, _) = await h1.publish("web", [PortMapping(80, "tcp", "", 80)], "172.17.0.2")
            assert shown.real is None and shown.note is not None
            assert "port 80/tcp is published inside the LAN only" in shown.note
            assert await fetch(h2.host, ("192.0.2.1", 80)) == b"web 192.0.2.2"


async def test_errors_are_docker_s_and_leave_nothing_open() -> None:
    async with lab() as net:
        (h1,) = net.hosts
        web(net)
        await h1.publish("w1", [MAPPED], "172.17.0.2")
        with pytest.raises(PortTaken, match=r"^Bind for 0\.0\.0\.0:8080 failed: port is already allocated$"):
            await h1.publish("w2", [PortMapping(80, "tcp", "", 8099), MAPPED], "172.17.0.3")
        await h1.publish("w3", [PortMapping(80, "tcp", "", 8099)], "172.17.0.4")
        strange = "Error starting userland proxy: listen tcp4 203.0.113.9:8099: bind: cannot assign requested address"
        with pytest.raises(PublishFailed) as caught:
            await h1.publish("w4", [PortMapping(80, "tcp", "203.0.113.9", 8099)], "172.17.0.5")
        assert str(caught.value) == strange
        h1.host.tcp_listen("0.0.0.0", 9090)
        with pytest.raises(PublishFailed, match=r"listen tcp4 0\.0\.0\.0:9090: bind: address already in use$"):
            await h1.publish("w5", [PortMapping(80, "tcp", "", 9090)], "172.17.0.6")
        (range_, _) = await h1.publish("w6", [PortMapping(80, "tcp", "", 9089, 9092)], "172.17.0.7")
        (next_, _) = await h1.publish("w7", [PortMapping(80, "tcp", "", 9089, 9092)], "172.17.0.7")
        assert (range_.host_port, next_.host_port) == (9089, 9091), "9090 is a listener's"


def test_ephemeral_ports_go_up_and_are_not_soon_used_again() -> None:
    ports = PortAllocator()
    assert [ports.request("0.0.0.0", "tcp", 0, 0) for _ in range(3)] == [49153, 49154, 49155]
    ports.release("0.0.0.0", "tcp", 49154)
    assert ports.request("0.0.0.0", "tcp", 0, 0) == 49156
    assert ports.request("0.0.0.0", "udp", 0, 0) == 49168
    assert ports.request("127.0.0.1", "tcp", 0, 0) == 49153
    for _ in range(65535 - 49156):
        ports.request("0.0.0.0", "tcp", 0, 0)
    assert ports.request("0.0.0.0", "tcp", 0, 0) == 49154
    with pytest.raises(PublishFailed, match="all ports are allocated"):
        ports.request("0.0.0.0", "tcp", 0, 0)
    with pytest.raises(PublishFailed, match="all ports are allocated"):
        ports.request("0.0.0.0", "tcp", 49153, 49156)
