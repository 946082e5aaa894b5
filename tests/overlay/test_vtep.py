"""Two VTEPs driven against each other by calling them; nothing moves but bytes."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import pytest

from overlay.directory import Directory
from overlay.port import Port, cable
from overlay.spec import Address, EndpointFact, NetworkError
from overlay.vtep import SOURCE_PORTS, Vtep, flow_of
from overlay.wire import arp, icmp
from overlay.wire.address import pack_ip, pack_mac
from overlay.wire.checksum import finish, partial
from overlay.wire.ethernet import ETHERTYPE_ARP, ETHERTYPE_IPV4, Frame, parse
from overlay.wire.ipv4 import PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Packet, pseudo_header
from overlay.wire.ipv4 import parse as parse_ipv4

H1, H2, H3 = "192.0.2.1", "192.0.2.2", "192.0.2.3"
VNI, MTU = 4097, 1450
ALL = b"\xff" * 6
MAC1, MAC2, MAC3 = (pack_mac(f"02:42:0a:00:01:0{n}") for n in (2, 3, 4))
IP1, IP2 = pack_ip("10.0.1.2"), pack_ip("10.0.1.3")


def fact(number: int, vtep: str | None, **more: bool) -> EndpointFact:
    mac, address = f"02:42:0a:00:01:0{number + 1}", f"10.0.1.{number + 1}/24"
    return EndpointFact("n", f"e{number}", f"h{number}", vtep, mac, (address,), (f"c{number}",), **more)


def packet_frame(to: bytes, packet: Packet, *, source: bytes = MAC1) -> bytes:
    return Frame(to, source, ETHERTYPE_IPV4, packet.emit()).emit()


PING = packet_frame(MAC2, Packet(IP1, IP2, PROTOCOL_ICMP, icmp.Icmp(8, 0, 1, 0, bytes(56)).emit()))


@dataclass
class Host:
    """A VTEP with one container's station on network n."""

    address: str
    mac: bytes
    ip: bytes
    gso: int = 0
    sent: list[tuple[bytes, Address, int]] = field(default_factory=list)
    got: list[bytes] = field(default_factory=list)
    peers: dict[str, Host] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.directory = Directory()
        self.vtep = Vtep(self._transmit, counters=self.counters)
        self.segment = self.vtep.add_segment(VNI, self.directory.open("n"), name="n", mtu=MTU)
        self.station = self.plug(self.mac, self.ip, self.got)

    def plug(self, mac: bytes, ip: bytes, got: list[bytes]) -> Port:
        station, ours = cable(self.gso)
        station.on_receive(got.append)
        address = ".".join(map(str, ip))
        self.segment.add_port("c", ours, mtu=MTU, mac=mac.hex(":"), addresses=[address], guarded=True)
        return station

    def _transmit(self, data: bytes, to: Address, flow: int) -> None:
        self.sent.append((data, to, flow))
        peer = self.peers.get(to[0])
        if peer is not None:
            peer.vtep.receive(data, (self.address, 49152 + flow))


def two_hosts(*, gso: int = 0, super_frames: bool = False) -> tuple[Host, Host]:
    one, two = Host(H1, MAC1, IP1, gso), Host(H2, MAC2, IP2, gso)
    one.peers, two.peers = {H2: two}, {H1: one}
    one.directory.put(fact(1, None))
    one.directory.put(fact(2, H2, super_frames=super_frames))
    two.directory.put(fact(1, H1, super_frames=super_frames))
    two.directory.put(fact(2, None))
    return one, two


def test_unicast_goes_to_the_one_host_that_has_it() -> None:
    one, two = two_hosts()
    one.directory.put(fact(3, H3))
    one.station.transmit(PING)
    assert two.got == [PING]
    assert [(to, data[:8].hex()) for data, to, _ in one.sent] == [((H2, 4789), "0800000000100100")]


