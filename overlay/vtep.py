"""A host's VXLAN tunnel endpoint (RFC 7348): a segment per VNI, each a switch whose far side is the other hosts.

Nothing is learned from packets and no unicast is flooded: where a MAC is and which MAC an address has is read from the
directory's view of the network, so a segment has no state of its own that could grow stale. ARP and ND are answered
from the same tables and never leave the host; broadcast and multicast go, one copy each, to the hosts that are on the
network.

Per packet: one look-up of the destination MAC, one CRC to choose the source port, one concatenation. The outer source
address is the underlay's own (the advertised one) and cannot be another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from zlib import crc32

from overlay import nd_proxy
from overlay.bridge import Bridge, BridgePort, pieces_of
from overlay.directory import NetworkView, RemoteVtep
from overlay.seal import Sealer
from overlay.spec import Address, NetworkError
from overlay.stack.reassembly import fragment
from overlay.wire import arp, icmp, icmpv6, ipv6, vxlan
from overlay.wire.address import network_of, pack_ip, pack_mac, parse_cidr
from overlay.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, HEADER_LENGTH, Frame
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet
from overlay.wire.ipv4 import parse as parse_ipv4
from overlay.wire.ipv6 import PROTOCOL_ICMPV6, Packet6
from overlay.wire.nd import mac_behind

SOURCE_PORTS = 8
"""How many source ports flows are spread over (RFC 7348, section 5, wants entropy for equal-cost paths)."""

_IPV4, _ARP, _IPV6 = b"\x08\x00", b"\x08\x06", b"\x86\xdd"
_SHORTEST = vxlan.HEADER_LENGTH + HEADER_LENGTH
_TO_PORTS, _TO_PORTS6 = 38, 58
_QUOTED = 28
"""An ICMP error quotes the IP header and eight bytes (RFC 792)."""

Transmit = Callable[[bytes, Address, int], None]
"""Send a datagram to a VTEP; the number (below SOURCE_PORTS) chooses the source port."""


def flow_of(frame: bytes) -> int:
    """Which source port the flow of an inner frame has: from addresses and ports, or from MACs if it is not IP."""
    if frame[12:14] == _IPV6 and len(frame) >= _TO_PORTS6:
        ported = frame[20] in (PROTOCOL_TCP, PROTOCOL_UDP)
        return crc32(frame[22:58] if ported else frame[22:54]) % SOURCE_PORTS
    if frame[12:14] != _IPV4 or len(frame) < _TO_PORTS:
        return crc32(frame[:14]) % SOURCE_PORTS
    # Later fragments carry no ports: all pieces of a packet hash by addresses alone, so that they stay in order.
    fragment = frame[20] & 0x3F or frame[21]
    return crc32(frame[26:34] if fragment else frame[26:38]) % SOURCE_PORTS


def _is_tcp(frame: bytes) -> bool:
    return (frame[20] if frame[12:14] == _IPV6 else frame[23]) == PROTOCOL_TCP


class Vtep:
    """The tunnel endpoint of one host, without I/O: datagrams come in by `receive` and leave by `transmit`."""

    def __init__(self, transmit: Transmit, *, counters: Counter[str]) -> None:
        self.transmit = transmit
        self.counters = counters
        self._segments: dict[bytes, Segment] = {}

    def add_segment(
        self,
        vni: int,
        view: NetworkView,
        *,
        name: str,
        mtu: int,
        sealer: Sealer | None = None,
        subnet: str | None = None,
    ) -> Segment:
        """Open a VNI. With a `sealer` all that crosses hosts is sealed; with a `subnet` ARP is answered for its
        addresses only (a network may have several, each with its VNI). NetworkError if another network has the VNI."""
        key = vni.to_bytes(3, "big")
        if key in self._segments:
            raise NetworkError(f"VNI {vni} is in use by network {self._segments[key].name}")
        segment = self._segments[key] = Segment(name, self, vni, view, mtu=mtu, sealer=sealer, subnet=subnet)
        return segment

    def remove_segment(self, vni: int) -> None:
        """Close a VNI: what still comes for it is unknown."""
        self._segments.pop(vni.to_bytes(3, "big"), None)

    def receive(self, data: bytes, source: Address) -> None:
        """A datagram came to port 4789 from another host."""
        if len(data) < _SHORTEST:
            self.counters["vxlan_dropped_short"] += 1
        elif not data[0] & vxlan.FLAG_VNI:
            self.counters["vxlan_dropped_flags"] += 1
        elif (segment := self._segments.get(data[4:7])) is None:
            self.counters["vxlan_dropped_unknown_vni"] += 1
        else:
            segment.decapsulate(data, source[0])


class Segment(Bridge):
    """One VXLAN segment on this host: local ports as a bridge, everything else through the tunnel."""

    def __init__(
        self,
        name: str,
        vtep: Vtep,
        vni: int,
        view: NetworkView,
        *,
        mtu: int,
        sealer: Sealer | None = None,
        subnet: str | None = None,
    ) -> None:
        super().__init__(name, counters=vtep.counters)
        self.vni = vni
        self.mtu = mtu
        self._vtep = vtep
        self._view = view
        self._longest = mtu + HEADER_LENGTH
        self._sealer = sealer
        self._subnet = parse_cidr(subnet) if subnet is not None else None
        self._prefix = vxlan.emit(vxlan.Header(vni, sealed=sealer is not None))
        self._super_prefix = vxlan.emit(vxlan.Header(vni, super_frame=True, sealed=sealer is not None))
        self._here: dict[bytes, bytes] = {}
        self._siblings: Sequence[Segment] = ()

    def join(self, segments: Sequence[Segment]) -> None:
        """All segments of one network on this host. Its IPv4 subnets have one each, and meet at the gateway alone; an
        IPv6 subnet has none of its own: it is one link across all of them."""
        self._siblings = [segment for segment in segments if segment is not self]

    def add_neighbour(self, mac: str, addresses: Iterable[str]) -> None:
        """Addresses of this host's own on the segment, which no directory knows."""
        for address in addresses:
            self._here[pack_ip(address.partition("/")[0])] = pack_mac(mac)

    def unknown(self, frame: bytes, source: BridgePort | None) -> None:
        """Unicast to what is not on this host: to the one VTEP that the directory names, or nowhere."""
        remote = self._view.fdb.get(frame[:6])
        if remote is None:
            if not self._across(frame, source):
                self.counters["vxlan_dropped_unknown_mac"] += 1
                if source is not None:
                    self._tell_moved(frame, source)
        elif len(frame) > self._longest:
            self._encapsulate_large(frame, source, remote)
        else:
            self.counters["vxlan_sent"] += 1
            self._transmit(self._prefix, frame, remote, flow_of(frame))

    def broadcast(self, frame: bytes, source: BridgePort | None) -> None:
        """ARP and ND are answered here; other broadcast and multicast goes to the local ports and to each member
        host."""
        if frame[12:14] == _ARP:
            self._answer_arp(frame, source)
            return
        discovery = nd_proxy.kind_of(frame)
        if discovery:
            self._answer_nd(frame, discovery, source)
            return
        super().broadcast(frame, source)
        self._across(frame, source)
        if len(frame) > self._longest:
            self.counters["vxlan_dropped_too_big"] += 1
            return
        flow = flow_of(frame)
        for vtep in sorted(self._view.vteps):
            self.counters["vxlan_sent_bum"] += 1
            self._transmit(self._prefix, frame, self._view.vteps[vtep], flow)

    def _transmit(self, prefix: bytes, frame: bytes, remote: RemoteVtep, flow: int) -> None:
        body = frame if self._sealer is None else self._sealer.seal(prefix, frame)
        self._vtep.transmit(prefix + body, remote.destination, flow)

    def decapsulate(self, data: bytes, vtep: str) -> None:
        """What another host sent into this segment. It goes to local ports only (never back into the tunnel)."""
        view = self._view
        if vtep not in view.vteps:
            self.counters["vxlan_dropped_unknown_vtep"] += 1
            return
        frame = self._opened(data, vtep)
        if frame is None:
            return
        mac = frame[6:12]
        remote = view.fdb.get(mac)
        if self._is_here(mac) if remote is None else (remote.destination[0] != vtep):
            self.counters["vxlan_dropped_spoofed"] += 1
            return
        out = self.fdb.get(frame[:6])
        if out is not None:
            self.counters["vxlan_received"] += 1
            out.deliver(frame, None)
        elif frame[0] & 1:
            self.counters["vxlan_received"] += 1
            super().broadcast(frame, None)
            self._across(frame, None)
        elif self._across(frame, None):
            self.counters["vxlan_received"] += 1
        else:
            self.counters["vxlan_dropped_unknown_mac"] += 1

    def _across(self, frame: bytes, source: BridgePort | None) -> bool:
        """To the ports of the network's other segments on this host, if it is IPv6; whether one took it."""
        if not self._siblings or frame[12:14] != _IPV6:
            return False
        found = False
        for segment in self._siblings:
            out = segment.fdb.get(frame[:6])
            if out is not None:
                out.deliver(frame, source)
                return True
            if frame[0] & 1:
                for port in segment.ports:
                    port.deliver(frame, source)
                    found = True
        return found

    def _opened(self, data: bytes, vtep: str) -> bytes | None:
        if self._sealer is None:
            return data[vxlan.HEADER_LENGTH :]
        if not data[0] & vxlan.FLAG_SEALED:
            self.counters["vxlan_dropped_seal_missing"] += 1
            return None
        frame = self._sealer.open(data, vtep)
        if frame is not None and len(frame) < HEADER_LENGTH:
            self.counters["vxlan_dropped_short"] += 1
            return None
        return frame

    def _encapsulate_large(self, frame: bytes, source: BridgePort | None, remote: RemoteVtep) -> None:
        """More than the MTU: a TCP super-segment travels whole if the other VTEP takes it, else in pieces; another
        packet is fragmented, or its sender told the MTU (RFC 1191), for a silent drop is a black hole (moby 24906)."""
        prefix = self._prefix
        pieces: list[bytes] = []
        if source is not None and len(frame) <= source.cable.gso_size and _is_tcp(frame):
            if remote.super_frames:
                prefix, pieces = self._super_prefix, [frame]
            else:
                pieces = pieces_of(frame, self.mtu)
        elif frame[12:14] == _IPV4:
            pieces = self._fragments(frame, source)
        elif frame[12:14] == _IPV6 and source is not None:
            self._tell_mtu6(frame, source)
        if not pieces:
            self.counters["vxlan_dropped_too_big"] += 1
        flow = flow_of(pieces[-1]) if pieces else 0
        for piece in pieces:
            self.counters["vxlan_sent"] += 1
            self._transmit(prefix, piece, remote, flow)

    def _fragments(self, frame: bytes, source: BridgePort | None) -> list[bytes]:
        try:
            packet = parse_ipv4(frame, HEADER_LENGTH)
        except Malformed:
            return []
        if packet.dont_fragment:
            if source is not None:
                self._tell_mtu(frame, packet, source)
            return []
        return [frame[:HEADER_LENGTH] + piece.emit() for piece in fragment(packet, self.mtu)]

    def _tell_mtu(self, frame: bytes, packet: Packet, source: BridgePort) -> None:
        # No error about a later fragment, nor about what may itself be an error (RFC 1122, 3.2.2).
        if packet.fragment_offset or (packet.protocol == PROTOCOL_ICMP and packet.payload[:1] != b"\x08"):
            return
        quoted = frame[HEADER_LENGTH : HEADER_LENGTH + len(packet.options) + _QUOTED]
        error = icmp.Icmp(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 0, self.mtu, quoted)
        answer = Packet(packet.destination, packet.source, PROTOCOL_ICMP, error.emit())
        source.deliver(Frame(frame[6:12], frame[:6], ETHERTYPE_IPV4, answer.emit()).emit(), None)

    def _tell_mtu6(self, frame: bytes, source: BridgePort) -> None:
        """Nobody but its source may cut a packet (RFC 8200, 5)."""
        try:
            packet = ipv6.parse(frame, HEADER_LENGTH)
        except Malformed:
            return
        if packet.fragment_offset or (packet.protocol == PROTOCOL_ICMPV6 and packet.payload[:1] < b"\x80"):
            return
        error = icmp.Icmp(icmpv6.PACKET_TOO_BIG, 0, 0, self.mtu, packet.emit()[: ipv6.MINIMUM_MTU - 48])
        body = icmpv6.emit(error, packet.destination, packet.source)
        answer = Packet6(packet.destination, packet.source, PROTOCOL_ICMPV6, body)
        source.deliver(Frame(frame[6:12], frame[:6], ETHERTYPE_IPV6, answer.emit()).emit(), None)

    def _answer_nd(self, frame: bytes, kind: int, source: BridgePort | None) -> None:
        reply = None
        if kind == icmpv6.NEIGHBOUR_SOLICITATION and source is not None:
            try:
                reply = nd_proxy.answer(frame, self._mac_of)
            except Malformed as error:
                self.counters[error.reason] += 1
                return
        if reply is None or source is None:
            self.counters["nd_suppressed"] += 1
        else:
            self.counters["nd_answered"] += 1
            source.deliver(reply, None)

    def _is_here(self, mac: bytes) -> bool:
        return mac in self.fdb or any(mac in segment.fdb for segment in self._siblings)

    def _mac_of(self, address: bytes) -> bytes | None:
        """Who has an address: as the directory says; a link-local one tells its MAC itself."""
        mac = mac_behind(address)
        segments = (self, *self._siblings)
        if mac is not None:
            return mac if mac in self._view.fdb or self._is_here(mac) else None
        here = next((segment._here[address] for segment in segments if address in segment._here), None)
        return here or self._view.neighbours.get(address)

    def _answer_arp(self, frame: bytes, source: BridgePort | None) -> None:
        try:
            asked = arp.parse(frame, HEADER_LENGTH)
        except Malformed as error:
            self.counters[error.reason] += 1
            return
        mac = self._holder_of(asked.target_ip)
        # Announcements and probes of one's own address want no answer.
        if asked.operation != arp.REQUEST or source is None or mac is None or mac == asked.sender_mac:
            self.counters["arp_suppressed"] += 1
            return
        self.counters["arp_answered"] += 1
        reply = arp.Arp(arp.REPLY, mac, asked.target_ip, asked.sender_mac, asked.sender_ip)
        source.deliver(Frame(frame[6:12], mac, ETHERTYPE_ARP, reply.emit()).emit(), None)

    def _tell_moved(self, frame: bytes, source: BridgePort) -> None:
        """Nobody has the MAC that somebody sends to: where another has the address by now, he is told whose it is, for
        he would ask again only when his cache is old, half a minute later."""
        reply = None
        if frame[12:14] == _IPV6:
            reply = nd_proxy.correction(frame, self._mac_of)
        elif frame[12:14] == _IPV4 and len(frame) >= _TO_PORTS:
            address = frame[30:34]
            mac = self._holder_of(address)
            if mac is not None and mac != frame[:6]:
                said = arp.Arp(arp.REPLY, mac, address, frame[6:12], frame[26:30])
                reply = Frame(frame[6:12], mac, ETHERTYPE_ARP, said.emit()).emit()
        if reply is not None:
            self.counters["neighbours_corrected"] += 1
            source.deliver(reply, None)

    def _holder_of(self, address: bytes) -> bytes | None:
        mac = self._here.get(address)
        if mac is None and self._covers(address):
            mac = self._view.neighbours.get(address)
        return mac

    def _covers(self, address: bytes) -> bool:
        return self._subnet is None or network_of(address, self._subnet[1]) == self._subnet[0]
