"""Whole hosts' networking in one event loop: what the tests of HostNetwork, DNS and published ports share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from random import Random

from overlay.directory import Directory
from overlay.host import HostNetwork
from overlay.ipam.mac import mac_from_ip
from overlay.ipam.pool import AddressPool
from overlay.sandbox import Sandbox
from overlay.spec import Address, Attached, EndpointFact, EndpointSpec, MachineNetwork, NetworkSpec, Pool, RealPorts
from tests.overlay.memory import Network

Real = Callable[[str], RealPorts]


class NoRealPorts:
    """A machine that gives no ports."""

    async def listen_tcp(self, host_ip: str, port: int, accept: object) -> None:
        return None

    async def bind_udp(self, host_ip: str, port: int, receive: object) -> None:
        return None


def bridge(name: str, subnet: str, *, internal: bool = False, **options: str) -> NetworkSpec:
    """A bridge network whose gateway is the subnet's first address."""
    gateway = AddressPool(subnet).request_gateway()
    names = {key.replace("__", "."): value for key, value in options.items()}
    return NetworkSpec(f"{name}-id".ljust(64, "0"), name, "bridge", (Pool(subnet, gateway),), internal, names)


def docker0() -> NetworkSpec:
    return bridge("bridge", "172.17.0.0/16", com__docker__network__bridge__name="docker0")


def gateway_bridge() -> NetworkSpec:
    return bridge(
        "docker_gwbridge",
        "172.18.0.0/16",
        com__docker__network__bridge__name="docker_gwbridge",
        com__docker__network__bridge__enable_icc="false",
    )


def overlay(name: str, subnet: str, vni: int, *, internal: bool = False, ingress: bool = False) -> NetworkSpec:
    pool = Pool(subnet, AddressPool(subnet).request_gateway())
    return NetworkSpec(f"{name}-id", name, "overlay", (pool,), internal, vnis=(vni,), mtu=1450, ingress=ingress)


class Lab:
    """Hosts 192.0.2.1, .2 …, which tell each other of their endpoints at once, as gossip would."""

    def __init__(self, wires: Network, hosts: list[HostNetwork]) -> None:
        self.wires = wires
        self.hosts = hosts

    def create(self, spec: NetworkSpec, *hosts: HostNetwork) -> NetworkSpec:
        for host in hosts or self.hosts:
            host.create_network(spec)
        return spec

    def run(
        self, host: HostNetwork, name: str, network: NetworkSpec, ip: str, *aliases: str, sandbox: Sandbox | None = None
    ) -> tuple[Sandbox, Attached]:
        """A sandbox with an endpoint, known to all hosts."""
        sandbox = sandbox or host.new_sandbox(name)
        length = network.pools[0].subnet.partition("/")[2]
        spec = EndpointSpec(
            f"{name}@{network.name}",
            network.id,
            sandbox.name,
            name,
            (name, *aliases),
            mac_from_ip(ip),
            (f"{ip}/{length}",),
        )
        attached = host.attach(spec, sandbox)
        if network.driver == "overlay":
            self.tell(host, host.directory)
        return sandbox, attached

    def tell(self, host: HostNetwork, directory: Directory) -> None:
        for fact in directory.facts():
            if fact.node == host.hostname and fact.network_id in self._overlays(host):
                for other in self.hosts:
                    if other is not host:
                        other.directory.put(remote(fact, host.address))

    def forget(self, endpoint_id: str) -> None:
        for host in self.hosts:
            host.detach(endpoint_id)
            host.directory.remove(endpoint_id)

    @staticmethod
    def _overlays(host: HostNetwork) -> list[str]:
        return [spec.id for spec in host._networks.values() if spec.driver == "overlay"]


def remote(fact: EndpointFact, vtep: str) -> EndpointFact:
    return EndpointFact(
        fact.network_id,
        fact.endpoint_id,
        fact.node,
        vtep,
        fact.mac,
        fact.addresses,
        fact.names,
        super_frames=True,
    )


@asynccontextmanager
async def lab(
    count: int = 1,
    *,
    real: RealPorts | None = None,
    extra: Sequence[str] = (),
    reflective_relay: bool = False,
    machine: MachineNetwork | None = None,
) -> AsyncIterator[Lab]:
    wires = Network()
    addresses = [f"192.0.2.{n}" for n in range(1, count + 1)]
    random = Random(1)
    hosts = [
        HostNetwork(
            hostname=f"h{n}",
            address=address,
            underlay=wires.host(address),
            lan_peers=lambda: addresses,
            real_ports=real or NoRealPorts(),
            random=random,
            entropy=random.randbytes,
            wall=lambda: 0.0,
            extra_addresses=extra,
            machine=machine,
            reflective_relay=reflective_relay,
        )
        for n, address in enumerate(addresses, 1)
    ]
    for host in hosts:
        await host.start()
    try:
        yield Lab(wires, hosts)
    finally:
        for host in hosts:
            await host.stop()


async def ping(sandbox: Sandbox, to: str, *, size: int = 56, wait: float = 1.0) -> int | None:
    """The TTL of the echo reply; None if none came, negative type of an ICMP error."""
    socket = sandbox.icmp_open()
    try:
        socket.send_echo(to, ident=7, seq=0, payload=bytes(size))
        async with asyncio.timeout(wait):
            reply = await socket.recv()
    except TimeoutError:
        return None
    finally:
        socket.close()
    return reply.ttl if reply.type == 0 else -reply.type


async def serve(sandbox: Sandbox, port: int, text: bytes) -> asyncio.Task[None]:
    """A server that answers each connection with a text and the peer's address, then hangs up."""
    listener = sandbox.tcp_listen("0.0.0.0", port)

    async def run() -> None:
        while True:
            connection = await listener.accept()
            await connection.write(text + b" " + connection.peer[0].encode())
            connection.close()

    return asyncio.get_running_loop().create_task(run())


async def fetch(sandbox: Sandbox, to: Address, *, wait: float = 2.0) -> bytes:
    """What the server at `to` says."""
    connection = await sandbox.tcp_connect(*to, timeout=wait)
    async with asyncio.timeout(wait):
        said = b""
        while chunk := await connection.read(4096):
            said += chunk
    connection.close()
    return said


@asynccontextmanager
async def serving(sandbox: Sandbox, port: int, text: bytes) -> AsyncIterator[None]:
    task = await serve(sandbox, port, text)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