def test_arp_is_answered_from_the_tables_and_never_leaves() -> None:
    one, two = two_hosts()
    ask = arp.Arp(arp.REQUEST, MAC1, IP1, bytes(6), IP2)
    one.station.transmit(Frame(ALL, MAC1, ETHERTYPE_ARP, ask.emit()).emit())
    reply = parse(one.got[0])
    assert (reply.destination, reply.source) == (MAC1, MAC2)
    assert arp.parse(reply.payload) == arp.Arp(arp.REPLY, MAC2, IP2, MAC1, IP1)
    for silent in (replace(ask, target_ip=pack_ip("10.0.1.99")), replace(ask, target_ip=IP1)):
        one.station.transmit(Frame(ALL, MAC1, ETHERTYPE_ARP, silent.emit()).emit())
    assert len(one.got) == 1 and one.sent == [] and two.got == []


def test_unknown_unicast_is_not_flooded() -> None:
    one, two = two_hosts()
    one.station.transmit(packet_frame(MAC3, Packet(IP1, IP2, PROTOCOL_UDP, bytes(8))))
    assert one.sent == [] and two.got == []
    assert one.counters["vxlan_dropped_unknown_mac"] == 1


def test_who_sends_to_a_mac_of_before_is_told_who_has_the_address_now() -> None:
    """An address moved to another MAC; else its neighbours would send into the void until their caches are old."""
    one, _ = two_hosts()
    one.directory.put(replace(fact(2, H2), mac="02:42:0a:00:01:09"))
    one.station.transmit(PING)
    moved = pack_mac("02:42:0a:00:01:09")
    assert one.sent == [] and arp.parse(parse(one.got[0]).payload) == arp.Arp(arp.REPLY, moved, IP2, MAC1, IP1)
    one.directory.remove("e2")
    one.station.transmit(PING)
    assert len(one.got) == 1


def test_broadcast_goes_once_to_each_member_host_and_to_local_ports() -> None:
    one, two = two_hosts()
    neighbour: list[bytes] = []
    one.plug(MAC3, pack_ip("10.0.1.4"), neighbour)
    one.directory.put(replace(fact(2, H2), endpoint_id="second on h2", mac="02:42:0a:00:01:08"))
    one.directory.put(fact(4, H3))
    frame = packet_frame(ALL, Packet(IP1, pack_ip("10.0.1.255"), PROTOCOL_UDP, bytes(8)))
    one.station.transmit(frame)
    assert sorted(to for _, to, _ in one.sent) == [(H2, 4789), (H3, 4789)]
    assert two.got == [frame] and neighbour == [frame] and one.got == []
    assert two.sent == [], "what came out of a tunnel never goes into one"


def test_what_is_wrong_is_counted_and_dropped() -> None:
    _, two = two_hosts()
    good = bytes.fromhex("0800000000100100") + PING
    two.vtep.receive(good[:21], (H1, 4789))
    two.vtep.receive(b"\x00" + good[1:], (H1, 4789))
    two.vtep.receive(good[:4] + b"\x00\x10\x02\x00" + PING, (H1, 4789))
    two.vtep.receive(good, (H3, 4789))
    two.directory.put(fact(3, H3))
    two.vtep.receive(good, (H3, 4789))  # h3 is a member, but the MAC is h1's
    two.vtep.receive(good[:8] + packet_frame(MAC1, Packet(IP2, IP1, 17, bytes(8)), source=MAC2), (H1, 4789))
    two.vtep.receive(good[:8] + MAC3 + PING[6:], (H1, 4789))
    assert two.got == []
    assert dict(two.counters) == {
        "vxlan_dropped_short": 1,
        "vxlan_dropped_flags": 1,
        "vxlan_dropped_unknown_vni": 1,
        "vxlan_dropped_unknown_vtep": 1,
        "vxlan_dropped_spoofed": 2,
        "vxlan_dropped_unknown_mac": 1,
    }
    two.vtep.receive(good, (H1, 4789))
    assert two.got == [PING]
    two.vtep.remove_segment(VNI)
    two.vtep.receive(good, (H1, 4789))
    assert len(two.got) == 1


