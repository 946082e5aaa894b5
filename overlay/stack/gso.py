"""Generic segmentation offload: TCP hands over one super-segment, and it is cut only where the path needs it.

A super-segment is an ordinary IP packet with a TCP segment, right in lengths and checksums, but larger than the
MTU. Between two of our own hosts it travels whole; to anybody else it is cut here, as the kernel's GSO does it:
sequence numbers go up, FIN and PSH only on the last piece, CWR only on the first, IPv4 identifications count up.
"""

from __future__ import annotations

from overlay.wire import ipv6
from overlay.wire.ipv4 import PROTOCOL_TCP, Packet, parse

ETHERNET = 14
_FIN_PSH = 0x09
_CWR = 0x80


def segment_packet(packet: Packet, mtu: int) -> list[Packet]:
    """Packets of at most `mtu` bytes that carry what `packet` (TCP, not a fragment) carries."""
    payload = packet.payload
    header = (payload[12] >> 4) * 4
    room = mtu - (packet.total_length - len(payload)) - header
    if room <= 0 or len(payload) - header <= room:
        return [packet]
    addresses = int.from_bytes(packet.source + packet.destination, "big") % 65535 + PROTOCOL_TCP
    ports, seq = payload[:4], int.from_bytes(payload[4:8], "big")
    ack_and_offset, flags, window = payload[8:13], payload[13], payload[14:16]
    rest = payload[18:header]
    out: list[Packet] = []
    for number, at in enumerate(range(header, len(payload), room)):
        data = payload[at : at + room]
        bits = flags
        if at + room < len(payload):
            bits &= ~_FIN_PSH
        if number:
            bits &= ~_CWR
        head = b"".join(
            (
                ports,
                (seq + at - header & 0xFFFFFFFF).to_bytes(4, "big"),
                ack_and_offset,
                bits.to_bytes(1, "big"),
                window,
            )
        )
        body = int.from_bytes(data, "big")
        total = (
            addresses
            + header
            + len(data)
            + int.from_bytes(head + rest, "big") % 65535
            + (body << 8 if len(data) & 1 else body) % 65535
        )
        out.append(packet.piece(b"".join((head, (-total % 65535).to_bytes(2, "big"), rest, data)), number=number))
    return out


def segment(frame: bytes, mtu: int) -> list[bytes]:
    """An Ethernet frame cut into frames whose IP packets have at most `mtu` bytes.

    A frame that fits, or that is not an unfragmented TCP packet (so cannot be cut), comes back as it is:
    the caller sees by its length whether it still is too large. Raises `Malformed` for a broken IP header.
    """
    kind = frame[12:14]
    if len(frame) - ETHERNET <= mtu or kind not in (b"\x08\x00", b"\x86\xdd"):
        return [frame]
    packet = parse(frame, ETHERNET) if kind == b"\x08\x00" else ipv6.parse(frame, ETHERNET)
    if packet.protocol != PROTOCOL_TCP or packet.is_fragment or len(packet.payload) < 20:
        return [frame]
    header = frame[:ETHERNET]
    return [header + piece.emit() for piece in segment_packet(packet, mtu)]
