"""UDP (RFC 768)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from overlay.wire.checksum import partial
from overlay.wire.ipv4 import PROTOCOL_UDP, Malformed, pseudo_header

HEADER_LENGTH = 8
MAX_PAYLOAD = 65535 - 20 - HEADER_LENGTH

_HEADER = Struct("!HHHH")


@dataclass(frozen=True, slots=True)
class Datagram:
    """`payload` is at most 65,507 bytes over IPv4, 20 more over IPv6."""

    source_port: int
    destination_port: int
    payload: bytes

    def emit(self, source: bytes, destination: bytes) -> bytes:
        """Header with checksum over the pseudo header of these packed addresses, and payload."""
        length = HEADER_LENGTH + len(self.payload)
        total = (
            pseudo_header(source, destination, PROTOCOL_UDP, length)
            + self.source_port
            + self.destination_port
            + length
            + partial(self.payload)
        )
        field = -total % 65535 or 0xFFFF
        return _HEADER.pack(self.source_port, self.destination_port, length, field) + self.payload


def parse(data: bytes, source: bytes, destination: bytes) -> Datagram:
    """Raises `Malformed` for wrong lengths or a wrong checksum; checksum 0 means that none was made, which only IPv4
    allows."""
    if len(data) < HEADER_LENGTH:
        raise Malformed("udp-short")
    source_port, destination_port, length, field = _HEADER.unpack_from(data)
    if length < HEADER_LENGTH or length > len(data):
        raise Malformed("udp-length")
    body = data[:length]
    if not field and len(source) == 16:
        raise Malformed("udp-no-checksum")  # RFC 8200, 8.1
    if field and (pseudo_header(source, destination, PROTOCOL_UDP, length) + partial(body)) % 65535:
        raise Malformed("udp-checksum")
    return Datagram(source_port, destination_port, body[HEADER_LENGTH:])