def test_a_hidden_owner_s_packets_are_dropped_and_it_gets_none() -> None:
    one, two = two_hosts()
    two.directory.remove("e1")
    one.station.transmit(PING)
    assert two.got == [] and two.counters["vxlan_dropped_unknown_vtep"] == 1
    two.station.transmit(packet_frame(MAC1, Packet(IP2, IP1, PROTOCOL_UDP, bytes(8)), source=MAC2))
    assert two.sent == []


def test_a_vni_is_one_network_s() -> None:
    one, _ = two_hosts()
    with pytest.raises(NetworkError, match="VNI 4097 is in use by network n"):
        one.vtep.add_segment(VNI, one.directory.open("other"), name="other", mtu=MTU)


def test_a_flow_keeps_its_source_port_and_flows_spread() -> None:
    def udp(port: int, **more: bool | int) -> bytes:
        return packet_frame(MAC2, Packet(IP1, IP2, PROTOCOL_UDP, port.to_bytes(2, "big") + bytes(30), **more))  # type: ignore[arg-type]

    flows = {flow_of(udp(port)) for port in range(64)}
    assert flows == set(range(SOURCE_PORTS))
    assert flow_of(udp(7, more_fragments=True)) == flow_of(udp(9, fragment_offset=1448))


def test_too_large_with_df_is_told_the_mtu() -> None:
    one, two = two_hosts()
    large = Packet(IP1, IP2, PROTOCOL_UDP, bytes(1452), dont_fragment=True)
    one.station.transmit(packet_frame(MAC2, large))
    assert two.got == [] and one.sent == []
    answer = parse_ipv4(parse(one.got[0]).payload)
    told = icmp.parse(answer.payload)
    assert (answer.source, answer.destination) == (IP2, IP1)
    assert (told.type, told.code, told.second) == (3, 4, MTU)
    assert told.payload == large.emit()[:28]
    assert one.counters["vxlan_dropped_too_big"] == 1


def test_too_large_without_df_is_fragmented() -> None:
    one, two = two_hosts()
    large = Packet(IP1, IP2, PROTOCOL_UDP, bytes(range(256)) * 12, identification=7)
    one.station.transmit(packet_frame(MAC2, large))
    pieces = [parse_ipv4(parse(frame).payload) for frame in two.got]
    assert [(p.fragment_offset, p.more_fragments) for p in pieces] == [(0, True), (1424, True), (2848, False)]
    assert b"".join(p.payload for p in pieces) == large.payload
    assert len({flow for _, _, flow in one.sent}) == 1 and one.got == []


def tcp_super(length: int) -> bytes:
    segment = bytearray(20 + length)
    segment[0:4], segment[12], segment[13] = b"\x10\x00\x00\x50", 0x50, 0x18
    segment[20:] = bytes(range(256)) * (length // 256) + bytes(length % 256)
    segment[16:18] = finish(pseudo_header(IP1, IP2, PROTOCOL_TCP, len(segment)) + partial(segment)).to_bytes(2, "big")
    return packet_frame(MAC2, Packet(IP1, IP2, PROTOCOL_TCP, bytes(segment), dont_fragment=True))


def test_a_super_segment_travels_whole_to_a_vtep_that_takes_it() -> None:
    one, two = two_hosts(gso=65000, super_frames=True)
    frame = tcp_super(40000)
    one.station.transmit(frame)
    assert two.got == [frame]
    assert one.sent[0][0][:8].hex() == "1800000000100100"


def test_and_in_pieces_to_one_that_does_not() -> None:
    one, two = two_hosts(gso=65000)
    frame = tcp_super(40000)
    one.station.transmit(frame)
    assert len(two.got) == len(one.sent) == 29
    assert max(len(piece) for piece in two.got) == MTU + 14
    assert {data[:8].hex() for data, _, _ in one.sent} == {"0800000000100100"}
    assert b"".join(piece[54:] for piece in two.got) == frame[54:]
