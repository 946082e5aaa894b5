"""What an administrator sets on a stack: interfaces, addresses, routes, permanent neighbours."""

from __future__ import annotations

import errno
from collections.abc import Callable
from random import Random

from overlay.stack.interface import LOOPBACK_MTU, Interface
from overlay.stack.neighbours import NeighbourCache, NeighbourEntry
from overlay.stack.routes import RouteEntry, RoutingTable
from overlay.stack.timers import Timers
from overlay.stack.udp import failure
from overlay.wire.address import LOCALHOST6, broadcast_of, network_of
from overlay.wire.ipv4 import Packet
from overlay.wire.nd import link_local

# Linux's IP6_RT_PRIO_ADDRCONF and IP6_RT_PRIO_USER.
IPV6_LINK_METRIC = 256
IPV6_METRIC = 1024


class Configuration:
    """The part of `Stack` that holds its configuration. A loopback interface is there from the start, but its
    `transmit` drops until somebody sets it (`lo.transmit`)."""

    random: Random

    def __init__(self) -> None:
        self.now = 0.0
        self.timers = Timers()
        self.routes = RoutingTable()
        self.neighbours = NeighbourCache(self)
        self.interfaces: dict[str, Interface] = {}
        self.local_addresses: dict[bytes, Interface] = {}
        self.broadcasts: dict[bytes, Interface] = {}
        self._to_self: dict[bytes, RouteEntry] = {}
        self.lo = self.add_interface("lo", hardware=bytes(6), mtu=LOOPBACK_MTU, transmit=lambda frame: None, index=1)
        self.lo.loopback = True
        self.add_address(self.lo, b"\x7f\x00\x00\x01", 8)

    def configured(self) -> None:
        """See `Stack`."""
        raise NotImplementedError

    def solicit(self, entry: NeighbourEntry) -> None:
        """See `Stack`."""
        raise NotImplementedError

    def deliver_waiting(self, entry: NeighbourEntry, packets: list[Packet]) -> None:
        """See `Stack`."""
        raise NotImplementedError

    def unreachable(self, packets: list[Packet]) -> None:
        """See `Stack`."""
        raise NotImplementedError

    # ------------------------------------------------------------------ interfaces

    def add_interface(
        self,
        name: str,
        *,
        hardware: bytes,
        mtu: int,
        transmit: Callable[[bytes], None],
        index: int | None = None,
        gso_size: int = 0,
    ) -> Interface:
        """A new interface, up, without addresses. OSError(EEXIST) if name or index are taken."""
        taken = [interface.index for interface in self.interfaces.values()]
        if name in self.interfaces or index in taken:
            raise failure(errno.EEXIST)
        interface = Interface(name, index or max(taken, default=0) + 1, hardware, mtu, transmit, gso_size)
        self.interfaces[name] = interface
        return interface

    def remove_interface(self, interface: Interface) -> None:
        """Take it out with its addresses, routes and neighbours."""
        for address, prefix in list(interface.assigned):
            self.remove_address(interface, address, prefix)
        for route in [route for route in self.routes.entries if route.interface is interface]:
            self.routes.remove(route)
        self.neighbours.forget(interface)
        interface.up = False
        del self.interfaces[interface.name]
        self.configured()

    def set_up(self, interface: Interface, up: bool) -> None:
        """Down: it drops both ways, its routes are not used, its neighbours are forgotten."""
        interface.up = up
        if not up:
            self.neighbours.forget(interface)
        self.routes.changed()

    # ------------------------------------------------------------------ addresses

    def enable_ipv6(self, interface: Interface) -> None:
        """Let it take IPv6, with its link-local address. lo follows the first that does, as Docker has it."""
        if interface.ipv6:
            return
        interface.ipv6 = True
        if interface.loopback:
            self.add_address(interface, LOCALHOST6, 128)
            return
        self.enable_ipv6(self.lo)
        self.add_address(interface, link_local(interface.hardware), 64)

    def add_address(self, interface: Interface, address: bytes, prefix: int) -> None:
        """With its link route and its broadcast address; the first of IPv6 enables that. OSError(EEXIST) if it is
        there."""
        if interface.has(address) and (len(address) == 16 or (address, prefix) in interface.assigned):
            raise failure(errno.EEXIST)
        if len(address) == 16 and not interface.ipv6:
            self.enable_ipv6(interface)
            if interface.has(address):
                return
        interface.assign(address, prefix)
        self.local_addresses.setdefault(address, interface)
        bits = len(address) * 8
        if prefix < bits and not interface.loopback:
            network = network_of(address, prefix)
            if not any(
                route.kernel and route.interface is interface and (route.network, route.prefix) == (network, prefix)
                for route in self.routes.entries
            ):
                self._add_link_route(network, prefix, interface, address)
        self._addresses_changed()

    def _add_link_route(self, network: bytes, prefix: int, interface: Interface, address: bytes) -> None:
        six = len(address) == 16
        source, metric = (None, IPV6_LINK_METRIC) if six else (address, 0)
        self.routes.add(RouteEntry(network, prefix, None, interface, source, metric, kernel=True))

    def remove_address(self, interface: Interface, address: bytes, prefix: int) -> None:
        """OSError(EADDRNOTAVAIL) if it is not there. Routes that used it as their source go too."""
        if (address, prefix) not in interface.assigned:
            raise failure(errno.EADDRNOTAVAIL)
        interface.assigned.remove((address, prefix))
        if address in interface.nodad:
            interface.nodad.remove(address)
        self.local_addresses = {}
        for other in self.interfaces.values():
            for held, _ in other.assigned:
                self.local_addresses.setdefault(held, other)
        network = network_of(address, prefix)
        twin = next(
            (held for held, bits in interface.assigned if (network_of(held, bits), bits) == (network, prefix)), None
        )
        for route in [route for route in self.routes.entries if route.source == address]:
            self.routes.remove(route)
            if route.kernel and twin is not None:
                self._add_link_route(network, prefix, interface, twin)
        if len(address) == 16 and twin is None:
            for route in [route for route in self.routes.entries if route.kernel and route.interface is interface]:
                if (route.network, route.prefix) == (network, prefix):
                    self.routes.remove(route)
        self._addresses_changed()

    def _addresses_changed(self) -> None:
        self.broadcasts = {}
        for interface in self.interfaces.values():
            for address, prefix in interface.assigned:
                if prefix < len(address) * 8 - 1 and len(address) == 4 and not interface.loopback:
                    self.broadcasts.setdefault(broadcast_of(address, prefix), interface)
        self._to_self.clear()
        self.routes.changed()
        self.configured()

    def is_local(self, address: bytes) -> bool:
        """Whether it is one of ours (all of 127/8 is)."""
        return address in self.local_addresses or (len(address) == 4 and address[0] == 127)

    def is_broadcast(self, address: bytes) -> bool:
        """255.255.255.255, or the broadcast address of one of our networks."""
        return address == b"\xff\xff\xff\xff" or address in self.broadcasts

    def route_to_self(self, destination: bytes) -> RouteEntry:
        """Over lo, with the destination as source, as Linux's table `local` has it."""
        route = self._to_self.get(destination)
        if route is None:
            source = destination if destination in self.local_addresses else b"\x7f\x00\x00\x01"
            route = self._to_self[destination] = RouteEntry(destination, len(destination) * 8, None, self.lo, source)
        return route

    # ------------------------------------------------------------------ routes

    def add_route(
        self,
        network: bytes,
        prefix: int,
        via: bytes | None,
        interface: Interface | None,
        source: bytes | None,
        metric: int,
    ) -> None:
        """OSError: ENETUNREACH when `via` is not on a link, EEXIST, EINVAL when the source is not ours. `metric` 0 is
        the family's own: of IPv6 1024."""
        if len(network) == 16:
            metric = metric or IPV6_METRIC
        if via is not None and len(via) != len(network):
            raise failure(errno.EINVAL)
        if via is not None:
            towards = self.routes.lookup(via)
            if interface is None:
                if towards is None or towards.via is not None:
                    raise failure(errno.ENETUNREACH)
                interface = towards.interface
            elif not any(
                route.interface is interface
                and route.via is None
                and len(route.network) == len(via)
                and network_of(via, route.prefix) == route.network
                for route in self.routes.entries
            ):
                raise failure(errno.ENETUNREACH)
        if interface is None:
            raise failure(errno.ENODEV)
        if source is not None and not self.is_local(source):
            raise failure(errno.EINVAL)
        self.routes.add(RouteEntry(network_of(network, prefix), prefix, via, interface, source, metric))

    def remove_route(self, network: bytes, prefix: int, via: bytes | None, interface: Interface | None) -> None:
        """OSError(ESRCH) if none fits."""
        for route in self.routes.entries:
            if (
                (route.network, route.prefix) == (network_of(network, prefix), prefix)
                and via in (None, route.via)
                and interface in (None, route.interface)
            ):
                self.routes.remove(route)
                return
        raise failure(errno.ESRCH)
