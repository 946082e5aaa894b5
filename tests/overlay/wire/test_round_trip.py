"""The law of overlay/wire: what can be constructed can be emitted, and parsing that gives the same again;
and no bytes at all make a parser raise anything but `Malformed`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay.wire import arp, checksum, ethernet, icmp, ipv4, tcp, udp
from overlay.wire.ipv4 import PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet

mac = st.binary(min_size=6, max_size=6)
ip = st.binary(min_size=4, max_size=4)
word = st.integers(0, 0xFFFF)
number = st.integers(0, 0xFFFFFFFF)
octet = st.integers(0, 255)
payload = st.binary(max_size=200)

packets = st.builds(
    Packet,
    ip,
    ip,
    octet,
    payload,
    ttl=octet,
    tos=octet,
    identification=word,
    dont_fragment=st.booleans(),
    more_fragments=st.booleans(),
    fragment_offset=st.integers(0, 0x1FFF).map(lambda value: value * 8),
    options=st.integers(0, 10).map(lambda words: b"\x01" * 4 * words),
)
stamps = st.none() | st.tuples(number, number)
data_segments = st.builds(
    tcp.Segment,
    word,
    word,
    number,
    number,
    octet,
    word,
    payload,
    urgent=word,
    timestamps=stamps,
    sack=st.lists(st.tuples(number, number), max_size=3).map(tuple),
)
syn_segments = st.builds(
    tcp.Segment,
    word,
    word,
    number,
    number,
    octet,
    word,
    payload,
    mss=st.none() | word,
    window_scale=st.none() | st.integers(0, 14),
    sack_permitted=st.booleans(),
    timestamps=stamps,
)


@given(st.builds(ethernet.Frame, mac, mac, word, payload))
def test_ethernet(frame: ethernet.Frame) -> None:
    assert ethernet.parse(frame.emit()) == frame


@given(st.builds(arp.Arp, word, mac, ip, mac, ip), payload)
def test_arp(message: arp.Arp, padding: bytes) -> None:
    assert arp.parse(message.emit() + padding) == message


@given(packets, payload)
def test_ipv4(packet: Packet, padding: bytes) -> None:
    assert ipv4.parse(packet.emit() + padding) == packet
    assert ipv4.parse_quoted(packet.emit()) == packet


@given(st.builds(icmp.Icmp, octet, octet, word, word, payload))
def test_icmp(message: icmp.Icmp) -> None:
    assert icmp.parse(message.emit()) == message


@given(st.builds(udp.Datagram, word, word, payload), ip, ip, payload)
def test_udp(datagram: udp.Datagram, source: bytes, destination: bytes, padding: bytes) -> None:
    assert udp.parse(datagram.emit(source, destination) + padding, source, destination) == datagram


@given(data_segments | syn_segments, ip, ip)
def test_tcp(segment: tcp.Segment, source: bytes, destination: bytes) -> None:
    assert tcp.parse(segment.emit(source, destination), source, destination) == segment


@given(word, word, number, number, octet, word, number, number, payload, ip, ip)
def test_the_fast_way_to_emit_data_gives_the_same_bytes(
    source_port: int,
    destination_port: int,
    seq: int,
    ack: int,
    flags: int,
    window: int,
    sent: int,
    echoed: int,
    data: bytes,
    source: bytes,
    destination: bytes,
) -> None:
    segment = tcp.Segment(source_port, destination_port, seq, ack, flags, window, data, timestamps=(sent, echoed))
    assert segment.emit(source, destination) == tcp.emit_data(
        source, destination, (source_port, destination_port), seq, ack, flags, window, (sent, echoed), data
    )


@given(payload.filter(len), ip, ip, word, word, st.sampled_from([PROTOCOL_TCP, PROTOCOL_UDP]))
def test_rewriting_addresses_and_ports_keeps_the_transport_checksum_right(
    data: bytes, source: bytes, destination: bytes, source_port: int, destination_port: int, protocol: int
) -> None:
    old = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
    body = (
        tcp.Segment(1, 2, 3, 4, tcp.ACK, 5, data).emit(*old)
        if protocol == PROTOCOL_TCP
        else udp.Datagram(1, 2, data).emit(*old)
    )
    packet = Packet(*old, protocol, body)
    packet.rewrite(source=source, destination=destination, source_port=source_port, destination_port=destination_port)
    parse = tcp.parse if protocol == PROTOCOL_TCP else udp.parse
    found = parse(packet.payload, source, destination)
    assert (found.source_port, found.destination_port, found.payload) == (source_port, destination_port, data)
    assert packet.ports() == (source_port, destination_port)


@pytest.mark.parametrize(
    "parse",
    [
        ethernet.parse,
        arp.parse,
        ipv4.parse,
        ipv4.parse_quoted,
        icmp.parse,
        lambda data: udp.parse(data, bytes(4), bytes(4)),
        lambda data: tcp.parse(data, bytes(4), bytes(4)),
    ],
    ids=["ethernet", "arp", "ipv4", "quoted", "icmp", "udp", "tcp"],
)
@given(data=st.binary(max_size=80))
def test_garbage_is_malformed_and_nothing_else(parse: Callable[[bytes], object], data: bytes) -> None:
    try:
        parse(data)
    except Malformed as error:
        assert error.reason


@given(data_segments, st.integers(0, 10_000), ip, ip)
def test_a_flipped_bit_is_found(segment: tcp.Segment, bit: int, source: bytes, destination: bytes) -> None:
    data = bytearray(segment.emit(source, destination))
    bit %= len(data) * 8
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Malformed):
        tcp.parse(bytes(data), source, destination)


@given(st.binary(max_size=40), ip, ip)
def test_garbage_options_behind_a_right_checksum(options: bytes, source: bytes, destination: bytes) -> None:
    options += bytes(-len(options) % 4)
    head = tcp.Segment(1, 2, 3, 4, tcp.ACK, 5).emit(source, destination)
    data = bytearray(head[:12] + bytes([20 + len(options) << 2]) + head[13:16] + bytes(2) + head[18:] + options)
    total = ipv4.pseudo_header(source, destination, PROTOCOL_TCP, len(data)) + checksum.partial(data)
    data[16:18] = checksum.finish(total).to_bytes(2, "big")
    try:
        tcp.parse(bytes(data), source, destination)
    except Malformed as error:
        assert error.reason == "tcp-options"
