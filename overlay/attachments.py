"""Which sandbox of this host is on which network, and the interfaces on docker_gwbridge that follow from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from overlay.drivers.driver import Driver, Offer, Plug
from overlay.drivers.null import NullDriver
from overlay.ipam.errors import IpamError
from overlay.ipam.mac import mac_from_ip
from overlay.ipam.pool import AddressPool
from overlay.namespace import Joined, Namespace
from overlay.sandbox import Sandbox
from overlay.spec import EndpointSpec, GatewayEndpoint, NetworkSpec


class Attachments:
    """Endpoints of this host. `next_index` numbers interfaces, `entropy` makes ids of the endpoints made here."""

    def __init__(
        self, *, next_index: Callable[[], int], entropy: Callable[[int], bytes], counters: Counter[str]
    ) -> None:
        self._next_index = next_index
        self._entropy = entropy
        self._counters = counters
        self._namespaces: dict[Sandbox, Namespace] = {}
        self._where: dict[str, Namespace] = {}
        self._bridge: tuple[NetworkSpec, Driver, AddressPool] | None = None

    def __contains__(self, endpoint_id: str) -> bool:
        return endpoint_id in self._where

    def attach(self, spec: EndpointSpec, network: NetworkSpec, driver: Driver, sandbox: Sandbox) -> Joined:
        """Join, and settle what the sandbox's way out is now."""
        namespace = self._namespaces.setdefault(sandbox, Namespace(sandbox))
        joined = self._join(spec, network, driver, namespace)
        self._settle(namespace)
        return joined

    def detach(self, endpoint_id: str) -> bool:
        """Leave, and settle the way out; False for an unknown id."""
        namespace = self._where.get(endpoint_id)
        if namespace is None:
            return False
        self._leave(endpoint_id, namespace)
        self._settle(namespace)
        return True

    def empty(self, sandbox: Sandbox) -> list[str]:
        """Leave everything, the sandbox is about to go; the ids of the endpoints that it had."""
        namespace = self._namespaces.pop(sandbox, None)
        left = list(namespace.endpoints) if namespace is not None else []
        for endpoint_id in left:
            self._leave(endpoint_id, self._where[endpoint_id])
        return left

    def active(self, network_id: str) -> bool:
        """Whether a sandbox of this host is on a network."""
        return any(
            joined.network.id == network_id
            for namespace in self._namespaces.values()
            for joined in namespace.endpoints.values()
        )

    def network_of(self, sandbox: Sandbox, interface: str) -> NetworkSpec | None:
        """The network that an interface of a sandbox is plugged into."""
        namespace = self._namespaces.get(sandbox)
        joined = namespace.endpoints.values() if namespace is not None else ()
        return next((each.network for each in joined if each.interface == interface), None)

    def default(self, sandbox: Sandbox) -> Joined | None:
        """The endpoint that a sandbox's default route goes through."""
        namespace = self._namespaces.get(sandbox)
        return namespace.default() if namespace is not None else None

    def gateway_endpoints(self) -> list[GatewayEndpoint]:
        """What docker_gwbridge holds."""
        found = [namespace.way_out() for namespace in self._namespaces.values()]
        return [
            GatewayEndpoint(
                joined.spec.id,
                joined.spec.name,
                joined.spec.container_id,
                joined.interface,
                joined.spec.mac,
                joined.spec.addresses[0],
            )
            for joined in found
            if joined is not None
        ]

    def open_bridge(self, network: NetworkSpec, driver: Driver, pool: AddressPool, first: Sandbox | None) -> None:
        """docker_gwbridge is there: `first` gets its first address, then all that wait for a way out."""
        self._bridge = network, driver, pool
        if first is not None:
            self.open_ingress(first)
        for namespace in list(self._namespaces.values()):
            self._settle(namespace)

    def close_bridge(self) -> None:
        """It is going; nobody is on it any more."""
        self._bridge = None

    def open_ingress(self, sandbox: Sandbox) -> None:
        """The ingress network's own sandbox: eth0 is its place on that network, eth1 its way out."""
        if self._bridge is None or sandbox in self._namespaces:
            return
        namespace = self._namespaces[sandbox] = Namespace(sandbox, always_out=True)
        namespace.next_interface()
        self._settle(namespace)

    def _join(
        self,
        spec: EndpointSpec,
        network: NetworkSpec,
        driver: Driver,
        namespace: Namespace,
        *,
        way_out: bool = False,
    ) -> Joined:
        interface, offer = "", Offer()
        if not isinstance(driver, NullDriver):
            # The other end of the cable has an index as well, as a veth pair's.
            interface, index = namespace.next_interface(spec.prefix), self._next_index()
            self._next_index()
            offer = driver.join(spec, namespace.sandbox, Plug(interface, index))
        joined = Joined(
            spec, network, driver, interface, offer.gateway, offer.direct, offer.gateway6, way_out, offer.closed
        )
        namespace.endpoints[spec.id] = joined
        self._where[spec.id] = namespace
        return joined

    def _leave(self, endpoint_id: str, namespace: Namespace) -> None:
        joined = namespace.endpoints.pop(endpoint_id)
        del self._where[endpoint_id]
        joined.driver.leave(endpoint_id)
        if joined.way_out and self._bridge is not None:
            self._bridge[2].release(joined.spec.addresses[0].partition("/")[0])

    def _settle(self, namespace: Namespace) -> None:
        """The way out through docker_gwbridge, then the default route."""
        present = namespace.way_out()
        needed = namespace.needs_way_out()
        if needed and present is None:
            self._give_way_out(namespace)
        elif not needed and present is not None:
            self._leave(present.spec.id, namespace)
        namespace.settle_route()

    def _give_way_out(self, namespace: Namespace) -> None:
        if self._bridge is None:
            return
        network, driver, pool = self._bridge
        try:
            address = pool.request()
        except IpamError:
            self._counters["gateway_addresses_exhausted"] += 1
            return
        name = namespace.sandbox.name
        spec = EndpointSpec(
            id=self._entropy(32).hex(),
            network_id=network.id,
            container_id=name,
            name=f"gateway_{name[:12]}",
            names=(),
            mac=mac_from_ip(address),
            addresses=(f"{address}/{pool.prefix_length}",),
        )
        self._join(spec, network, driver, namespace, way_out=True)
