"""What identifies a flow, in one direction: protocol, addresses, and ports or an ICMP echo's identifier.

Where TCP and UDP have ports an echo has its identifier and its type, so that the answers of one ping are not taken for
the requests of another. ICMP errors have no tuple of their own; they belong to the flow of the packet that they quote.
"""

from __future__ import annotations

from overlay.wire import checksum, icmp, icmpv6
from overlay.wire.ipv4 import HEADER_LENGTH, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Malformed, Packet
from overlay.wire.ipv6 import PROTOCOL_ICMPV6, parse_quoted

Tuple = tuple[int, bytes, bytes, bytes]
"""(protocol, source, destination, source port + destination port; or an echo's identifier, type and 0)."""

_FLIPPED = {b"\x08\0": b"\0\0", b"\0\0": b"\x08\0", b"\x80\0": b"\x81\0", b"\x81\0": b"\x80\0"}
"""Echo request and reply (ICMP types 8 and 0, ICMPv6's 128 and 129)."""
_ECHOES = ((PROTOCOL_ICMP, icmp.ECHO_REQUEST), (PROTOCOL_ICMP, icmp.ECHO_REPLY),
           (PROTOCOL_ICMPV6, icmpv6.ECHO_REQUEST), (PROTOCOL_ICMPV6, icmpv6.ECHO_REPLY))  # fmt: skip
_ICMP = (PROTOCOL_ICMP, PROTOCOL_ICMPV6)


def tuple_of(packet: Packet) -> Tuple | None:
    """The tuple of a whole packet; None for ICMP errors and for protocols without ports."""
    payload = packet.payload
    if packet.protocol == PROTOCOL_TCP or packet.protocol == PROTOCOL_UDP:
        return packet.protocol, packet.source, packet.destination, payload[:4]
    if len(payload) >= 8 and (packet.protocol, payload[0]) in _ECHOES:
        return packet.protocol, packet.source, packet.destination, payload[4:6] + payload[:1] + b"\0"
    return None


def inverse(flow: Tuple) -> Tuple:
    """The tuple of an answer."""
    protocol, source, destination, ports = flow
    if protocol in _ICMP:
        return protocol, destination, source, ports[:2] + _FLIPPED.get(ports[2:], ports[2:])
    return protocol, destination, source, ports[2:] + ports[:2]


def with_source(flow: Tuple, address: bytes, port: bytes) -> Tuple:
    """Another source; of an echo the identifier goes with it."""
    protocol, _, destination, ports = flow
    return protocol, address, destination, port + ports[2:]


def set_source(packet: Packet, flow: Tuple) -> None:
    """Give a packet the source (address and port) that a tuple says."""
    if packet.protocol in _ICMP:
        packet.source = flow[1]
        _set_identifier(packet, flow[3][:2])
    else:
        packet.rewrite(source=flow[1], source_port=int.from_bytes(flow[3][:2], "big"))


def set_destination(packet: Packet, flow: Tuple) -> None:
    """Give a packet the destination (address and port) that a tuple says."""
    if packet.protocol in _ICMP:
        packet.destination = flow[2]
        _set_identifier(packet, flow[3][:2])
    else:
        packet.rewrite(destination=flow[2], destination_port=int.from_bytes(flow[3][2:], "big"))


def _set_identifier(packet: Packet, identifier: bytes) -> None:
    payload = packet.payload
    old = payload[4:6]
    if old != identifier:
        total = checksum.update(int.from_bytes(payload[2:4], "big"), old, identifier)
        packet.payload = payload[:2] + total.to_bytes(2, "big") + identifier + payload[6:]


def quoted(packet: Packet) -> Tuple | None:
    """The tuple of the packet that an ICMP error is about; None if it is no error or quotes too little."""
    payload = packet.payload
    if packet.version == 6:
        return _quoted6(packet)
    if packet.protocol != PROTOCOL_ICMP or len(payload) < 8 + HEADER_LENGTH or payload[0] not in icmp.ERRORS:
        return None
    inner = payload[8:]
    behind = (inner[0] & 15) * 4
    protocol, transport = inner[9], inner[behind : behind + 8]
    if len(transport) < 8:
        return None
    if protocol == PROTOCOL_ICMP:
        return PROTOCOL_ICMP, inner[12:16], inner[16:20], transport[4:6] + transport[:1] + b"\0"
    if protocol in (PROTOCOL_TCP, PROTOCOL_UDP):
        return protocol, inner[12:16], inner[16:20], transport[:4]
    return None


def _quoted6(packet: Packet) -> Tuple | None:
    payload = packet.payload
    if packet.protocol != PROTOCOL_ICMPV6 or len(payload) < 8 or payload[0] >= icmpv6.INFORMATIONAL:
        return None
    try:
        inner = parse_quoted(payload[8:])
    except Malformed:
        return None
    return tuple_of(inner) if len(inner.payload) >= 8 and not inner.fragment_offset else None


def requote(packet: Packet, flow: Tuple) -> None:
    """Make an ICMP error quote a packet of that tuple, as it was before it was translated."""
    message = icmp.parse(packet.payload)
    inner = bytearray(message.payload)
    behind = (inner[0] & 15) * 4
    inner[12:16], inner[16:20] = flow[1], flow[2]
    inner[10:12] = bytes(2)
    inner[10:12] = checksum.finish(checksum.partial(inner[:behind])).to_bytes(2, "big")
    if flow[0] == PROTOCOL_ICMP:
        inner[behind + 4 : behind + 6] = flow[3][:2]
    else:
        inner[behind : behind + 4] = flow[3]
    packet.payload = icmp.Icmp(message.type, message.code, message.first, message.second, bytes(inner)).emit()
