"""Whatever comes, by whichever door: nothing raises, and a right packet still passes afterwards."""

from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from overlay.nat.gateway import Forward, Gateway
from overlay.stack.hooks import Hook
from overlay.stack.stack import Stack
from overlay.wire import icmp, icmpv6, ipv6, nd
from overlay.wire.address import pack_ip
from overlay.wire.extension import HOP_BY_HOP, Extension
from overlay.wire.ipv4 import Malformed, Packet, parse
from overlay.wire.ipv6 import Packet6
from tests.overlay.test_nat import HOST, PEER, ROUTER, WEB, Host, segment
from tests.overlay.test_vtep import H1, H2, MAC1, MAC2, PING, two_hosts

KINDS = st.sampled_from([b"\x08\x00", b"\x08\x06", b"\x86\xdd", b"\x81\x00", b""])
MACS = st.sampled_from([MAC1, MAC2, b"\xff" * 6, b"\x01\0\x5e\0\0\1", bytes(6)])


@st.composite
def damaged(draw: st.DrawFn, good: bytes) -> bytes:
    data = bytearray(good[: draw(st.integers(0, len(good)))])
    for _ in range(draw(st.integers(0, 4))):
        if data:
            data[draw(st.integers(0, len(data) - 1))] = draw(st.integers(0, 255))
    return bytes(data)


def frame6(packet: Packet6, to: bytes = MAC2) -> bytes:
    return to + MAC1 + b"\x86\xdd" + packet.emit()


def icmp6(message: icmp.Icmp, *, ttl: int = 255) -> Packet6:
    return Packet6(NEAR, FAR, 58, icmpv6.emit(message, NEAR, FAR), ttl=ttl)


NEAR, FAR = pack_ip("fd00::1"), pack_ip("fd00::2")
OPTIONS = Extension(HOP_BY_HOP, bytes((0, 0, 5, 2, 0, 0, 1, 0)))
ECHO6 = frame6(icmp6(icmp.Icmp(128, 0, 1, 0, bytes(56))))
ASKED6 = frame6(icmp6(nd.Solicitation(FAR, MAC1).message()), nd.group_mac(nd.solicited_node(FAR)))
SAID6 = frame6(icmp6(nd.Advertisement(NEAR, MAC1).message()))
CUT6 = frame6(Packet6(NEAR, FAR, 17, bytes(64), more_fragments=True, identification=7, extensions=(OPTIONS,)))
FRAMES = st.one_of(
    st.binary(max_size=64),
    st.builds(lambda to, by, kind, rest: to + by + kind + rest, MACS, MACS, KINDS, st.binary(max_size=2000)),
    damaged(PING),
    st.sampled_from([ECHO6, ASKED6, SAID6, CUT6]).flatmap(damaged),
)


@settings(max_examples=300)
@given(st.lists(FRAMES, max_size=5), st.lists(st.one_of(FRAMES, damaged(bytes.fromhex("0800000000100100") + PING))))
def test_at_a_vtep(frames: list[bytes], datagrams: list[bytes]) -> None:
    one, two = two_hosts(gso=65000)
    for frame in frames:
        one.station.transmit(frame)
        two.vtep.receive(bytes.fromhex("0800000000100100") + frame, (H1, 4789))
    for datagram in datagrams:
        two.vtep.receive(datagram, (H1, 4789))
        one.vtep.receive(datagram, (H2, 4789))
    one.station.transmit(PING)
    assert two.got[-1] == PING


ERROR = icmp.Icmp(icmp.UNREACHABLE, 3, 0, 0, segment(HOST, 40000, ROUTER, 53).emit()[:28]).emit()
ADDRESSES = st.sampled_from([HOST, PEER, ROUTER, WEB, "172.18.0.2", "172.19.0.2", "224.0.0.1", "0.0.0.0"])
PACKETS = st.builds(
    lambda source, to, protocol, payload: Packet(pack_ip(source), pack_ip(to), protocol, payload),
    ADDRESSES,
    ADDRESSES,
    st.sampled_from([1, 6, 17, 47]),
    st.one_of(st.binary(max_size=60), damaged(ERROR), damaged(segment(WEB, 40000, ROUTER, 53).payload)),
)


@settings(max_examples=300)
@given(st.lists(FRAMES, max_size=20), st.booleans())
def test_at_a_stack(frames: list[bytes], forwarding: bool) -> None:
    stack = Stack(Random(1))
    sent: list[bytes] = []
    interface = stack.add_interface("eth0", hardware=MAC2, mtu=1500, transmit=sent.append)
    stack.add_address(interface, FAR, 64)
    stack.forwarding = forwarding
    Gateway(stack.hooks, clock=lambda: 0.0, counters=Counter()).add_uplink("eth0", HOST)
    for number, frame in enumerate(frames):
        stack.receive(interface, frame, float(number))
        stack.receive(interface, MAC2 + frame[6:], float(number))
    stack.handle_timer(1000.0)
    stack.receive(interface, frame6(icmp6(nd.Solicitation(FAR, MAC1).message()), MAC2), 1000.0)
    stack.receive(interface, ECHO6, 1001.0)
    assert ipv6.parse(sent[-1], 14).payload[0] == icmpv6.ECHO_REPLY


PACKETS6 = st.builds(
    lambda source, to, protocol, payload: Packet6(pack_ip(source), pack_ip(to), protocol, payload),
    st.sampled_from(["fd00::1", "fd00::2", "fe80::1", "::"]),
    st.sampled_from(["fd00::1", "fd01::2", "ff02::1"]),
    st.sampled_from([6, 17, 58, 59]),
    st.one_of(st.binary(max_size=60), damaged(icmpv6.emit(icmp.Icmp(1, 4, 0, 0, ECHO6[14:]), NEAR, FAR))),
)


@settings(max_examples=300)
@given(st.lists(st.tuples(PACKETS6, st.sampled_from(["eth0", "docker0", "br-n1"])), max_size=8))
def test_ipv6_at_a_gateway(packets: list[tuple[Packet, str]]) -> None:
    host = Host()
    for packet, came in packets:
        before = packet.source, packet.destination, packet.payload
        out = host.route(packet, came)
        if out is not None:
            assert (out.source, out.destination, out.payload) == before, "IPv6 is never translated"


@settings(max_examples=300)
@given(st.lists(st.tuples(PACKETS, st.sampled_from(["eth0", "docker0", "br-n1", "br-int", ""])), max_size=8))
def test_at_a_gateway(packets: list[tuple[Packet, str]]) -> None:
    host = Host()
    host.gateway.add_forward(Forward("tcp", "", 8080, WEB, 80))
    host.route(segment(WEB, 40000, ROUTER, 53), "docker0")
    for packet, came in packets:
        out = host.route(packet, came)
        if out is not None:
            parse(out.emit())
    assert host.route(segment(PEER, 1, HOST, 8080), "eth0") is not None


@given(st.binary(max_size=80), st.sampled_from(["prerouting", "postrouting"]))
def test_any_ip_packet_at_a_hook(data: bytes, where: str) -> None:
    host = Host()
    try:
        packet = parse(data)
    except Malformed:
        return
    packet.in_interface = packet.out_interface = "eth0"
    hook: Hook = getattr(host.hooks, where)
    hook(packet)
