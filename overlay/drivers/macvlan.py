"""The macvlan driver: endpoints with MACs of their own on a parent interface's network. Texts are libnetwork's."""

from __future__ import annotations

from collections import Counter

from overlay.drivers.driver import Offer, Plug, gateways
from overlay.drivers.parent import Stand, claim
from overlay.lower import LowerDevice
from overlay.macvlan import MacvlanDevice, Mode
from overlay.parents import Parents
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, NetworkError, NetworkSpec

MODE = "macvlan_mode"
_KIND = "macvlan"


class MacvlanDriver:
    """macvlan networks of one host."""

    def __init__(self, parents: Parents, *, counters: Counter[str]) -> None:
        self._parents = parents
        self._counters = counters
        self._stands: dict[str, Stand[MacvlanDevice]] = {}
        self._where: dict[str, Stand[MacvlanDevice]] = {}

    def create_network(self, spec: NetworkSpec) -> None:
        """NetworkError: a mode or parent that is none, or a parent that another macvlan network has."""
        wanted = spec.options.get(MODE) or Mode.BRIDGE.value
        mode = next((mode for mode in Mode if mode.value == wanted), None)
        if mode is None:
            raise NetworkError(
                f"requested macvlan mode '{wanted}' is not valid, 'bridge' mode is the macvlan driver default"
            )
        parent = claim(self._parents, spec, _KIND, [known.parent for known in self._stands.values()])

        def make(lower: LowerDevice) -> MacvlanDevice:
            return MacvlanDevice(lower, mode, counters=self._counters)

        self._stands[spec.id] = Stand(spec, _KIND, self._parents, parent, make)

    def delete_network(self, network_id: str) -> None:
        """With what was made as its parent."""
        self._stands.pop(network_id).release()

    def join(self, spec: EndpointSpec, sandbox: Sandbox, plug: Plug) -> Offer:
        """A slave of the parent; the gateway is the subnet's, somebody on the network."""
        stand = self._stands[spec.network_id]
        stand.join(spec, sandbox, plug, lambda device: device.plug(spec.mac, spec.all_addresses), own_mac=True)
        self._where[spec.id] = stand
        return gateways(stand.spec, spec)

    def leave(self, endpoint_id: str) -> None:
        """Take the slave away."""
        self._where.pop(endpoint_id).leave(endpoint_id)
