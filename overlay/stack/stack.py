"""The IP host and router (RFC 1122, RFC 1812): what comes in from interfaces, what goes out, what is passed on. How
IPv6 comes in is in `ipv6`.

No I/O: `receive(interface, frame, now)` takes a frame, `Interface.transmit` is where frames go, `next_timer()` and
`handle_timer(now)` are the clock, `flush(now)` says that a burst is over (TCP acknowledges bursts, not frames).
Protocols are in modules of their own; here is only what they share.
"""

from __future__ import annotations

import errno
from collections import Counter
from collections.abc import Sequence
from random import Random

from overlay.stack.configuration import Configuration
from overlay.stack.discovery import Discovery
from overlay.stack.gso import segment_packet
from overlay.stack.hooks import Hooks
from overlay.stack.icmp import IcmpLayer
from overlay.stack.icmpv6 import Icmp6Layer
from overlay.stack.interface import Interface
from overlay.stack.ipv6 import Ipv6Layer
from overlay.stack.neighbours import NeighbourEntry
from overlay.stack.path_mtu import PathMtu
from overlay.stack.reassembly import Reassembly, fragment, fragment6
from overlay.stack.routes import RouteEntry
from overlay.stack.tcp.layer import TcpLayer
from overlay.stack.udp import UdpLayer, failure
from overlay.wire import arp, icmp
from overlay.wire.address import ANY, ANY6, BROADCAST, BROADCAST_MAC, is_multicast
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet, parse
from overlay.wire.ipv6 import Packet6
from overlay.wire.nd import group_mac

_IPV4 = b"\x08\x00"
_ARP = b"\x08\x06"
_IPV6 = b"\x86\xdd"
_ANNOUNCED = _ARP + bytes.fromhex("0001080006040001")
_LOOPBACK_HEADER = bytes(12) + _IPV4
_LOOPBACK_HEADER6 = bytes(12) + _IPV6


