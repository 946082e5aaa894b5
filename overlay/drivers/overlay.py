"""The overlay driver: a VXLAN segment per subnet. The way out is not its own: that is docker_gwbridge's.

A network's gateway addresses are on every host (Docker gives them to bridges inside the overlay's namespace): they
answer, lead nowhere outside, and route between the network's own subnets.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from overlay.directory import Directory, NetworkView
from overlay.drivers.driver import Offer, Plug, gateway_addresses, gateway_for
from overlay.drivers.endpoint import Endpoint, plug_in
from overlay.sandbox import Sandbox
from overlay.seal import Sealer
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec, Pool
from overlay.tunnel import Tunnel
from overlay.vtep import Segment


@dataclass(frozen=True, slots=True)
class _Subnet:
    pool: Pool
    segment: Segment

    @property
    def network(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        return ipaddress.ip_network(self.pool.subnet, strict=False)


@dataclass(slots=True)
class _Network:
    spec: NetworkSpec
    gateway: Sandbox
    subnets: list[_Subnet] = field(default_factory=list)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


class OverlayDriver:
    """Overlay networks as this host sees them. `close_later` takes a sandbox that is no longer needed."""

    def __init__(
        self,
        tunnel: Tunnel,
        directory: Directory,
        sealer: Sealer,
        *,
        random: Random,
        close_later: Callable[[Sandbox], None],
    ) -> None:
        self._tunnel = tunnel
        self._directory = directory
        self._sealer = sealer
        self._random = random
        self._close_later = close_later
        self._networks: dict[str, _Network] = {}
        self._where: dict[str, _Network] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: no VNI for one of its subnets, one that another network has here, or no key to encrypt with."""
        pools = [pool for pool in spec.pools if ":" not in pool.subnet]
        if not pools or len(spec.vnis) < len(pools):
            raise NetworkError(f"overlay network {spec.name} has no VNI")
        if spec.encrypted and not self._sealer.ready:
            raise NetworkError(f"no key for encrypted overlay network {spec.name}")
        gateway = Sandbox(f"{spec.name}-br0", random=Random(self._random.getrandbits(64)))
        gateway.forwarding = len(pools) > 1
        network = _Network(spec, gateway)
        view = self._directory.open(spec.id)
        try:
            for pool, vni in zip(pools, spec.vnis, strict=False):
                network.subnets.append(_Subnet(pool, self._segment(spec, vni, view, pool if pools[1:] else None)))
        except NetworkError:
            self._close(network)
            raise
        self._networks[spec.id] = network
        segments = [subnet.segment for subnet in network.subnets]
        for segment in segments:
            segment.join(segments)
        for index, subnet in enumerate(network.subnets):
            self._add_gateway(network, subnet, index)
        self._tunnel.spread()

    def _segment(self, spec: NetworkSpec, vni: int, view: NetworkView, only: Pool | None) -> Segment:
        return self._tunnel.vtep.add_segment(
            vni,
            view,
            name=spec.name,
            mtu=spec.mtu,
            sealer=self._sealer if spec.encrypted else None,
            subnet=only.subnet if only is not None else None,
        )

    def _add_gateway(self, network: _Network, subnet: _Subnet, index: int) -> None:
        if not subnet.pool.gateway:
            return
        mac = ":".join(f"{byte:02x}" for byte in b"\x02\x42" + self._random.randbytes(4))
        addresses: tuple[str, ...] = (f"{subnet.pool.gateway}/{subnet.network.prefixlen}",)
        if index == 0:  # IPv6 has no segments of its own: it is one link across all of them
            addresses += tuple(each for each in gateway_addresses(network.spec) if ":" in each)
        subnet.segment.add_neighbour(mac, addresses)
        name = network.gateway.name
        spec = EndpointSpec(f"br{index}", network.spec.id, name, name, (), mac, addresses)
        network.endpoints[spec.id] = plug_in(
            subnet.segment,
            spec,
            network.gateway,
            Plug(spec.id, index + 2),
            mtu=network.spec.mtu,
            guarded=not network.gateway.forwarding,
        )

    def delete_network(self, network_id: str) -> None:
        """Close its segments."""
        network = self._networks.pop(network_id)
        for endpoint in network.endpoints.values():
            endpoint.unplug()
        self._close(network)

    def _close(self, network: _Network) -> None:
        for subnet in network.subnets:
            self._tunnel.vtep.remove_segment(subnet.segment.vni)
        self._directory.close(network.spec.id)
        self._close_later(network.gateway)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """Plug into the segment of its subnet, with routes to the network's others; never a gateway."""
        network = self._networks[spec.network_id]
        address = ipaddress.ip_interface(spec.addresses[0]).ip
        own = next((subnet for subnet in network.subnets if address in subnet.network), None)
        if own is None:
            raise NetworkError(f"could not find subnet for endpoint {spec.id}")
        network.endpoints[spec.id] = plug_in(own.segment, spec, sandbox, plug, mtu=network.spec.mtu)
        self._where[spec.id] = network
        gateway = gateway_for(network.spec, spec)
        if gateway is not None:
            for other in network.subnets:
                if other is not own:
                    sandbox.add_route(str(other.network), via=gateway, interface=plug.interface)
        return Offer()

    def leave(self, endpoint_id: str) -> None:
        """Unplug."""
        self._where.pop(endpoint_id).endpoints.pop(endpoint_id).unplug()
