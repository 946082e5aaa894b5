"""ICMPv6 (RFC 4443): the messages of `icmp.Icmp` with other numbers and a checksum over the pseudo header."""

from __future__ import annotations

from overlay.wire import icmp
from overlay.wire.checksum import partial
from overlay.wire.icmp import Icmp
from overlay.wire.ipv4 import Malformed, pseudo_header
from overlay.wire.ipv6 import PROTOCOL_ICMPV6

UNREACHABLE = 1
PACKET_TOO_BIG = 2
TIME_EXCEEDED = 3
PARAMETER_PROBLEM = 4
ECHO_REQUEST = 128
ECHO_REPLY = 129
ROUTER_SOLICITATION = 133
ROUTER_ADVERTISEMENT = 134
NEIGHBOUR_SOLICITATION = 135
NEIGHBOUR_ADVERTISEMENT = 136
REDIRECT = 137

INFORMATIONAL = 128
"""Messages below this number are errors (RFC 4443, 2.1)."""

# codes of UNREACHABLE
NO_ROUTE = 0
PROHIBITED = 1
ADDRESS_UNREACHABLE = 3
PORT_UNREACHABLE = 4

# codes of TIME_EXCEEDED
HOP_LIMIT_EXCEEDED = 0
REASSEMBLY_EXCEEDED = 1

# codes of PARAMETER_PROBLEM
UNKNOWN_NEXT_HEADER = 1

_AS_IPV4 = {
    (UNREACHABLE, NO_ROUTE): (icmp.UNREACHABLE, icmp.NET_UNREACHABLE),
    (UNREACHABLE, PROHIBITED): (icmp.UNREACHABLE, icmp.ADMINISTRATIVELY_PROHIBITED),
    (UNREACHABLE, PORT_UNREACHABLE): (icmp.UNREACHABLE, icmp.PORT_UNREACHABLE),
    (PARAMETER_PROBLEM, UNKNOWN_NEXT_HEADER): (icmp.UNREACHABLE, icmp.PROTOCOL_UNREACHABLE),
}


def emit(message: Icmp, source: bytes, destination: bytes) -> bytes:
    """The message's bytes with its checksum over these packed addresses."""
    blank = message.emit()
    length = len(blank)
    total = pseudo_header(source, destination, PROTOCOL_ICMPV6, length) + partial(blank[:2] + b"\0\0" + blank[4:])
    return b"".join((blank[:2], (-total % 65535).to_bytes(2, "big"), blank[4:]))


def parse(data: bytes, source: bytes, destination: bytes) -> Icmp:
    """Raises `Malformed` if it is short or its checksum is wrong."""
    if len(data) < 8:
        raise Malformed("icmp6-short")
    if (pseudo_header(source, destination, PROTOCOL_ICMPV6, len(data)) + partial(data)) % 65535:
        raise Malformed("icmp6-checksum")
    return Icmp(data[0], data[1], int.from_bytes(data[4:6], "big"), int.from_bytes(data[6:8], "big"), bytes(data[8:]))


def word_of(message: Icmp) -> int:
    """The 32 bits behind the checksum: the MTU of a packet-too-big, the pointer of a parameter problem."""
    return message.first << 16 | message.second


def as_ipv4(message: Icmp) -> Icmp:
    """The ICMP error that says the same of an IPv4 packet: transports know the errors by those numbers."""
    if message.type == PACKET_TOO_BIG:
        return Icmp(icmp.UNREACHABLE, icmp.FRAGMENTATION_NEEDED, 0, min(word_of(message), 65535), message.payload)
    if message.type == TIME_EXCEEDED:
        kind, code = icmp.TIME_EXCEEDED, message.code
    elif message.type == UNREACHABLE or (message.type, message.code) in _AS_IPV4:
        kind, code = _AS_IPV4.get((message.type, message.code), (icmp.UNREACHABLE, icmp.HOST_UNREACHABLE))
    else:
        kind, code = icmp.PARAMETER_PROBLEM, message.code
    return Icmp(kind, code, 0, 0, message.payload)
