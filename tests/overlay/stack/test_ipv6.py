"""The IPv6 host and router: ND, fragments, forwarding, ICMPv6 errors, path MTU, sockets of both families
(RFC 4861, 4862, 4443, 8200, 8201, 4007, 3493)."""

from __future__ import annotations

import errno
from random import Random

import pytest

from overlay.stack.interface import Interface
from overlay.stack.neighbours import NeighbourState
from overlay.stack.stack import Stack
from overlay.wire import icmpv6, ipv6, nd
from overlay.wire.address import ANY, ANY6, ip_text, pack_ip, parse_cidr
from overlay.wire.extension import DESTINATION, Extension
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import Packet
from overlay.wire.ipv6 import Packet6
from tests.overlay.stack.network import Link, Network
from tests.overlay.stack.transfer import connect, exchange

A, B, C = pack_ip("fd00::1"), pack_ip("fd00::2"), pack_ip("fd01::2")


def pair(network: Network, **options: int) -> tuple[Stack, Stack, Link, Link]:
    a, b = network.host(), network.host()
    out, back = network.link(a, "fd00::1/64", b, "fd00::2/64", **options)
    return a, b, out, back


def routed(network: Network, *, near_mtu: int = 1500, far_mtu: int = 1500, gso: int = 0) -> tuple[Stack, Stack, Stack]:
    """a — router — c"""
    a, router, c = network.host(), network.host(), network.host()
    network.link(a, "fd00::1/64", router, "fd00::254/64", mtu=near_mtu, gso=gso)
    network.link(router, "fd01::254/64", c, "fd01::2/64", mtu=far_mtu)
    router.forwarding = True
    for stack, via in ((a, "fd00::254"), (c, "fd01::254")):
        stack.add_route(ANY6, 0, pack_ip(via), None, None, 0)
        network.loopback(stack)
    return a, router, c


def eth0(stack: Stack) -> Interface:
    return stack.interfaces["eth0"]


def ping(network: Network, stack: Stack, to: bytes, *, size: int = 56, ttl: int = 64) -> tuple[int, int, str]:
    """(type, code, from) of what comes back; (0, 0, "") for nothing."""
    raw = stack.icmp.open()
    raw.send(to, Icmp(icmpv6.ECHO_REQUEST, 0, 1, 2, bytes(size)), ttl, network.now)
    network.run(lambda: bool(raw.queue), 60)
    if not raw.queue:
        return 0, 0, ""
    arrival = raw.queue.popleft()
    raw.close()
    if arrival.message.type == icmpv6.ECHO_REPLY:
        assert arrival.message.payload == bytes(size)
    return arrival.message.type, arrival.message.code, ip_text(arrival.packet.source)


def inject(stack: Stack, packet: Packet6, *, source: bytes = b"\x02\0\0\0\0\x09", to: bytes | None = None) -> None:
    stack.receive(eth0(stack), (to or eth0(stack).hardware) + source + b"\x86\xdd" + packet.emit(), stack.now)


def icmp6(source: bytes, to: bytes, message: Icmp, **more: int) -> Packet6:
    return Packet6(source, to, 58, icmpv6.emit(message, source, to), **more)


@pytest.mark.parametrize("size", [0, 1452, 1453, 20_000])
def test_ping_whole_and_in_fragments(size: int) -> None:
    network = Network()
    a, b, out, _ = pair(network)
    out.keep = True
    assert ping(network, a, B, size=size) == (129, 0, "fd00::2")
    assert max(len(frame) for _, frame in out.frames) <= 1514
    assert a.neighbours.entries[eth0(a).index, B].state is NeighbourState.REACHABLE
    assert not a.counters and not b.counters


def test_a_neighbour_is_asked_in_its_group_and_its_silence_is_an_error() -> None:
    network = Network()
    a, b, out, _ = pair(network)
    out.keep = True
    network.loopback(a)
    raw = a.icmp.open()
    raw.send(pack_ip("fd00::12:3456"), Icmp(icmpv6.ECHO_REQUEST, 0, 1, 2, b""), 64, network.now)
    conn = a.tcp.connect(pack_ip("fd00::12:3456"), 80, network.now)
    network.run(lambda: conn.error != 0, 30)
    asked = [frame for _, frame in out.frames]
    assert [frame[:6].hex(":") for frame in asked] == ["33:33:ff:12:34:56"] * 3
    assert all(frame[38:54] == pack_ip("ff02::1:ff12:3456") for frame in asked)
    assert conn.error == errno.EHOSTUNREACH
    assert b.counters["ip-multicast"] == 3


