"""What identifies a flow, in one direction: protocol, addresses, and ports or an ICMP echo's identifier.

Where TCP and UDP have ports an echo has its identifier and its type, so that the answers of one ping are not taken for
the requests of another. ICMP errors have no tuple of their own; they belong to the flow of the packet that they quote.
"""

from __future__ import annotations

from overlay.wire import checksum, icmp
from overlay.wire.ipv4 import HEADER_LENGTH, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, Packet

Tuple = tuple[int, bytes, bytes, bytes]
"""(protocol, source, destination, source port + destination port; or an echo's identifier, type and 0)."""

_FLIPPED = {b"\x08\0": b"\0\0", b"\0\0": b"\x08\0"}
"""Echo request and reply (ICMP types 8 and 0)."""


def tuple_of(packet: Packet) -> Tuple | None:
    """The tuple of a whole packet; None for ICMP errors and for protocols without ports."""
    payload = packet.payload
    if packet.protocol == PROTOCOL_TCP or packet.protocol == PROTOCOL_UDP:
        return packet.protocol, packet.source, packet.destination, payload[:4]
    if packet.protocol == PROTOCOL_ICMP and len(payload) >= 8 and payload[0] in (icmp.ECHO_REQUEST, icmp.ECHO_REPLY):
        return PROTOCOL_ICMP, packet.source, packet.destination, payload[4:6] + payload[:1] + b"\0"
    return None


def inverse(flow: Tuple) -> Tuple:
    """The tuple of an answer."""
    protocol, source, destination, ports = flow
    if protocol == PROTOCOL_ICMP:
        return protocol, destination, source, ports[:2] + _FLIPPED.get(ports[2:], ports[2:])
    return protocol, destination, source, ports[2:] + ports[:2]


def with_source(flow: Tuple, address: bytes, port: bytes) -> Tuple:
    """Another source; of an echo the identifier goes with it."""
    protocol, _, destination, ports = flow
    return protocol, address, destination, port + ports[2:]


def set_source(packet: Packet, flow: Tuple) -> None:
    """Give a packet the source (address and port) that a tuple says."""
    if packet.protocol == PROTOCOL_ICMP:
        packet.source = flow[1]
        _set_identifier(packet, flow[3][:2])
    else:
        packet.rewrite(source=flow[1], source_port=int.from_bytes(flow[3][:2], "big"))


def set_destination(packet: Packet, flow: Tuple) -> None:
    """Give a packet the destination (address and port) that a tuple says."""
    if packet.protocol == PROTOCOL_ICMP:
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
