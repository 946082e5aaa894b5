"""ICMPv6 of a host (RFC 4443): answers echo, makes errors, hands errors to sockets. Neighbours are `discovery`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from overlay.stack.icmp import IcmpArrival
from overlay.stack.interface import Interface
from overlay.wire import icmp, icmpv6
from overlay.wire.address import ANY, ANY6, is_multicast
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Malformed
from overlay.wire.ipv6 import MINIMUM_MTU, PROTOCOL_ICMPV6, Packet6, parse_quoted

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

# An error quotes as much as fits into the MTU that every link has (RFC 4443 3).
QUOTED = MINIMUM_MTU - 40 - 8

_ERRORS = {
    (icmp.UNREACHABLE, icmp.NET_UNREACHABLE): (icmpv6.UNREACHABLE, icmpv6.NO_ROUTE),
    (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE): (icmpv6.UNREACHABLE, icmpv6.ADDRESS_UNREACHABLE),
    (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE): (icmpv6.UNREACHABLE, icmpv6.PORT_UNREACHABLE),
    (icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED): (icmpv6.PACKET_TOO_BIG, 0),
    (icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED): (icmpv6.TIME_EXCEEDED, icmpv6.HOP_LIMIT_EXCEEDED),
    (icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED): (icmpv6.TIME_EXCEEDED, icmpv6.REASSEMBLY_EXCEEDED),
}
"""The rest of the stack says what is wrong in ICMP's words."""


class Icmp6Layer:
    """The part of a stack that speaks ICMPv6. Raw sockets are those of `IcmpLayer`: they get both."""

    __slots__ = ("stack",)

    def __init__(self, stack: Stack) -> None:
        self.stack = stack

    def send(self, source: bytes, destination: bytes, message: Icmp, *, ttl: int = 64) -> None:
        """Route and send; OSError(ENETUNREACH)."""
        stack = self.stack
        route = stack.route_to(destination)
        if source in (ANY, ANY6):
            source = route.preferred_source(destination)
        body = icmpv6.emit(message, source, destination)
        packet = Packet6(source, destination, PROTOCOL_ICMPV6, body, ttl=ttl)
        packet.dont_fragment = packet.total_length <= stack.path_mtu(destination, route)
        stack.output(packet, route)

    def receive(self, packet: Packet6, interface: Interface) -> None:
        """A whole ICMPv6 packet for this host."""
        stack = self.stack
        message = icmpv6.parse(packet.payload, packet.source, packet.destination)
        kind = message.type
        if kind == icmpv6.ECHO_REQUEST:
            own = ANY6 if is_multicast(packet.destination) else packet.destination
            reply = Icmp(icmpv6.ECHO_REPLY, 0, message.first, message.second, message.payload)
            try:
                self.send(own, packet.source, reply)
            except OSError:
                stack.count("icmp-no-route-back")
        elif kind == icmpv6.ECHO_REPLY:
            stack.icmp.give(IcmpArrival(packet, message, None, stack.now))
        elif kind in (icmpv6.NEIGHBOUR_SOLICITATION, icmpv6.NEIGHBOUR_ADVERTISEMENT):
            stack.discovery.receive(packet, message, interface)
        elif kind < icmpv6.INFORMATIONAL:
            self._error(packet, message)
        else:
            # Routers are configured (RFC 4861's advertisements are not taken), redirects not believed.
            stack.count("icmp6-ignored")

    def _error(self, packet: Packet6, message: Icmp) -> None:
        stack = self.stack
        try:
            quoted = parse_quoted(message.payload)
        except Malformed:
            stack.count("icmp-quote")
            return
        stack.icmp.give(IcmpArrival(packet, message, quoted, stack.now))
        known = icmpv6.as_ipv4(message)
        if message.type == icmpv6.PACKET_TOO_BIG:
            stack.learn_path_mtu(quoted, known.second)
        if quoted.protocol == PROTOCOL_UDP:
            stack.udp.error(quoted, known)
        elif quoted.protocol == PROTOCOL_TCP:
            stack.tcp.error(quoted, known)

    def error_about(self, packet: Packet6, kind: int, code: int, *, mtu: int = 0) -> None:
        """As `IcmpLayer.error_about`, in whose words the error is named."""
        self.report(packet, *_ERRORS[kind, code], mtu)

    def report(self, packet: Packet6, kind: int, code: int, word: int = 0, *, group: bool = False) -> None:
        """Tell the sender of `packet` what is wrong with it, unless RFC 4443 2.4 (e) forbids an error about it.
        `group`: this one may be about a packet to a group."""
        stack = self.stack
        multicast = is_multicast(packet.destination)
        if packet.source == ANY6 or is_multicast(packet.source) or packet.fragment_offset:
            return
        if multicast and not group and kind != icmpv6.PACKET_TOO_BIG:
            return
        if packet.protocol == PROTOCOL_ICMPV6 and (
            not packet.payload or packet.payload[0] < icmpv6.INFORMATIONAL or packet.payload[0] == icmpv6.REDIRECT
        ):
            return
        if not stack.icmp.allowed():
            stack.count("icmp-rate")
            return
        own = packet.destination if stack.is_local(packet.destination) else ANY6
        quote = packet.emit()[:QUOTED]
        try:
            self.send(own, packet.source, Icmp(kind, code, word >> 16, word & 0xFFFF, quote))
        except OSError:
            stack.count("icmp-no-route-back")
