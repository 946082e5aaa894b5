"""What every network driver does (libnetwork's driverapi, as far as a host needs it)."""

from __future__ import annotations

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


class Driver(Protocol):
    """Networks of one kind. All of it is synchronous and does no I/O."""

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: something that it needs is in use."""

    def delete_network(self, network_id: str) -> None:
        """Take it down; no endpoint is on it any more."""

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> str | None:
        """Put the interface in; the network's gateway for this endpoint, None if it has none of its own."""

    def leave(self, endpoint_id: str) -> None:
        """Take the interface out."""


def gateway_for(spec: NetworkSpec) -> str | None:
    """The gateway of the first IPv4 pool."""
    return next((pool.gateway for pool in spec.pools if pool.gateway and ":" not in pool.subnet), None)