def test_off_link_neighbour_discovery_is_not_believed() -> None:
    network = Network()
    a, _, _, _ = pair(network)
    assert ping(network, a, B)[0] == 129
    mac = a.neighbours.entries[eth0(a).index, B].mac
    stranger = b"\x02\0\0\0\0\x09"
    lie = nd.Advertisement(B, stranger, solicited=True).message()
    inject(a, icmp6(B, A, lie, ttl=254))
    padded = icmp6(B, A, lie, ttl=255)
    padded.extensions = (Extension(DESTINATION, bytes((0, 0, 1, 4, 0, 0, 0, 0))),)
    inject(a, padded)
    assert a.neighbours.entries[eth0(a).index, B].mac == mac
    assert a.counters["nd-not-from-the-link"] == 2
    # What comes from the link changes the entry only with the override flag; without it doubts arise.
    inject(a, icmp6(B, A, nd.Advertisement(B, stranger, override=False).message(), ttl=255))
    assert a.neighbours.entries[eth0(a).index, B].mac == mac
    assert a.neighbours.entries[eth0(a).index, B].state is NeighbourState.STALE
    inject(a, icmp6(B, A, nd.Advertisement(B, stranger).message(), ttl=255))
    assert a.neighbours.entries[eth0(a).index, B].mac == stranger
    # Nobody asked for this one.
    inject(a, icmp6(C, A, nd.Advertisement(C, stranger, solicited=True).message(), ttl=255))
    assert (eth0(a).index, C) not in a.neighbours.entries


def test_an_address_that_another_node_has_is_given_up_at_once_and_never_later() -> None:
    network = Network()
    a, b, _, _ = pair(network)
    for stack in (a, b):
        stack.now = network.now
    b.add_address(eth0(b), pack_ip("fd00::99"), 64)
    a.add_address(eth0(a), pack_ip("fd00::99"), 64)
    a.discovery.claim(eth0(a), pack_ip("fd00::99"))
    network.run(seconds=2)
    assert not eth0(a).has(pack_ip("fd00::99")) and eth0(b).has(pack_ip("fd00::99"))
    assert (a.counters["nd-duplicate"], b.counters["nd-defended"]) == (1, 1)
    later = nd.Advertisement(pack_ip("fd00::99"), b"\x02" * 6).message()
    inject(b, icmp6(pack_ip("fd00::99"), nd.ALL_NODES, later, ttl=255), to=nd.group_mac(nd.ALL_NODES))
    assert eth0(b).has(pack_ip("fd00::99")) and b.counters["nd-conflict"] == 1


def test_through_a_router_until_the_hop_limit_or_a_missing_route_ends_it() -> None:
    network = Network()
    a, router, _ = routed(network)
    assert ping(network, a, C) == (129, 0, "fd01::2")
    assert ping(network, a, C, ttl=1) == (3, 0, "fd00::254")
    assert ping(network, a, pack_ip("fd09::1")) == (1, 0, "fd00::254")
    assert ping(network, a, pack_ip("fd01::77")) == (1, 3, "fd00::254")
    local = nd.link_local(eth0(a).hardware)
    inject(router, icmp6(local, C, Icmp(128, 0, 0, 0, b"")), source=eth0(a).hardware)
    assert router.counters["ip6-beyond-scope"] == 1


def test_only_the_source_cuts_packets_to_what_the_path_takes() -> None:
    network = Network()
    a, router, c = routed(network, far_mtu=1280)
    assert ping(network, a, C, size=1400) == (2, 0, "fd00::254")
    assert a.paths.mtu(C, 1500, network.now) == 1280
    assert ping(network, a, C, size=1400) == (129, 0, "fd01::2")
    assert ping(network, a, C, size=9000) == (129, 0, "fd01::2")
    near, far = connect(network, a, c, "fd01::2")
    exchange(network, near, far, Random(1).randbytes(200_000), Random(2).randbytes(50_000))
    assert near.mss == 1280 - 60 - 12
    assert router.counters["ip-too-big"] == 1


def test_hooks_see_whole_packets_and_the_wires_their_pieces() -> None:
    network = Network()
    a, router, c = routed(network)
    seen: list[int] = []

    def hook(packet: Packet) -> Packet:
        seen.append(len(packet.payload))
        return packet

    router.hooks.prerouting = hook
    assert ping(network, a, C, size=9000) == (129, 0, "fd01::2")
    assert seen.count(9008) == 2
    assert not router.counters and not c.counters


