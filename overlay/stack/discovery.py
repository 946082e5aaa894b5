"""Neighbour Discovery of a host (RFC 4861) on the cache that ARP uses, and optimistic duplicate detection (RFC 4429):
an address is used from the start, and given up if another node says at once that it has it. Routers are not looked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from overlay.stack.interface import Interface
from overlay.stack.neighbours import NeighbourEntry
from overlay.wire import icmpv6, nd
from overlay.wire.address import ANY6, is_multicast
from overlay.wire.icmp import Icmp
from overlay.wire.ipv6 import PROTOCOL_ICMPV6, Packet6

if TYPE_CHECKING:
    from overlay.stack.stack import Stack

_IPV6 = b"\x86\xdd"
DETECTION = 1.0
"""Seconds in which an objection to a new address counts (RFC 4862's RetransTimer)."""


class Discovery:
    """The part of a stack that speaks ND."""

    __slots__ = ("_new", "stack")

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self._new: dict[tuple[int, bytes], float] = {}  # until when an objection counts

    def solicit(self, entry: NeighbourEntry) -> None:
        """Ask who has an address: its group, or the MAC that was known."""
        interface, target = entry.interface, entry.ip
        source = self.stack.source_for(interface, target)
        if source == ANY6:
            return  # without an address of its own nobody may ask: that would be a claim
        question = nd.Solicitation(target, interface.hardware).message()
        if entry.mac is not None:
            self._send(interface, entry.mac, source, target, question)
        else:
            group = nd.solicited_node(target)
            self._send(interface, nd.group_mac(group), source, group, question)

    def claim(self, interface: Interface, address: bytes) -> None:
        """A new address: ask whether somebody has it. An answer within a second takes it away."""
        self._new = {key: until for key, until in self._new.items() if until > self.stack.now}
        self._new[interface.index, address] = self.stack.now + DETECTION
        group = nd.solicited_node(address)
        self._send(interface, nd.group_mac(group), ANY6, group, nd.Solicitation(address).message())

    def announce(self, interface: Interface, address: bytes) -> None:
        """Neighbours that know the address get its MAC (RFC 4861 7.2.6)."""
        news = nd.Advertisement(address, interface.hardware, self.stack.forwarding).message()
        self._send(interface, nd.group_mac(nd.ALL_NODES), address, nd.ALL_NODES, news)

    def receive(self, packet: Packet6, message: Icmp, interface: Interface) -> None:
        """A solicitation or an advertisement. Raises `Malformed`."""
        if packet.ttl != nd.HOPS or packet.extensions or not interface.arp:
            self.stack.count("nd-not-from-the-link")
        elif message.type == icmpv6.NEIGHBOUR_SOLICITATION:
            self._solicited(packet, nd.parse_solicitation(message), interface)
        else:
            self._advertised(nd.parse_advertisement(message), interface)

    def _solicited(self, packet: Packet6, asked: nd.Solicitation, interface: Interface) -> None:
        if not interface.has(asked.target):
            return
        stack = self.stack
        answer = nd.Advertisement(asked.target, interface.hardware, stack.forwarding)
        if packet.source == ANY6:
            # Somebody is about to take our address.
            stack.count("nd-defended")
            self._send(interface, nd.group_mac(nd.ALL_NODES), asked.target, nd.ALL_NODES, answer.message())
            return
        mac = asked.mac
        if mac is None or mac[0] & 1 or interface.has(packet.source):
            return  # who asks by unicast and without its MAC is answered through what the cache knows: not needed here
        stack.neighbours.learn(interface, packet.source, mac, create=True, fresh=False)
        answer = nd.Advertisement(asked.target, interface.hardware, stack.forwarding, solicited=True)
        self._send(interface, mac, asked.target, packet.source, answer.message())

    def _advertised(self, said: nd.Advertisement, interface: Interface) -> None:
        stack = self.stack
        if interface.has(said.target):
            until = self._new.pop((interface.index, said.target), 0.0)
            if stack.now > until:
                stack.count("nd-conflict")
                return
            stack.count("nd-duplicate")
            prefix = next(bits for held, bits in interface.assigned if held == said.target)
            stack.remove_address(interface, said.target, prefix)
            return
        if is_multicast(said.target) or (said.mac is not None and said.mac[0] & 1):
            return
        stack.neighbours.advertised(interface, said.target, said.mac, solicited=said.solicited, override=said.override)

    def _send(self, interface: Interface, mac: bytes, source: bytes, destination: bytes, message: Icmp) -> None:
        body = icmpv6.emit(message, source, destination)
        packet = Packet6(source, destination, PROTOCOL_ICMPV6, body, ttl=nd.HOPS)
        self.stack.emit(interface, mac, _IPV6, packet.emit())
