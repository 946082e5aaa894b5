"""The ipvlan driver: endpoints that share the parent interface's MAC. Texts are libnetwork's."""

from __future__ import annotations

from collections import Counter
from enum import Enum
from typing import TypeVar

from overlay.drivers.driver import Offer, Plug, gateways
from overlay.drivers.parent import Stand, claim
from overlay.ipvlan import Flag, IpvlanDevice, Mode
from overlay.lower import LowerDevice
from overlay.parents import Parents
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec

MODE, FLAG = "ipvlan_mode", "ipvlan_flag"
_KIND = "ipvlan"
Choice = TypeVar("Choice", bound=Enum)


class IpvlanDriver:
    """ipvlan networks of one host."""

    def __init__(self, parents: Parents, *, counters: Counter[str]) -> None:
        self._parents = parents
        self._counters = counters
        self._stands: dict[str, Stand[IpvlanDevice]] = {}
        self._where: dict[str, Stand[IpvlanDevice]] = {}

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
        parent = claim(self._parents, spec, _KIND, [known.parent for known in self._stands.values()])

        def make(lower: LowerDevice) -> IpvlanDevice:
            return IpvlanDevice(lower, self._parents.host, mode, flag, counters=self._counters)

        self._stands[spec.id] = Stand(spec, _KIND, self._parents, parent, make, arp=mode is Mode.L2)

    def delete_network(self, network_id: str) -> None:
        """With what was made as its parent."""
        self._stands.pop(network_id).release()

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """A slave of the parent. In l3 modes its interface is its way out, in l2 the subnet's gateway."""
        stand = self._stands[spec.network_id]
        stand.join(spec, sandbox, plug, lambda device: device.plug(spec.all_addresses), own_mac=False)
        self._where[spec.id] = stand
        return gateways(stand.spec, spec) if stand.arp else Offer(direct=True)

    def leave(self, endpoint_id: str) -> None:
        """Take the slave away."""
        self._where.pop(endpoint_id).leave(endpoint_id)


def _chosen(kind: type[Choice], text: str) -> Choice | None:
    return next((each for each in kind if each.value == text), None)
