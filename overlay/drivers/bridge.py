"""The bridge driver: a switch, an interface of the host on it that is the gateway, and the gateway's rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from overlay.bridge import Bridge
from overlay.drivers.driver import MAX_FRAME, Offer, Plug, gateway_addresses, gateways
from overlay.drivers.endpoint import Endpoint, plug_in
from overlay.nat.gateway import BridgeRules, Gateway
from overlay.port import cable
from overlay.sandbox import Sandbox
from overlay.spec import (
    BRIDGE_NAME,
    ENABLE_ICC,
    ENABLE_MASQUERADE,
    EndpointSpec,
    NetworkError,
    NetworkSpec,
)
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP

BRIDGE_LINK_LOCAL = "fe80::1/64"
"""What libnetwork gives every bridge with IPv6."""

_FALSE = ("false", "0", "f")
"""What Go's ParseBool takes for no, in small letters."""


@dataclass(frozen=True, slots=True)
class _Network:
    spec: NetworkSpec
    interface: str
    bridge: Bridge
    icc: bool


class BridgeDriver:
    """Bridge networks of one host."""

    def __init__(
        self,
        host: Sandbox,
        gateway: Gateway,
        *,
        next_index: Callable[[], int],
        random: Random,
        counters: Counter[str],
    ) -> None:
        self._host = host
        self._gateway = gateway
        self._next_index = next_index
        self._random = random
        self._counters = counters
        self._networks: dict[str, _Network] = {}
        self._endpoints: dict[str, Endpoint] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: the bridge's name is another network's."""
        name = spec.options.get(BRIDGE_NAME) or f"br-{spec.id[:12]}"
        if any(interface.name == name for interface in self._host.interfaces()):
            raise NetworkError(f"bridge name {name} is already in use")
        bridge = Bridge(name, counters=self._counters)
        theirs, ours = cable(MAX_FRAME)
        mac = ":".join(f"{byte:02x}" for byte in b"\x02\x42" + self._random.randbytes(4))
        subnets = tuple(pool.subnet for pool in spec.pools if ":" not in pool.subnet)
        switch = self._host.add_interface(
            name,
            mac=mac,
            mtu=spec.mtu,
            addresses=gateway_addresses(spec),
            port=theirs,
            index=self._next_index(),
        )
        switch.beneath = ""
        if any(":" in pool.subnet for pool in spec.pools):
            self._host.add_address(name, BRIDGE_LINK_LOCAL)
        bridge.add_port(name, ours, mtu=spec.mtu, mac=mac)
        icc = _enabled(spec, ENABLE_ICC)
        rules = BridgeRules(name, subnets, spec.internal, _enabled(spec, ENABLE_MASQUERADE) and not spec.internal, icc)
        self._gateway.add_bridge(rules)
        self._networks[spec.id] = _Network(spec, name, bridge, icc)

    def names(self) -> dict[str, str]:
        """The networks' names by bridge."""
        return {network.interface: network.spec.name for network in self._networks.values()}

    def delete_network(self, network_id: str) -> None:
        """Remove the bridge and its gateway."""
        network = self._networks.pop(network_id)
        self._gateway.remove_bridge(network.interface)
        self._host.remove_interface(network.interface)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """Plug into the switch; the gateway is the host's address there."""
        network = self._networks[spec.network_id]
        self._endpoints[spec.id] = plug_in(
            network.bridge, spec, sandbox, plug, mtu=network.spec.mtu, isolated=not network.icc
        )
        return gateways(network.spec, spec)

    def link(self, client: str, server: str, services: Sequence[tuple[str, int]]) -> None:
        """Let one endpoint reach services ("tcp" or "udp", port) of another on the same bridge, whatever icc says;
        nothing for endpoints that are not here."""
        one, other = self._endpoints.get(client), self._endpoints.get(server)
        if one is None or other is None or one.bridge is not other.bridge:
            return
        for protocol, port in services:
            one.bridge.link(one.port, other.port, PROTOCOL_UDP if protocol == "udp" else PROTOCOL_TCP, port)

    def leave(self, endpoint_id: str) -> None:
        """Unplug."""
        self._endpoints.pop(endpoint_id).unplug()


def _enabled(spec: NetworkSpec, option: str) -> bool:
    return spec.options.get(option, "true").lower() not in _FALSE
