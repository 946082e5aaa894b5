"""The IPv6 host and router (RFC 8200, RFC 4291): what differs from IPv4 on the way in, and which link an address of
one link is on. Forwarding, output and sockets are the stack's own, for both."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overlay.stack.interface import Interface
from overlay.stack.reassembly import Reassembly
from overlay.stack.routes import RouteEntry
from overlay.wire import extension, icmp, icmpv6, ipv6
from overlay.wire.address import ANY6, LOCALHOST6, is_link_local, is_multicast
from overlay.wire.extension import BadExtension
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Packet
from overlay.wire.ipv6 import HEADER_LENGTH, NO_NEXT_HEADER, PROTOCOL_ICMPV6, Packet6
from overlay.wire.nd import ALL_NODES, solicited_node

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

_ZONES = 1024


class Ipv6Layer:
    """The part of a stack that takes IPv6 packets.

    `zones`: on which interface each link-local address was last named or heard of. A program that answers need not
    carry the zone about (RFC 4007 leaves it to the node how it is kept).
    """

    __slots__ = ("_groups", "_on_link", "reassembly", "stack", "zones")

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.reassembly = Reassembly(
            stack.timers, lambda first: stack.icmp.error_about(first, icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED)
        )
        self.zones: dict[bytes, Interface] = {}
        self._groups: dict[tuple[int, bytes], None] = {}
        self._on_link: dict[int, RouteEntry] = {}

    def configured(self) -> None:
        """Addresses or interfaces changed: groups to listen to (RFC 4291, 2.8)."""
        self._groups = {}
        self._on_link = {}
        for interface in self.stack.interfaces.values():
            if interface.ipv6:
                self._groups[interface.index, ALL_NODES] = None
                for address, _ in interface.assigned:
                    if len(address) == 16:
                        self._groups[interface.index, solicited_node(address)] = None
        present = self.stack.interfaces
        self.zones = {at: link for at, link in self.zones.items() if present.get(link.name) is link}

    def note_zone(self, address: bytes, interface: Interface) -> None:
        """A link-local address is on this interface's link."""
        if self.zones.get(address) is not interface:
            if len(self.zones) >= _ZONES:
                del self.zones[next(iter(self.zones))]
            self.zones[address] = interface

    def scoped_route(self, destination: bytes) -> RouteEntry | None:
        """How to reach an address or a group of one link; None for others, which the table knows."""
        if not is_link_local(destination) and destination[0] != 0xFF:
            return None
        interface = self.zones.get(destination)
        if interface is None or not interface.up:
            usable = (each for each in self.stack.interfaces.values() if each.ipv6 and each.up and not each.loopback)
            interface = next(usable, None)
        if interface is None:
            return None
        route = self._on_link.get(interface.index)
        if route is None:
            route = self._on_link[interface.index] = RouteEntry(b"\xfe\x80" + bytes(14), 64, None, interface, None)
        return route

    # ------------------------------------------------------------------ in

    def receive(self, interface: Interface, frame: bytes) -> None:
        """A frame from a wire. Raises `Malformed`."""
        stack = self.stack
        if not interface.ipv6:
            interface.counters.rx_dropped += 1
            stack.count("ip6-disabled")
            return
        packet: Packet | None = ipv6.parse(frame, 14)
        assert isinstance(packet, Packet6)
        packet.in_interface = interface.name
        source = packet.source
        if source[0] == 0xFF or (LOCALHOST6 in (source, packet.destination) and not interface.loopback):
            stack.count("ip-martian")
            return
        if source[0] == 0xFE and is_link_local(source):
            self.note_zone(source, interface)
        hook = stack.hooks.prerouting
        if hook is not None and packet.destination[0] != 0xFF:
            whole = self._whole(packet) if packet.is_fragment else packet
            packet = hook(whole) if whole is not None else None
            if packet is None:
                if whole is not None:
                    stack.count("hook-prerouting")
                return
            if not isinstance(packet, Packet6):
                return
        destination = packet.destination
        try:
            if destination in stack.local_addresses:
                self._deliver(packet, interface, group=False)
            elif destination[0] == 0xFF:
                if (interface.index, destination) in self._groups:
                    self._deliver(packet, interface, group=True)
                else:
                    stack.count("ip-multicast")
            elif stack.forwarding and not frame[0] & 1:
                self._pass_on(packet, interface)
            else:
                stack.count("ip-not-for-us")
        except BadExtension as bad:
            stack.icmp6.report(packet, icmpv6.PARAMETER_PROBLEM, bad.code, bad.pointer, group=bad.multicast)
            raise

    def _whole(self, packet: Packet6) -> Packet6 | None:
        whole = self.reassembly.add(packet, self.stack.now)
        if whole is None:
            return None
        assert isinstance(whole, Packet6)
        if whole.total_length > ipv6.MAX_LENGTH:
            self.stack.count("fragment-size")  # with the first piece's extension headers it is more than can be
            return None
        ipv6.unwrap(whole)
        whole.dont_fragment = False  # who put it together cuts it again where it goes on
        return whole

    def _pass_on(self, packet: Packet6, interface: Interface) -> None:
        if is_link_local(packet.source) or is_link_local(packet.destination) or packet.source == ANY6:
            self.stack.count("ip6-beyond-scope")  # RFC 4007, 9
            return
        if packet.extensions:
            extension.check(packet.extensions, HEADER_LENGTH, arrived=False)
        self.stack.forward(packet, interface)

    def _deliver(self, packet: Packet6, interface: Interface, *, group: bool) -> None:
        stack = self.stack
        if packet.is_fragment:
            whole = self._whole(packet)
            if whole is None:
                return
            packet = whole
        if packet.extensions:
            extension.check(packet.extensions, HEADER_LENGTH, arrived=True)
        hook = stack.hooks.input
        if hook is not None:
            passed = hook(packet)
            if not isinstance(passed, Packet6):
                stack.count("hook-input")
                return
            packet = passed
        protocol = packet.protocol
        if protocol == PROTOCOL_TCP:
            if group:
                stack.count("tcp-broadcast")
            else:
                stack.tcp.receive(packet)
        elif protocol == PROTOCOL_UDP:
            stack.udp.receive(packet, broadcast=group)
        elif protocol == PROTOCOL_ICMPV6:
            stack.icmp6.receive(packet, interface)
        elif protocol != NO_NEXT_HEADER:
            stack.count("ip-protocol")
            # The pointer is at the field that names it: the header's own, or the last extension header's first byte.
            at = sum(len(each.body) for each in packet.extensions[:-1]) + HEADER_LENGTH if packet.extensions else 6
            if not is_multicast(packet.destination):
                stack.icmp6.report(packet, icmpv6.PARAMETER_PROBLEM, icmpv6.UNKNOWN_NEXT_HEADER, at)