def test_a_path_is_never_believed_to_take_less_than_every_link_must() -> None:
    network = Network()
    a, _, _, _ = pair(network)
    quoted = Packet6(A, B, 17, bytes(1000))
    inject(a, icmp6(B, A, Icmp(icmpv6.PACKET_TOO_BIG, 0, 0, 68, quoted.emit())))
    assert a.paths.mtu(B, 1500, a.now) == 1280


@pytest.mark.parametrize("seed", range(5))
def test_tcp_under_loss_and_reordering(seed: int) -> None:
    network = Network(seed)
    a, b = network.host(), network.host()
    faults = Link(loss=0.03, reorder=0.05, duplicate=0.02)
    network.link(a, "fd00::1/64", b, "fd00::2/64", faults=faults)
    near, far = connect(network, a, b, "fd00::2")
    exchange(network, near, far, Random(seed).randbytes(300_001), Random(seed + 9).randbytes(100_003))


def test_super_segments_are_cut_by_the_router_that_must() -> None:
    network = Network()
    a, _, c = routed(network, gso=60_000)
    near, far = connect(network, a, c, "fd01::2")
    exchange(network, near, far, Random(1).randbytes(1_000_000), b"")
    assert near.segment_limit > 50_000
    assert not c.counters


@pytest.mark.parametrize(
    ("first", "only6", "second", "other_only6", "collides"),
    [
        ("::", False, "0.0.0.0", False, True),
        ("::", True, "0.0.0.0", False, False),
        ("0.0.0.0", False, "::", True, False),
        ("::", False, "10.0.0.1", False, True),
        ("fd00::1", False, "0.0.0.0", False, False),
        ("fd00::1", False, "::", False, True),
        ("::", True, "::1", False, True),
    ],
)
def test_who_may_have_the_same_port(first: str, only6: bool, second: str, other_only6: bool, collides: bool) -> None:
    stack = Network().host()
    stack.add_address(stack.lo, *parse_cidr("10.0.0.1/32"))
    stack.add_address(stack.lo, *parse_cidr("fd00::1/128"))
    for layer in ("tcp", "udp"):
        failed = False
        try:
            for address, alone in ((first, only6), (second, other_only6)):
                if layer == "tcp":
                    stack.tcp.listen(pack_ip(address), 80, 1, only6=alone)
                else:
                    stack.udp.open(pack_ip(address), 80, only6=alone)
        except OSError as error:
            failed = error.errno == errno.EADDRINUSE
        assert failed == collides, layer


def test_a_socket_of_both_families_hears_both_and_the_nearest_socket_wins() -> None:
    network = Network()
    a, b, _, _ = pair(network)
    for stack, cidr in ((a, "10.0.0.1/24"), (b, "10.0.0.2/24")):
        stack.add_address(eth0(stack), *parse_cidr(cidr))
    both = b.udp.open(ANY6, 7)
    sender = a.udp.open(ANY, 0)
    for address in ("10.0.0.2", "fd00::2"):
        sender.send(b"to " + address.encode(), (pack_ip(address), 7), network.now)
    network.run(seconds=1)
    got = [both.receive(), both.receive()]
    assert [found[0] for found in got if found] == [b"to 10.0.0.2", b"to fd00::2"]
    for found in got:
        assert found is not None
        both.send(found[0], found[1], network.now)
    network.run(seconds=1)
    assert [found[0] for found in (sender.receive(), sender.receive()) if found] == [b"to 10.0.0.2", b"to fd00::2"]
    only = b.tcp.listen(ANY6, 80, 5, only6=True)
    old = b.tcp.listen(ANY, 80, 5)
    conns = [a.tcp.connect(pack_ip(address), 80, network.now) for address in ("10.0.0.2", "fd00::2")]
    network.run(lambda: bool(old.ready and only.ready), 10)
    assert all(conn.established for conn in conns)
    assert (len(old.ready), len(only.ready)) == (1, 1)


def test_a_refused_port_is_reported_to_the_socket_that_asked() -> None:
    network = Network()
    a, b, _, _ = pair(network)
    asker = a.udp.open(ANY, 0)
    asker.connect((B, 9))
    asker.send(b"x", None, network.now)
    network.run(seconds=1)
    with pytest.raises(ConnectionRefusedError):
        asker.receive()
    conn = a.tcp.connect(B, 9, network.now)
    network.run(lambda: conn.error != 0, 5)
    assert conn.error == errno.ECONNREFUSED
    assert b.counters["udp-no-port"] == 1


