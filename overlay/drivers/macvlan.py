"""The macvlan driver: endpoints with MACs of their own on a parent interface's network. Texts are libnetwork's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from overlay.drivers.driver import Offer, Plug, gateways
from overlay.drivers.parent import ParentOptions, claim, release
from overlay.lower import LowerDevice
from overlay.macvlan import MacvlanDevice, Mode
from overlay.parents import Parents
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec
from overlay.wire.address import pack_mac

MODE = "macvlan_mode"
_KIND = "macvlan"


@dataclass(slots=True)
class _Network:
    spec: NetworkSpec
    parent: ParentOptions
    mode: Mode
    lower: LowerDevice | None = None
    device: MacvlanDevice | None = None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    network: _Network
    mac: bytes
    sandbox: Sandbox
    interface: str


class MacvlanDriver:
    """macvlan networks of one host."""

    def __init__(self, parents: Parents, *, counters: Counter[str]) -> None:
        self._parents = parents
        self._counters = counters
        self._networks: dict[str, _Network] = {}
        self._endpoints: dict[str, _Endpoint] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: a mode or parent that is none, or a parent that another macvlan network has."""
        wanted = spec.options.get(MODE) or Mode.BRIDGE.value
        mode = next((mode for mode in Mode if mode.value == wanted), None)
        if mode is None:
            raise NetworkError(
                f"requested macvlan mode '{wanted}' is not valid, 'bridge' mode is the macvlan driver default"
            )
        parent = claim(self._parents, spec, _KIND, [known.parent for known in self._networks.values()])
        self._networks[spec.id] = _Network(spec, parent, mode)

    def delete_network(self, network_id: str) -> None:
        """With what was made as its parent."""
        release(self._parents, self._networks.pop(network_id).parent)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """A slave of the parent; the gateway is the subnet's, somebody on the network."""
        network = self._networks[spec.network_id]
        lower, device = self._open(network)
        try:
            if network.mode is Mode.PASSTHRU and device.slaves:
                raise NetworkError("failed to create the macvlan port: invalid argument")
            self._plug(spec, sandbox, plug, network, lower, device)
        finally:
            self._close_if_empty(network)
        return gateways(network.spec, spec)

    def leave(self, endpoint_id: str) -> None:
        """Take the slave away."""
        endpoint = self._endpoints.pop(endpoint_id)
        if any(interface.name == endpoint.interface for interface in endpoint.sandbox.interfaces()):
            endpoint.sandbox.remove_interface(endpoint.interface)
        if endpoint.network.device is not None:
            endpoint.network.device.unplug(endpoint.mac)
        self._close_if_empty(endpoint.network)

    def _open(self, network: _Network) -> tuple[LowerDevice, MacvlanDevice]:
        if network.lower is None or network.device is None:
            lower = self._parents.lower(network.parent.name)
            device = MacvlanDevice(lower, network.mode, counters=self._counters)
            self._parents.seize(lower, device, _KIND)
            network.lower, network.device = lower, device
        return network.lower, network.device

    def _close_if_empty(self, network: _Network) -> None:
        if network.lower is not None and network.device is not None and not network.device.slaves:
            self._parents.free(network.lower)
            network.lower = network.device = None

    def _plug(
        self,
        spec: EndpointSpec,
        sandbox: Sandbox,
        plug: Plug,
        network: _Network,
        lower: LowerDevice,
        device: MacvlanDevice,
    ) -> None:
        try:
            port = device.plug(spec.mac, spec.all_addresses)
        except ValueError as error:
            raise NetworkError(f"failed to create the macvlan port: {error}") from error
        mac = pack_mac(spec.mac)
        try:
            sandbox.add_interface(
                plug.interface, mac=spec.mac, mtu=lower.mtu, addresses=spec.all_addresses, port=port, index=plug.index
            )
        except (OSError, ValueError) as error:
            device.unplug(mac)
            raise NetworkError(f"failed to add interface {plug.interface} to sandbox: {error}") from error
        self._endpoints[spec.id] = _Endpoint(network, mac, sandbox, plug.interface)
