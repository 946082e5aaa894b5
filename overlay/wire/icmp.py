"""ICMP for IPv4 (RFC 792, RFC 1191 for the MTU of "fragmentation needed")."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from overlay.wire.checksum import partial
from overlay.wire.ipv4 import Malformed

ECHO_REPLY = 0
UNREACHABLE = 3
REDIRECT = 5
ECHO_REQUEST = 8
TIME_EXCEEDED = 11
PARAMETER_PROBLEM = 12

ERRORS = (UNREACHABLE, TIME_EXCEEDED, PARAMETER_PROBLEM, 4, REDIRECT)

# codes of UNREACHABLE
NET_UNREACHABLE = 0
HOST_UNREACHABLE = 1
PROTOCOL_UNREACHABLE = 2
PORT_UNREACHABLE = 3
FRAGMENTATION_NEEDED = 4
ADMINISTRATIVELY_PROHIBITED = 13

# codes of TIME_EXCEEDED
TTL_EXCEEDED = 0
REASSEMBLY_EXCEEDED = 1

_HEADER = Struct("!BBHHH")


@dataclass(frozen=True, slots=True)
class Icmp:
    """One message. `first` and `second` are the 16-bit words behind the checksum: identifier and sequence number
    of an echo; unused and next-hop MTU of a "fragmentation needed". `payload`: the echo's data, or the packet
    that an error quotes."""

    type: int
    code: int
    first: int
    second: int
    payload: bytes

    def emit(self) -> bytes:
        """The message's bytes with its checksum."""
        total = (self.type << 8 | self.code) + self.first + self.second + partial(self.payload)
        return _HEADER.pack(self.type, self.code, -total % 65535, self.first, self.second) + self.payload


def parse(data: bytes) -> Icmp:
    """Raises `Malformed` if it is short or its checksum is wrong."""
    if len(data) < 8:
        raise Malformed("icmp-short")
    if partial(data):
        raise Malformed("icmp-checksum")
    kind, code, _, first, second = _HEADER.unpack_from(data)
    return Icmp(kind, code, first, second, data[8:])
