"""All of one host's networking behind one object: its own stack, its LAN, bridges, VTEP, names and published ports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random

from overlay.directory import Directory
from overlay.ipam.pool import AddressPool
from overlay.sandbox import Sandbox
from overlay.spec import (
    Attached,
    EndpointSpec,
    GatewayEndpoint,
    NetworkSpec,
    PortMapping,
    Published,
    RealPorts,
    Underlay,
)


class HostNetwork:
    """One host's networking. Everything but start, stop, publish and unpublish is synchronous and does no I/O.

    `attach`/`detach` keep the directory's facts of this host's own endpoints; the daemon puts those of others
    (`directory.put(fact)`, `directory.remove(endpoint_id)`); putting its own a second time does no harm.
    """

    host: Sandbox
    directory: Directory

    def __init__(
        self,
        *,
        hostname: str,
        address: str,
        underlay: Underlay,
        lan_peers: Callable[[], Sequence[str]],
        real_ports: RealPorts,
        random: Random,
        entropy: Callable[[int], bytes],
        wall: Callable[[], float],
        extra_addresses: Sequence[str] = (),
    ) -> None:
        raise NotImplementedError

    async def start(self) -> None:
        """Bind VXLAN (4789) and the LAN (4788) on the underlay; OSError if they are taken."""
        raise NotImplementedError

    async def stop(self) -> None:
        """Unpublish everything, end resolvers, close every sandbox of this host. Idempotent."""
        raise NotImplementedError

    def create_network(self, spec: NetworkSpec, addresses: AddressPool | None = None) -> None:
        """Make a network of driver bridge or overlay (host, null and unknown ones need nothing and are only noted).

        `addresses` is the pool that the network's addresses come from: the overlay driver takes from that of the
        network named docker_gwbridge; without it one is made of the spec's first pool. An overlay with `ingress`
        puts the ingress sandbox on docker_gwbridge (it takes its .2, as in Docker). Idempotent by id.
        NetworkError: the bridge name or VNI is in use.
        """
        raise NotImplementedError

    def delete_network(self, network_id: str) -> None:
        """Take it down; NetworkError while endpoints of this host are on it; nothing for an unknown id."""
        raise NotImplementedError

    def new_sandbox(self, container_id: str) -> Sandbox:
        """An empty network namespace (lo only)."""
        raise NotImplementedError

    async def remove_sandbox(self, sandbox: Sandbox) -> None:
        """Detach what is still attached, end its resolver, close it."""
        raise NotImplementedError

    def attach(self, spec: EndpointSpec, sandbox: Sandbox) -> Attached:
        """Plug a sandbox into a network: next ethN, addresses, routes; the default gateway and the interface on
        docker_gwbridge are settled anew by libnetwork's rule. NetworkError for an unknown network."""
        raise NotImplementedError

    def detach(self, endpoint_id: str) -> None:
        """Undo attach; nothing for an unknown id."""
        raise NotImplementedError

    def rename(self, endpoint_id: str, names: Sequence[str]) -> None:
        """Other DNS names for an endpoint of this host (docker rename)."""
        raise NotImplementedError

    def gateway_network(self, sandbox: Sandbox) -> str | None:
        """Id of the network whose gateway is the sandbox's default route (the one that publishes its ports)."""
        raise NotImplementedError

    def gateway_address(self, sandbox: Sandbox) -> str | None:
        """The sandbox's own address on the network of its default route: the target for `publish`."""
        raise NotImplementedError

    def gateway_endpoints(self) -> list[GatewayEndpoint]:
        """What docker_gwbridge holds, for `network inspect` (names gateway_<sandbox id>)."""
        raise NotImplementedError

    def start_resolver(
        self,
        sandbox: Sandbox,
        *,
        networks: Callable[[], Sequence[str]],
        links: Mapping[str, str],
        upstream: Sequence[str],
    ) -> None:
        """Serve 127.0.0.11:53 (UDP and TCP) inside the sandbox. `networks`: ids whose names it may ask, in order;
        `links`: alias → container name; `upstream`: resolvers for what is not ours, asked from inside the sandbox
        (so an internal network has none, as in Docker)."""
        raise NotImplementedError

    async def publish(self, container_id: str, mappings: Sequence[PortMapping], target_ip: str) -> list[Published]:
        """Publish ports of a container; all or none. A mapping for all addresses comes back twice, as 0.0.0.0 and ::
        (Docker shows both). PortTaken / PublishFailed carry Docker's text."""
        raise NotImplementedError

    async def unpublish(self, container_id: str) -> None:
        """Close everything that was published for the container, and its connections."""
        raise NotImplementedError

    @property
    def counters(self) -> Mapping[str, int]:
        """Packets by kind and what was dropped why: vxlan_sent, vxlan_dropped_unknown_vni, bridge_dropped_spoofed…"""
        raise NotImplementedError
