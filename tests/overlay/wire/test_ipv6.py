"""IPv6 on the wire: the same laws as for IPv4 (what is emitted parses to the same; garbage is Malformed), and the
examples of the RFCs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.stack.reassembly import fragment6
from overlay.wire import extension, icmpv6, ipv6, nd, tcp, udp
from overlay.wire.address import ip_text, pack_ip
from overlay.wire.extension import DESTINATION, HOP_BY_HOP, ROUTING, BadExtension, Extension
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Malformed
from overlay.wire.ipv6 import Packet6

mac = st.binary(min_size=6, max_size=6)
ip = st.binary(min_size=16, max_size=16)
word = st.integers(0, 0xFFFF)
octet = st.integers(0, 255)
payload = st.binary(max_size=200)
upper = octet.filter(lambda protocol: protocol not in (0, 43, 44, 60))


def options(kind: int) -> st.SearchStrategy[Extension]:
    return st.integers(0, 3).map(
        lambda words: Extension(kind, bytes((0, words, 1, 4 + 8 * words)) + bytes(4 + 8 * words))
    )


extensions = st.tuples(st.lists(options(HOP_BY_HOP), max_size=1), st.lists(options(DESTINATION), max_size=2)).map(
    lambda parts: (*parts[0], *parts[1])
)
packets = st.builds(
    Packet6,
    ip,
    ip,
    upper,
    payload,
    ttl=octet,
    tos=octet,
    dont_fragment=st.just(True),
    extensions=extensions,
    flow_label=st.integers(0, 0xFFFFF),
)


@given(packets, payload)
def test_packets(packet: Packet6, padding: bytes) -> None:
    data = packet.emit()
    assert len(data) == packet.total_length
    assert ipv6.parse(data + padding) == packet
    assert ipv6.parse_quoted(data) == packet


@given(packets, st.integers(0, 0x1FFF).map(lambda value: value * 8), st.booleans(), st.integers(0, 0xFFFFFFFF))
def test_fragments(packet: Packet6, offset: int, more: bool, identification: int) -> None:
    packet.fragment_offset, packet.more_fragments = offset, more or not offset
    packet.identification = identification
    assert ipv6.parse(packet.emit()) == packet


def test_an_atomic_fragment_is_a_whole_packet() -> None:
    behind = bytes((60, 0, 0, 0, 0, 0, 0, 7)) + bytes((17, 0, 1, 4, 0, 0, 0, 0)) + b"payload"
    packet = ipv6.parse(Packet6(bytes(16), bytes(16), 44, behind).emit())
    assert (packet.protocol, packet.payload, packet.is_fragment) == (17, b"payload", False)
    assert [each.kind for each in packet.extensions] == [DESTINATION]


@given(st.integers(1281, 60_000), st.integers(1280, 1500), extensions)
def test_pieces_fit_and_carry_the_same(size: int, mtu: int, headers: tuple[Extension, ...]) -> None:
    data = bytes(n & 0xFF for n in range(size))
    whole = Packet6(bytes(15) + b"\1", bytes(15) + b"\2", 17, data, extensions=headers)
    pieces = [ipv6.parse(piece.emit()) for piece in fragment6(whole, mtu, 7)]
    assert all(piece.total_length <= mtu and piece.extensions == headers for piece in pieces)
    assert [piece.more_fragments for piece in pieces] == [True] * (len(pieces) - 1) + [False]
    assert all(len(piece.payload) % 8 == 0 for piece in pieces[:-1])
    got = b""
    for piece in pieces:
        assert piece.fragment_offset == len(got)
        got += piece.payload
    assert got == data


@given(st.builds(Icmp, octet, octet, word, word, payload), ip, ip)
def test_icmpv6(message: Icmp, source: bytes, destination: bytes) -> None:
    data = icmpv6.emit(message, source, destination)
    assert icmpv6.parse(data, source, destination) == message
    broken = bytearray(data)
    broken[-1] ^= 1
    with pytest.raises(Malformed, match="icmp6-checksum"):
        icmpv6.parse(bytes(broken), source, destination)


@given(ip.filter(lambda target: target[0] != 0xFF), st.none() | mac, st.booleans(), st.booleans(), st.booleans())
def test_neighbour_discovery(target: bytes, owner: bytes | None, router: bool, solicited: bool, override: bool) -> None:
    asked = nd.Solicitation(target, owner)
    assert nd.parse_solicitation(asked.message()) == asked
    said = nd.Advertisement(target, owner, router, solicited, override)
    assert nd.parse_advertisement(said.message()) == said


@given(st.sampled_from([PROTOCOL_TCP, PROTOCOL_UDP]), payload.filter(len), ip, ip, ip, ip, word, word)
def test_transports_and_rewriting(
    protocol: int, data: bytes, source: bytes, destination: bytes, new: bytes, other: bytes, port: int, to: int
) -> None:
    body = (
        tcp.Segment(1, 2, 3, 4, tcp.ACK, 5, data).emit(source, destination)
        if protocol == PROTOCOL_TCP
        else udp.Datagram(1, 2, data).emit(source, destination)
    )
    packet = Packet6(source, destination, protocol, body)
    packet.rewrite(source=new, destination=other, source_port=port, destination_port=to)
    parse = tcp.parse if protocol == PROTOCOL_TCP else udp.parse
    found = parse(packet.payload, new, other)
    assert (found.source_port, found.destination_port, found.payload) == (port, to, data)


def test_udp_over_ipv6_has_a_checksum() -> None:
    data = udp.Datagram(1, 2, b"x").emit(bytes(16), bytes(16))
    with pytest.raises(Malformed, match="udp-no-checksum"):
        udp.parse(data[:6] + bytes(2) + data[8:], bytes(16), bytes(16))


@pytest.mark.parametrize(
    ("kind", "option", "reported"),
    [
        (HOP_BY_HOP, 0x05, None),  # router alert
        (DESTINATION, 0x1E, None),  # unknown, to be skipped
        (DESTINATION, 0x5E, ""),  # unknown, the packet is discarded
        (DESTINATION, 0x9E, "anyway"),  # and reported, be it to a group
        (HOP_BY_HOP, 0xDE, "unicast"),  # and reported, unless it was to a group
    ],
)
def test_unknown_options_are_treated_as_their_bits_say(kind: int, option: int, reported: str | None) -> None:
    headers = (
        Extension(DESTINATION, bytes((0, 0, 1, 4, 0, 0, 0, 0))),
        Extension(kind, bytes((0, 0, 1, 0, option, 2, 0, 0))),
    )
    if reported is None:
        extension.check(headers, 40, arrived=True)
        return
    with pytest.raises(Malformed) as caught:
        extension.check(headers, 40, arrived=True)
    error = caught.value
    assert isinstance(error, BadExtension) == bool(reported)
    if isinstance(error, BadExtension):
        assert (error.code, error.pointer, error.multicast) == (2, 52, reported == "anyway")


def test_a_router_looks_at_hop_by_hop_options_only_and_routing_headers_are_refused() -> None:
    unknown = Extension(DESTINATION, bytes((0, 0, 0x9E, 4, 0, 0, 0, 0)))
    routing = Extension(ROUTING, bytes((0, 0, 0, 1, 0, 0, 0, 0)))
    extension.check((unknown, routing), 40, arrived=False)
    with pytest.raises(BadExtension) as caught:
        extension.check((routing,), 40, arrived=True)
    assert (caught.value.code, caught.value.pointer) == (0, 42)
    extension.check((Extension(ROUTING, bytes(8)),), 40, arrived=True)


def test_addresses() -> None:
    hardware = bytes.fromhex("02420a320002")
    assert ip_text(nd.link_local(hardware)) == "fe80::42:aff:fe32:2"
    assert nd.mac_behind(nd.link_local(hardware)) == hardware
    assert nd.mac_behind(pack_ip("fe80::1")) is None
    assert ip_text(nd.solicited_node(pack_ip("fd00::12:3456"))) == "ff02::1:ff12:3456"
    assert nd.group_mac(pack_ip("ff02::1:ff12:3456")).hex(":") == "33:33:ff:12:34:56"
    assert pack_ip("::ffff:10.0.0.1") == pack_ip("10.0.0.1")
    assert pack_ip("fe80::1%eth0") == pack_ip("fe80::1")


@pytest.mark.parametrize(
    "parse",
    [
        ipv6.parse,
        ipv6.parse_quoted,
        lambda data: ipv6.parse(b"\x60\0\0\0\0\x28\0\x40" + bytes(32) + data),
        lambda data: icmpv6.parse(data, bytes(16), bytes(16)),
        lambda data: nd.parse_solicitation(Icmp(135, 0, 0, 0, data)),
        lambda data: nd.parse_advertisement(Icmp(136, 0, 0, 0, data)),
        lambda data: extension.check((Extension(HOP_BY_HOP, data),), 40, arrived=True),
    ],
    ids=["ipv6", "quoted", "chain", "icmpv6", "ns", "na", "options"],
)
@given(data=st.binary(max_size=120))
def test_garbage_is_malformed_and_nothing_else(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except Malformed as error:
        assert error.reason
