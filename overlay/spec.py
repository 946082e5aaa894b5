"""What the engine tells a host's networking, as plain data: networks, endpoints, ports, facts about other hosts.

Frozen dataclasses only, so that a caller can hold, compare and store them; addresses are text here and
become packed bytes inside. Nothing in this file does anything.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

Address = tuple[str, int]
"""Dotted quad on the hosts' LAN, and a port."""

BRIDGE_NAME = "com.docker.network.bridge.name"
ENABLE_ICC = "com.docker.network.bridge.enable_icc"
ENABLE_MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
DEFAULT_BRIDGE = "com.docker.network.bridge.default_bridge"
"""Docker's options of the bridge driver (docs: "docker network create", bridge driver options)."""


@dataclass(frozen=True, slots=True)
class Pool:
    """One subnet of a network (Docker's IPAM.Config entry); `gateway` is an address without a prefix length."""

    subnet: str
    gateway: str | None
    ip_range: str | None = None
    auxiliary: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network as its driver needs it. `vnis` only for overlay, one a pool; `encrypted` likewise: what crosses hosts
    is sealed; `mtu` in bytes of IP packet."""

    id: str
    name: str
    driver: str
    pools: tuple[Pool, ...]
    internal: bool = False
    options: Mapping[str, str] = field(default_factory=dict)
    vnis: tuple[int, ...] = ()
    mtu: int = 1500
    ingress: bool = False
    encrypted: bool = False


@dataclass(frozen=True, slots=True)
class PortMapping:
    """A wish for a published port. `host_ip` "" is every address; `host_port` 0 is an ephemeral one;
    `host_port_end` > `host_port` is a range of which the first free one is taken (0 = no range)."""

    container_port: int
    protocol: Literal["tcp", "udp"] = "tcp"
    host_ip: str = ""
    host_port: int = 0
    host_port_end: int = 0


@dataclass(frozen=True, slots=True)
class Published:
    """A port as it was published. `host_ip` is what Docker shows (0.0.0.0, :: or one address); `real` is where
    a process outside reaches it ("127.0.2.1:8080, 127.0.0.1:8080"), None with a `note` where that was not to be had."""

    mapping: PortMapping
    host_ip: str
    host_port: int
    real: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """A container's place on a network. `names`: every DNS name in this network, the container's own name first
    (it is the one that reverse look-ups give); `addresses` as CIDR, IPv4 first; `link_local` are further ones, that no
    name leads to. Its interface is called `prefix` and a number."""

    id: str
    network_id: str
    container_id: str
    name: str
    names: tuple[str, ...]
    mac: str
    addresses: tuple[str, ...]
    link_local: tuple[str, ...] = ()
    prefix: str = "eth"

    @property
    def all_addresses(self) -> tuple[str, ...]:
        """What its interface gets."""
        return self.addresses + self.link_local


@dataclass(frozen=True, slots=True)
class EndpointFact:
    """A row of the directory: that an endpoint exists and where. `vtep` None is this host. `claim` is the Lamport
    time of the donation that its address came from: of two that claim one address the higher (claim, node) wins.
    `super_frames`: the node's VTEP takes TCP super-frames whole (from the node's row)."""

    network_id: str
    endpoint_id: str
    node: str
    vtep: str | None
    mac: str
    addresses: tuple[str, ...]
    names: tuple[str, ...]
    claim: int = 0
    super_frames: bool = False


@dataclass(frozen=True, slots=True)
class Attached:
    """What an attachment came to: the interface's name in the sandbox, and the network's gateway as Docker shows it
    in the endpoint's settings (None for networks without one, such as overlays); `gateway6` is IPv6's."""

    interface: str
    gateway: str | None
    gateway6: str | None = None


@dataclass(frozen=True, slots=True)
class GatewayEndpoint:
    """An endpoint that the overlay driver itself made on docker_gwbridge for a sandbox's way out."""

    endpoint_id: str
    name: str
    container_id: str
    interface: str
    mac: str
    address: str


class NetworkError(Exception):
    """Something that a driver refuses; the text is Docker's."""


class PublishFailed(NetworkError):
    """A port could not be published; the engine puts "driver failed programming external connectivity on endpoint
    NAME (ID): " before the text."""


class PortTaken(PublishFailed):
    """Another container of this host, or a socket in its stack, has the port."""


class Datagrams(Protocol):
    """One bound UDP socket of the underlay."""

    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None: ...
    def close(self) -> None: ...



class Underlay(Protocol):
    """The one way in and out of a host, as far as overlay needs it."""

    @property
    def address(self) -> str: ...
    async def datagrams(self, port: int, receive: Callable[[bytes, Address], None]) -> Datagrams: ...


class RealListener(Protocol):
    """Real listening sockets for one published port; `bound` says where, `refused` where not and why."""

    @property
    def bound(self) -> Sequence[Address]: ...
    @property
    def refused(self) -> Sequence[str]: ...
    async def close(self) -> None: ...


class RealDatagrams(Protocol):
    """Real UDP sockets for one published port, as RealListener."""

    @property
    def bound(self) -> Sequence[Address]: ...
    @property
    def refused(self) -> Sequence[str]: ...
    def send(self, data: bytes | bytearray | memoryview, to: Address) -> None: ...
    def close(self) -> None: ...


Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter, Address], Awaitable[None]]


class RealPorts(Protocol):
    """Real sockets of the machine for published ports. `host_ip` is "0.0.0.0" for all, else one of the host's LAN
    addresses or 127.0.0.1. None: the machine has no place for it."""

    async def listen_tcp(self, host_ip: str, port: int, accept: Accept) -> RealListener | None: ...
    async def bind_udp(
        self, host_ip: str, port: int, receive: Callable[[bytes, Address], None]
    ) -> RealDatagrams | None: ...


class RealFlow(Protocol):
    """A UDP socket of the machine that is connected to one destination."""

    def send(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class MachineNetwork(Protocol):
    """The machine's own network, as the LAN's router reaches it. All raise OSError with the errno that says why."""

    @property
    def resolvers(self) -> Sequence[Address]: ...
    async def connect(self, to: Address) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]: ...
    def datagrams(
        self, to: Address, receive: Callable[[bytes], None], refused: Callable[[], None]
    ) -> RealFlow: ...
    async def echo(self, to: str, sequence: int, payload: bytes) -> bytes: ...