def test_unknown_headers_are_reported_where_they_stand() -> None:
    network = Network()
    a, b, _, _ = pair(network)
    raw = a.icmp.open()
    route = a.route_to(B)
    option = Extension(DESTINATION, bytes((0, 0, 0x9E, 4, 0, 0, 0, 0)))
    a.output(Packet6(A, B, 17, bytes(8), extensions=(option,)), route)
    a.output(Packet6(A, B, 253, b"?"), route)
    network.run(lambda: len(raw.queue) == 2, 5)
    seen = [(m.message.type, m.message.code, icmpv6.word_of(m.message)) for m in raw.queue]
    assert seen == [(4, 2, 42), (4, 1, 6)]
    assert (b.counters["ip6-option-unknown"], b.counters["ip-protocol"]) == (1, 1)


def test_errors_are_not_answered_with_errors() -> None:
    network = Network()
    a, b, _, back = pair(network)
    back.keep = True
    error = Icmp(icmpv6.UNREACHABLE, 4, 0, 0, Packet6(B, A, 17, bytes(8)).emit())
    for packet in (
        icmp6(A, B, error, ttl=64),
        Packet6(ANY6, B, 253, b"?"),
        Packet6(A, nd.ALL_NODES, 253, b"?"),
        Packet6(A, B, 17, b"?" * 8, fragment_offset=800, more_fragments=True),
    ):
        inject(b, packet, source=eth0(a).hardware)
    network.run(seconds=60)
    assert not [frame for _, frame in back.frames if frame[54:55] < b"\x80"]


def test_link_local_addresses_stay_on_the_link_where_they_were_heard() -> None:
    network = Network()
    a, b, c = network.host(), network.host(), network.host()
    network.link(a, "fd00::1/64", b, "fd00::2/64")
    network.link(a, "fd01::1/64", c, "fd01::3/64")
    network.loopback(a)
    there = nd.link_local(eth0(c).hardware)
    assert ping(network, a, there)[0] == 1, "the first interface, for want of knowing better"
    a.ip6.note_zone(there, a.interfaces["eth1"])
    assert ping(network, a, there) == (129, 0, ip_text(there))
    listener = a.tcp.listen(ANY6, 80, 1)
    near = c.tcp.connect(nd.link_local(a.interfaces["eth1"].hardware), 80, network.now)
    assert network.run(lambda: bool(listener.ready), 10) and near.established


def test_ipv6_comes_with_its_first_address_and_lo_s_with_it() -> None:
    network = Network()
    a, b = network.host(), network.host()
    network.link(a, "10.0.0.1/24", b, "10.0.0.2/24")
    assert a.lo.addresses == ["127.0.0.1/8"] and eth0(a).addresses == ["10.0.0.1/24"]
    inject(a, icmp6(B, nd.ALL_NODES, Icmp(128, 0, 0, 0, b"")), to=nd.group_mac(nd.ALL_NODES))
    assert a.counters == {"ip6-disabled": 1}
    a.add_address(eth0(a), A, 64)
    a.add_address(eth0(a), pack_ip("fd00::3"), 64)
    a.add_address(eth0(a), pack_ip("10.0.0.3"), 24)
    assert a.lo.addresses == ["127.0.0.1/8", "::1/128"]
    assert eth0(a).addresses == ["10.0.0.1/24", "10.0.0.3/24", "fd00::3/64", "fd00::1/64", "fe80::42:aff:fe00:1/64"]
    a.remove_address(eth0(a), A, 64)
    assert a.routes.lookup(B) is not None
    a.remove_address(eth0(a), pack_ip("fd00::3"), 64)
    assert a.routes.lookup(B) is None


def test_a_reassembly_needs_no_more_than_what_came() -> None:
    network = Network()
    a, b, _, back = pair(network)
    network.run(seconds=0.1)
    back.keep = True
    whole = Packet6(A, B, 17, bytes(2000))
    first = whole.piece(whole.payload[:1200])
    first.identification, first.more_fragments = 5, True
    inject(b, first, source=eth0(a).hardware)
    b.neighbours.set_permanent(eth0(b), A, eth0(a).hardware)
    network.run(seconds=61)
    reports = [ipv6.parse(frame, 14) for _, frame in back.frames if frame[20] == 58]
    messages = [icmpv6.parse(each.payload, each.source, each.destination) for each in reports]
    assert [(m.type, m.code) for m in messages if m.type < 128] == [(3, 1)]
