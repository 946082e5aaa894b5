"""The overlay driver: a VXLAN segment per network. The way out is not its own: that is docker_gwbridge's.

The network's gateway address is on every host (Docker gives it to the bridge inside the overlay's namespace): it
answers, but leads nowhere.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from overlay.directory import Directory
from overlay.drivers.driver import Offer, Plug
from overlay.drivers.endpoint import Endpoint, plug_in
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec
from overlay.tunnel import Tunnel
from overlay.vtep import Segment


@dataclass(slots=True)
class _Network:
    spec: NetworkSpec
    segment: Segment
    gateway: Sandbox
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


class OverlayDriver:
    """Overlay networks as this host sees them. `close_later` takes a sandbox that is no longer needed."""

    def __init__(
        self, tunnel: Tunnel, directory: Directory, *, random: Random, close_later: Callable[[Sandbox], None]
    ) -> None:
        self._tunnel = tunnel
        self._directory = directory
        self._random = random
        self._close_later = close_later
        self._networks: dict[str, _Network] = {}
        self._where: dict[str, _Network] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: no VNI was given, or another network has it here."""
        if spec.vni is None:
            raise NetworkError(f"overlay network {spec.name} has no VNI")
        view = self._directory.open(spec.id)
        try:
            segment = self._tunnel.vtep.add_segment(spec.vni, view, name=spec.name, mtu=spec.mtu)
        except NetworkError:
            self._directory.close(spec.id)
            raise
        gateway = Sandbox(f"{spec.name}-br0", random=Random(self._random.getrandbits(64)))
        network = self._networks[spec.id] = _Network(spec, segment, gateway)
        self._add_gateway(network)
        self._tunnel.spread()

    def _add_gateway(self, network: _Network) -> None:
        mac = ":".join(f"{byte:02x}" for byte in b"\x02\x42" + self._random.randbytes(4))
        addresses = tuple(
            f"{pool.gateway}/{ipaddress.ip_network(pool.subnet, strict=False).prefixlen}"
            for pool in network.spec.pools
            if pool.gateway and ":" not in pool.subnet
        )
        if not addresses:
            return
        network.segment.add_neighbour(mac, addresses)
        name = network.gateway.name
        spec = EndpointSpec("br0", network.spec.id, name, name, (), mac, addresses)
        network.endpoints[spec.id] = plug_in(
            network.segment, spec, network.gateway, Plug("br0", 2), mtu=network.spec.mtu
        )

    def delete_network(self, network_id: str) -> None:
        """Close the segment."""
        network = self._networks.pop(network_id)
        for endpoint in network.endpoints.values():
            endpoint.unplug()
        self._tunnel.vtep.remove_segment(network.segment.vni)
        self._directory.close(network_id)
        self._close_later(network.gateway)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """Plug into the segment; never a gateway."""
        network = self._networks[spec.network_id]
        network.endpoints[spec.id] = plug_in(network.segment, spec, sandbox, plug, mtu=network.spec.mtu)
        self._where[spec.id] = network
        return Offer()

    def leave(self, endpoint_id: str) -> None:
        """Unplug."""
        self._where.pop(endpoint_id).endpoints.pop(endpoint_id).unplug()