class Stack(Configuration):
    """One network namespace's protocols. `now` is the time of the call that is being handled, in seconds."""

    def __init__(self, random: Random) -> None:
        self.random = random
        self.counters: Counter[str] = Counter()
        self.hooks = Hooks()
        self.forwarding = False
        self._identification = random.getrandbits(16)
        self._ready = False
        super().__init__()
        self.discovery = Discovery(self)
        self.ip6 = Ipv6Layer(self)
        self.icmp6 = Icmp6Layer(self)
        self.reassembly = Reassembly(
            self.timers, lambda first: self.icmp.error_about(first, icmp.TIME_EXCEEDED, icmp.REASSEMBLY_EXCEEDED)
        )
        self.paths = PathMtu()
        self.icmp = IcmpLayer(self)
        self.udp = UdpLayer(self)
        self.tcp = TcpLayer(self)
        self._ready = True

    def configured(self) -> None:
        """Interfaces or addresses are not what they were."""
        if self._ready:
            self.ip6.configured()

    def count(self, name: str) -> None:
        """One more of what is dropped or odd."""
        self.counters[name] += 1

    def next_identification(self) -> int:
        """For the IP header of a packet of our own."""
        self._identification = self._identification + 1 & 0xFFFF
        return self._identification

    # ------------------------------------------------------------------ time

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called."""
        return self.timers.next()

    def handle_timer(self, now: float) -> None:
        """Do what is due at `now`."""
        self.now = now
        self.timers.run(now)

    def flush(self, now: float) -> None:
        """No more frames for the moment: send the acknowledgements that the burst is owed."""
        self.now = now
        self.tcp.flush(now)

    # ------------------------------------------------------------------ in

    def receive(self, interface: Interface, frame: bytes, now: float) -> None:
        """A frame from a wire. What is wrong with it is counted; nothing is raised."""
        self.now = now
        counters = interface.counters
        if not interface.up:
            counters.rx_dropped += 1
            return
        counters.rx_packets += 1
        counters.rx_bytes += len(frame)
        group = len(frame) > 0 and frame[0] & 1 == 1
        if not group and frame[:6] != interface.hardware:
            self.count("ethernet-other-host")
            return
        kind = frame[12:14]
        try:
            if kind == _IPV4:
                self._receive_ipv4(interface, parse(frame, 14), group)
            elif kind == _IPV6:
                self.ip6.receive(interface, frame)
            elif kind == _ARP:
                self._receive_arp(interface, arp.parse(frame, 14))
            else:
                counters.rx_dropped += 1
                self.count("ethertype-unknown" if len(kind) == 2 else "ethernet-short")
        except Malformed as error:
            counters.rx_errors += 1
            self.count(error.reason)

    def ignores(self, interface: Interface, frame: bytes) -> bool:
        """Whether a broadcast frame is an announcement (an ARP request for the sender's own address) that changes
        nothing here: neither is the address ours nor has anybody asked for it. It is counted as received, and that was
        all. A thousand containers that start on one network tell one another half a million times."""
        ip = frame[28:32]
        if frame[38:42] != ip or frame[12:22] != _ANNOUNCED or len(frame) < 42 or not interface.up:
            return False
        if ip in self.local_addresses or (interface.index, ip) in self.neighbours.entries:
            return False
        counters = interface.counters
        counters.rx_packets += 1
        counters.rx_bytes += len(frame)
        return True

    def _receive_arp(self, interface: Interface, message: arp.Arp) -> None:
        if message.sender_mac[0] & 1 or not interface.arp:
            return
        if self.is_local(message.sender_ip):
            if message.sender_mac != interface.hardware:  # ipvlan's slaves share a MAC: one's own needs both
                self.count("arp-conflict")
            return
        ours = self.is_local(message.target_ip) and message.target_ip[0] != 127
        self.neighbours.learn(
            interface, message.sender_ip, message.sender_mac, create=ours and message.operation == arp.REQUEST
        )
        if ours and message.operation == arp.REQUEST:
            reply = arp.Arp(arp.REPLY, interface.hardware, message.target_ip, message.sender_mac, message.sender_ip)
            self.emit(interface, message.sender_mac, _ARP, reply.emit())

    def _receive_ipv4(self, interface: Interface, packet: Packet, group: bool) -> None:
        packet.in_interface = interface.name
        source = packet.source
        if not interface.loopback and self._is_martian(source, packet.destination):
            self.count("ip-martian")
            return
        hook = self.hooks.prerouting
        if hook is not None:
            whole = self._whole(packet) if packet.is_fragment else packet
            if whole is None:
                return
            translated = hook(whole)
            if translated is None:
                self.count("hook-prerouting")
                return
            packet = translated
        destination = packet.destination
        if destination in self.local_addresses or (destination[0] == 127 and interface.loopback):
            self._deliver(packet, broadcast=group)
        elif destination == BROADCAST or destination in self.broadcasts:
            self._deliver(packet, broadcast=True)
        elif is_multicast(destination):
            self.count("ip-multicast")
        elif self.forwarding and not group and destination[0] != 127:
            self.forward(packet, interface)
        else:
            self.count("ip-not-for-us")

    def _is_martian(self, source: bytes, destination: bytes) -> bool:
        """Whether no packet from a wire can have this source (RFC 1122 3.2.1.3, RFC 1812 5.3.7): a group, a broadcast
        address, this host itself; "this network" only where who has no address yet speaks to all."""
        first = source[0]
        if first >= 224 or first == 127 or source in self.broadcasts or source in self.local_addresses:
            return True
        return first == 0 and destination != BROADCAST

    def _whole(self, packet: Packet) -> Packet | None:
        return self.reassembly.add(packet, self.now)

    def _deliver(self, packet: Packet, *, broadcast: bool) -> None:
        if packet.more_fragments or packet.fragment_offset:
            whole = self._whole(packet)
            if whole is None:
                return
            packet = whole
        hook = self.hooks.input
        if hook is not None:
            passed = hook(packet)
            if passed is None:
                self.count("hook-input")
                return
            packet = passed
        protocol = packet.protocol
        if protocol == PROTOCOL_TCP:
            if broadcast:
                self.count("tcp-broadcast")
            else:
                self.tcp.receive(packet)
        elif protocol == PROTOCOL_UDP:
            self.udp.receive(packet, broadcast=broadcast)
        elif protocol == PROTOCOL_ICMP:
            self.icmp.receive(packet, broadcast=broadcast)
        else:
            self.count("ip-protocol")
            if not broadcast:
                self.icmp.error_about(packet, icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE)

    # ------------------------------------------------------------------ through

    def forward(self, packet: Packet, came_by: Interface) -> None:
        """Pass a packet on that is for another host."""
        if packet.ttl <= 1:
            self.icmp.error_about(packet, icmp.TIME_EXCEEDED, icmp.TTL_EXCEEDED)
            self.count("ip-ttl")
            return
        route = self.routes.lookup(packet.destination)
        if route is None:
            self.icmp.error_about(packet, icmp.UNREACHABLE, icmp.NET_UNREACHABLE)
            self.count("ip-no-route")
            return
        interface = route.interface
        super_segment = packet.protocol == PROTOCOL_TCP and packet.total_length > came_by.mtu
        if packet.total_length > interface.mtu and packet.dont_fragment and not super_segment:
            self.icmp.error_about(packet, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, mtu=interface.mtu)
            self.count("ip-too-big")
            return
        packet.ttl -= 1
        packet.out_interface = interface.name
        hook = self.hooks.forward
        if hook is not None:
            passed = hook(packet)
            if passed is None:
                self.count("hook-forward")
                return
            packet = passed
        self._post_route(packet, interface, route.via or packet.destination, interface.mtu)

    # ------------------------------------------------------------------ out

    def route_to(self, destination: bytes) -> RouteEntry:
        """How a packet of our own gets to `destination`; OSError(ENETUNREACH) if it does not."""
        if destination in self.local_addresses or (destination[0] == 127 and len(destination) == 4):
            return self.route_to_self(destination)
        if len(destination) == 16 and destination[0] >= 0xFE:
            route = self.ip6.scoped_route(destination) or self.routes.lookup(destination)
        else:
            route = self.routes.lookup(destination)
        if route is None and destination == BROADCAST:
            route = next((entry for entry in self.routes.entries if entry.interface.up), None)
        if route is None:
            raise failure(errno.ENETUNREACH)
        return route

    def path_mtu(self, destination: bytes, route: RouteEntry) -> int:
        """The largest packet (bytes) that is known to pass on the way to `destination`."""
        return self.paths.mtu(destination, route.interface.mtu, self.now)

    def learn_path_mtu(self, quoted: Packet, mtu: int) -> None:
        """A router said "fragmentation needed" about `quoted`; `mtu` 0 when it did not say which."""
        if self.is_local(quoted.source):
            route = self.routes.lookup(quoted.destination)
            largest = route.interface.mtu if route else 65535
            self.paths.learn(quoted.destination, mtu, min(quoted.total_length, largest), self.now)

    def output(self, packet: Packet, route: RouteEntry) -> None:
        """A packet of a local socket, on its way over `route`. Whatever stops it further on is counted, or comes
        back as an ICMP error, as from any network."""
        hook = self.hooks.output
        interface, next_hop = route.interface, route.via or packet.destination
        packet.out_interface = interface.name
        if hook is not None:
            before = packet.destination
            passed = hook(packet)
            if passed is None:
                self.count("hook-output")
                return
            packet = passed
            if packet.destination != before:
                try:
                    route = self.route_to(packet.destination)
                except OSError:
                    self.count("ip-no-route")
                    return
                interface, next_hop = route.interface, route.via or packet.destination
                packet.out_interface = interface.name
        self._post_route(packet, interface, next_hop, self.path_mtu(packet.destination, route))

    def _post_route(self, packet: Packet, interface: Interface, next_hop: bytes, mtu: int) -> None:
        hook = self.hooks.postrouting
        if hook is not None:
            passed = hook(packet)
            if passed is None:
                self.count("hook-postrouting")
                return
            packet = passed
        size = packet.total_length
        if size <= mtu:
            self._transmit(packet, interface, next_hop)
        elif packet.protocol == PROTOCOL_TCP and packet.dont_fragment:
            if size <= interface.gso_size and mtu >= interface.mtu:
                self._transmit(packet, interface, next_hop)
            else:
                for piece in segment_packet(packet, mtu):
                    self._transmit(piece, interface, next_hop)
        elif packet.dont_fragment:
            self.icmp.error_about(packet, icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, mtu=mtu)
            self.count("ip-too-big")
        else:
            for piece in self._pieces(packet, mtu):
                self._transmit(piece, interface, next_hop)

    def _pieces(self, packet: Packet, mtu: int) -> Sequence[Packet]:
        if isinstance(packet, Packet6):
            # One that was put together on its way through (hooks) keeps its number.
            number = packet.identification if packet.in_interface else self.random.getrandbits(32)
            return fragment6(packet, mtu, number)
        return fragment(packet, mtu)

    def _transmit(self, packet: Packet, interface: Interface, next_hop: bytes) -> None:
        if interface.loopback:
            head = _LOOPBACK_HEADER if packet.version == 4 else _LOOPBACK_HEADER6
            interface.send(b"".join((head, packet.header(), packet.payload)))
            return
        header = self.neighbours.header(interface, next_hop)
        if header is None:
            if next_hop == BROADCAST or next_hop in self.broadcasts:
                header = BROADCAST_MAC + interface.hardware + _IPV4
            elif is_multicast(next_hop) and packet.version == 6:
                header = group_mac(next_hop) + interface.hardware + _IPV6
            elif is_multicast(next_hop):
                group = b"\x01\x00\x5e" + bytes((next_hop[1] & 0x7F, *next_hop[2:]))
                header = group + interface.hardware + _IPV4
            elif not interface.arp:
                kind = _IPV4 if packet.version == 4 else _IPV6
                header = interface.hardware + interface.hardware + kind
            else:
                self.neighbours.wait(interface, next_hop, packet)
                return
        interface.send(b"".join((header, packet.header(), packet.payload)))

    def emit(self, interface: Interface, destination: bytes, ethertype: bytes, body: bytes) -> None:
        """Send a frame past routing and hooks: ARP, ND."""
        interface.send(b"".join((destination, interface.hardware, ethertype, body)))

    def solicit(self, entry: NeighbourEntry) -> None:
        """The neighbour cache asks who has an address."""
        if len(entry.ip) == 16:
            self.discovery.solicit(entry)
            return
        interface = entry.interface
        source = self.source_for(interface, entry.ip)
        request = arp.Arp(arp.REQUEST, interface.hardware, source, bytes(6), entry.ip)
        self.emit(interface, entry.mac or BROADCAST_MAC, _ARP, request.emit())

    def deliver_waiting(self, entry: NeighbourEntry, packets: list[Packet]) -> None:
        """The neighbour cache learned the MAC for these."""
        for packet in packets:
            entry.interface.send(b"".join((entry.header, packet.header(), packet.payload)))

    def unreachable(self, packets: list[Packet]) -> None:
        """The neighbour cache asked in vain: whoever sent these learns that the host is not there."""
        for packet in packets:
            self.count("arp-unanswered" if packet.version == 4 else "nd-unanswered")
            self.icmp.error_about(packet, icmp.UNREACHABLE, icmp.HOST_UNREACHABLE)

    def announce(self, interface: Interface, address: bytes) -> None:
        """Gratuitous ARP (RFC 5227 3): neighbours that know the address get its MAC; of IPv6 by ND."""
        if len(address) == 16:
            self.discovery.announce(interface, address)
            return
        message = arp.Arp(arp.REQUEST, interface.hardware, address, bytes(6), address)
        self.emit(interface, BROADCAST_MAC, _ARP, message.emit())

    def source_for(self, interface: Interface, target: bytes) -> bytes:
        """The sender address of a question about `target`."""
        route = self.routes.lookup(target)
        if route is not None and route.interface is interface:
            return route.preferred_source(target)
        none = ANY if len(target) == 4 else ANY6
        return next((held for held, _ in interface.assigned if len(held) == len(target)), none)
