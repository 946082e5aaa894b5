"""TCP between two containers on two hosts: two processes, real sockets on loopback, VXLAN, the whole data path.

    python bench/tcp_between_hosts.py [--bytes 200000000] [--plain] [--ipv6] [--buffer BYTES]

`--plain`: the far host does not announce that it takes super-frames, so every datagram has the network's MTU (1450).
`--buffer`: SO_RCVBUF, to see what a machine with a small net.core.rmem_max does. The bytes are compared by digest.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import time
from random import Random

from daemon.underlay import sockets
from daemon.underlay.addresses import Loopback
from daemon.underlay.sockets import SocketUnderlay
from overlay.host import HostNetwork
from overlay.sandbox import Sandbox
from overlay.spec import EndpointFact, EndpointSpec, NetworkSpec, Pool

BLOCK = 199
POOLS = (Pool("10.0.1.0/24", "10.0.1.1"), Pool("fd00:1::/64", "fd00:1::1"))
NETWORK = NetworkSpec("net1", "blue", "overlay", POOLS, vnis=(4097,), mtu=1450)
PEERS = ("192.0.2.1", "192.0.2.2")


class NoRealPorts:
    """Nothing is published here."""

    async def listen_tcp(self, host_ip: str, port: int, accept: object) -> None:
        return None

    async def bind_udp(self, host_ip: str, port: int, receive: object) -> None:
        return None


async def host(number: int, plain: bool) -> tuple[HostNetwork, Sandbox]:
    """Host `number` with one container, 10.0.1.(number + 1), that knows of the other's."""
    address = PEERS[number - 1]
    underlay = SocketUnderlay(address, Loopback(BLOCK, address))
    network = HostNetwork(
        hostname=f"h{number}",
        address=address,
        underlay=underlay,
        lan_peers=lambda: PEERS,
        real_ports=NoRealPorts(),  # type: ignore[arg-type]
        random=Random(number),
        entropy=os.urandom,
        wall=time.time,
    )
    await network.start()
    network.create_network(NETWORK)
    sandbox = network.new_sandbox(f"c{number}")
    for each in (1, 2):
        mac, addresses = f"02:42:0a:00:01:0{each + 1}", (f"10.0.1.{each + 1}/24", f"fd00:1::{each + 1}/64")
        if each == number:
            endpoint = EndpointSpec(f"e{each}", "net1", f"c{each}", f"c{each}", (f"c{each}",), mac, addresses)
            network.attach(endpoint, sandbox)
        else:
            network.directory.put(
                EndpointFact(
                    "net1",
                    f"e{each}",
                    f"h{each}",
                    PEERS[each - 1],
                    mac,
                    addresses,
                    (f"c{each}",),
                    super_frames=not plain,
                )
            )
    return network, sandbox


async def serve(plain: bool) -> None:
    network, sandbox = await host(2, plain)
    listener = sandbox.tcp_listen("::", 5201)
    conn = await listener.accept()
    digest = hashlib.sha256()
    cpu, got = time.process_time(), 0
    while data := await conn.read(1 << 20):
        digest.update(data)
        got += len(data)
    print(f"receiver: {got * 8 / (time.process_time() - cpu) / 1e9:.2f} Gbit per second of CPU", flush=True)
    await conn.write(digest.digest())
    conn.close()
    await asyncio.sleep(0.2)
    await network.stop()


async def send(size: int, plain: bool, to: str) -> None:
    network, sandbox = await host(1, plain)
    await asyncio.sleep(0.5)
    conn = await sandbox.tcp_connect(to, 5201, timeout=5)
    piece = Random(1).randbytes(1 << 20)
    digest = hashlib.sha256()
    for _ in range(size >> 20):
        digest.update(piece)
    cpu, start = time.process_time(), time.perf_counter()
    for _ in range(size >> 20):
        await conn.write(piece)
    conn.shutdown_write()
    answer = await conn.readexactly(32)
    took = time.perf_counter() - start
    endpoint = conn._endpoint
    identical = "identical" if answer == digest.digest() else "DIFFERENT"
    rate = size * 8 / (time.process_time() - cpu) / 1e9
    print(f"{(size >> 20 << 23) / took / 1e9:.3f} Gbit/s, {identical}; sender: {rate:.2f} Gbit per second of CPU")
    print(f"srtt {endpoint.rtt.srtt * 1000:.2f} ms, window {endpoint.congestion.window}, mss {endpoint.mss}, ", end="")
    print(f"segments up to {endpoint.segment_limit}")
    print({name: count for name, count in network.counters.items() if "vxlan" in name}, dict(sandbox.counters))
    await network.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bytes", type=int, default=200_000_000)
    parser.add_argument("--plain", action="store_true")
    parser.add_argument("--ipv6", action="store_true")
    parser.add_argument("--buffer", type=int, default=sockets._BUFFER)
    options = parser.parse_args()
    sockets._BUFFER = options.buffer
    child = os.fork()
    if child == 0:
        asyncio.run(serve(options.plain))
        os._exit(0)
    try:
        to = "fd00:1::3" if options.ipv6 else "10.0.1.3"
        asyncio.run(asyncio.wait_for(send(options.bytes, options.plain, to), 120))
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


if __name__ == "__main__":
    main()
