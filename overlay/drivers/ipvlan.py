"""The ipvlan driver: endpoints that share the parent interface's MAC. Texts are libnetwork's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import Enum
from typing import TypeVar

from overlay.drivers.driver import Offer, Plug, gateways
from overlay.drivers.parent import ParentOptions, claim, release
from overlay.ipvlan import Flag, IpvlanDevice, Mode
from overlay.lower import LowerDevice
from overlay.parents import Parents
from overlay.port import Port
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec

MODE, FLAG = "ipvlan_mode", "ipvlan_flag"
_KIND = "ipvlan"
Choice = TypeVar("Choice", bound=Enum)


@dataclass(slots=True)
class _Network:
    spec: NetworkSpec
    parent: ParentOptions
    mode: Mode
    flag: Flag
    lower: LowerDevice | None = None
    device: IpvlanDevice | None = None


@dataclass(frozen=True, slots=True)
class _Endpoint:
    network: _Network
    port: Port
    sandbox: Sandbox
    interface: str


class IpvlanDriver:
    """ipvlan networks of one host."""

    def __init__(self, parents: Parents, *, counters: Counter[str]) -> None:
        self._parents = parents
        self._counters = counters
        self._networks: dict[str, _Network] = {}
        self._endpoints: dict[str, _Endpoint] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: a mode, flag or parent that is none, or a parent that another ipvlan network has."""
        wanted = spec.options.get(MODE) or Mode.L2.value
        mode = _chosen(Mode, wanted)
        if mode is None:
            raise NetworkError(f"requested ipvlan mode '{wanted}' is not valid, 'l2' mode is the ipvlan driver default")
        wanted = spec.options.get(FLAG) or Flag.BRIDGE.value
        flag = _chosen(Flag, wanted)
        if flag is None:
            raise NetworkError(f"requested ipvlan flag '{wanted}' is not valid, 'bridge' is the ipvlan driver default")
        parent = claim(self._parents, spec, _KIND, [known.parent for known in self._networks.values()])
        self._networks[spec.id] = _Network(spec, parent, mode, flag)

    def delete_network(self, network_id: str) -> None:
        """With what was made as its parent."""
        release(self._parents, self._networks.pop(network_id).parent)

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """A slave of the parent. In l3 modes its interface is its way out, in l2 the subnet's gateway."""
        network = self._networks[spec.network_id]
        lower, device = self._open(network)
        try:
            self._plug(spec, sandbox, plug, network, lower, device)
        finally:
            self._close_if_empty(network)
        if network.mode is Mode.L2:
            return gateways(network.spec, spec)
        return Offer(direct=True)

    def leave(self, endpoint_id: str) -> None:
        """Take the slave away."""
        endpoint = self._endpoints.pop(endpoint_id)
        if any(interface.name == endpoint.interface for interface in endpoint.sandbox.interfaces()):
            endpoint.sandbox.remove_interface(endpoint.interface)
        if endpoint.network.device is not None:
            endpoint.network.device.unplug(endpoint.port)
        self._close_if_empty(endpoint.network)

    def _open(self, network: _Network) -> tuple[LowerDevice, IpvlanDevice]:
        if network.lower is None or network.device is None:
            lower = self._parents.lower(network.parent.name)
            device = IpvlanDevice(lower, self._parents.host, network.mode, network.flag, counters=self._counters)
            self._parents.seize(lower, device, _KIND)
            network.lower, network.device = lower, device
        return network.lower, network.device

    def _close_if_empty(self, network: _Network) -> None:
        if network.lower is not None and network.device is not None and not network.device.ports:
            self._parents.free(network.lower)
            network.lower = network.device = None

    def _plug(
        self,
        spec: EndpointSpec,
        sandbox: Sandbox,
        plug: Plug,
        network: _Network,
        lower: LowerDevice,
        device: IpvlanDevice,
    ) -> None:
        try:
            port = device.plug(spec.all_addresses)
        except ValueError as error:
            raise NetworkError(f"failed to create the ipvlan port: {error}") from error
        try:
            sandbox.add_interface(
                plug.interface,
                mac=lower.mac,
                mtu=lower.mtu,
                addresses=spec.all_addresses,
                port=port,
                index=plug.index,
                arp=network.mode is Mode.L2,
            )
        except (OSError, ValueError) as error:
            device.unplug(port)
            raise NetworkError(f"failed to add interface {plug.interface} to sandbox: {error}") from error
        self._endpoints[spec.id] = _Endpoint(network, port, sandbox, plug.interface)


def _chosen(kind: type[Choice], text: str) -> Choice | None:
    return next((each for each in kind if each.value == text), None)
