"""Run inside a network namespace by test_kernel_vxlan: a host whose only VTEP peer is the kernel's vxlan device.

Prints one line per finding; the test reads them.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from random import Random

from overlay.host import HostNetwork
from overlay.spec import Address, EndpointFact
from tests.overlay.lab import Lab, NoRealPorts, overlay, ping, serving
from tests.overlay.memory import Network


class Socket(asyncio.DatagramProtocol):
    def __init__(self, receive: Callable[[bytes, Address], None]) -> None:
        self._receive = receive
        self.transport: asyncio.DatagramTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: Address) -> None:
        self._receive(data, addr)

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None:
        self.transport.sendto(data, to)

    def close(self) -> None:
        self.transport.close()


class Direct:
    """An underlay that is the namespace's own network."""

    def __init__(self, address: str) -> None:
        self.address = address

    async def datagrams(self, port: int, receive: Callable[[bytes, Address], None]) -> Socket:
        loop = asyncio.get_running_loop()
        _, socket = await loop.create_datagram_endpoint(lambda: Socket(receive), local_addr=(self.address, port))
        return socket


async def main(own: str, peer: str, peer_mac: str, peer_ip: str) -> None:
    random = Random(1)
    host = HostNetwork(
        hostname="h1",
        address=own,
        underlay=Direct(own),
        lan_peers=list,
        real_ports=NoRealPorts(),
        random=random,
        entropy=random.randbytes,
        wall=lambda: 0.0,
    )
    await host.start()
    try:
        net = Lab(Network(), [host])
        segment = net.create(overlay("ov", "10.0.1.0/24", 4097))
        box, _ = net.run(host, "c1", segment, "10.0.1.2")
        host.directory.put(EndpointFact(segment.id, "kernel", "k", peer, peer_mac, (f"{peer_ip}/24",), ("kernel",)))
        print("ping", await ping(box, peer_ip), flush=True)
        print("ping fragmented", await ping(box, peer_ip, size=4000), flush=True)
        connection = await box.tcp_connect(peer_ip, 5000, timeout=5)
        await connection.write(bytes(range(256)) * 8000)
        connection.shutdown_write()
        said = b""
        while chunk := await connection.read(65536):
            said += chunk
        print("kernel got", said.decode(), flush=True)
        async with serving(box, 80, bytes(range(256)) * 8000):
            print("serving", flush=True)
            await asyncio.to_thread(sys.stdin.readline)
        print("dropped", sorted(name for name in host.counters if "vxlan_dropped" in name), flush=True)
    finally:
        await host.stop()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
