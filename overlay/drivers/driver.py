"""What every network driver does (libnetwork's driverapi, as far as a host needs it)."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Protocol

from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkSpec

MAX_FRAME = 65000
"""Bytes of the largest super-frame on a cable here: it fits in one UDP datagram behind a VXLAN header."""


@dataclass(frozen=True, slots=True)
class Plug:
    """Where an endpoint goes: the interface's name and index in its sandbox."""

    interface: str
    index: int


@dataclass(frozen=True, slots=True)
class Offer:
    """The way out that a network offers to an endpoint: a gateway, or (`direct`) its interface itself, or none.
    `gateway6` is IPv6's. `closed`: with none it is not to get one on docker_gwbridge either."""

    gateway: str | None = None
    direct: bool = False
    gateway6: str | None = None
    closed: bool = False


class Driver(Protocol):
    """Networks of one kind. All of it is synchronous and does no I/O."""

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: something that it needs is in use."""

    def delete_network(self, network_id: str) -> None:
        """Take it down; no endpoint is on it any more."""

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """Put the interface in; the way out that comes with it."""

    def leave(self, endpoint_id: str) -> None:
        """Take the interface out."""


def gateway_for(spec: NetworkSpec, endpoint: EndpointSpec) -> str | None:
    """The gateway of the subnet that an endpoint's IPv4 address lies in."""
    address = next((each.partition("/")[0] for each in endpoint.addresses if ":" not in each), None)
    if address is None:
        return None
    for pool in spec.pools:
        if ":" not in pool.subnet and ipaddress.ip_address(address) in ipaddress.ip_network(pool.subnet, strict=False):
            return pool.gateway
    return None


def gateway_addresses(spec: NetworkSpec) -> tuple[str, ...]:
    """The gateways of all subnets, as CIDR: the addresses of whoever is the gateway."""
    return tuple(
        f"{pool.gateway}/{ipaddress.ip_network(pool.subnet, strict=False).prefixlen}"
        for pool in spec.pools
        if pool.gateway
    )


def gateways(spec: NetworkSpec, endpoint: EndpointSpec) -> Offer:
    """The gateways of the subnets that an endpoint's addresses lie in."""
    six = next((ipaddress.IPv6Interface(each).ip for each in endpoint.addresses if ":" in each), None)
    pools = [pool for pool in spec.pools if six is not None and six in ipaddress.ip_network(pool.subnet, strict=False)]
    return Offer(gateway_for(spec, endpoint), gateway6=pools[0].gateway if pools else None)
