"""The overlay driver: a VXLAN segment per network. The way out is not its own: that is docker_gwbridge's."""

from __future__ import annotations

from dataclasses import dataclass, field

from overlay.bridge import BridgePort
from overlay.directory import Directory
from overlay.drivers.driver import MAX_FRAME, Plug
from overlay.port import cable
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec
from overlay.tunnel import Tunnel
from overlay.vtep import Segment


@dataclass(slots=True)
class _Network:
    spec: NetworkSpec
    segment: Segment
    endpoints: dict[str, tuple[Sandbox, str, BridgePort]] = field(default_factory=dict)


class OverlayDriver:
    """Overlay networks as this host sees them."""

    def __init__(self, tunnel: Tunnel, directory: Directory) -> None:
        self._tunnel = tunnel
        self._directory = directory
        self._networks: dict[str, _Network] = {}
        self._where: dict[str, _Network] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: no VNI was given, or another network has it here."""
        if spec.vni is None:
            raise NetworkError(f"overlay network {spec.name} has no VNI")
        view = self._directory.view(spec.id)
        segment = self._tunnel.vtep.add_segment(spec.vni, view, name=spec.name, mtu=spec.mtu)
        self._networks[spec.id] = _Network(spec, segment)
        self._tunnel.spread()

    def delete_network(self, network_id: str) -> None:
        """Close the segment."""
        network = self._networks.pop(network_id)
        self._tunnel.vtep.remove_segment(network.segment.vni)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> str | None:
        """Plug into the segment; never a gateway."""
        network = self._networks[spec.network_id]
        theirs, ours = cable(MAX_FRAME)
        port = network.segment.add_port(
            spec.id, ours, mtu=network.spec.mtu, mac=spec.mac, addresses=spec.addresses, guarded=True
        )
        network.endpoints[spec.id] = sandbox, plug.interface, port
        self._where[spec.id] = network
        sandbox.add_interface(
            plug.interface,
            mac=spec.mac,
            mtu=network.spec.mtu,
            addresses=spec.addresses,
            port=theirs,
            index=plug.index,
        )
        return None

    def leave(self, endpoint_id: str) -> None:
        """Unplug."""
        network = self._where.pop(endpoint_id)
        sandbox, interface, port = network.endpoints.pop(endpoint_id)
        sandbox.remove_interface(interface)
        network.segment.remove_port(port)
