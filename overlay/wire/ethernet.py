"""Ethernet II frames (no FCS): what ports carry."""

from __future__ import annotations

from dataclasses import dataclass

from overlay.wire.ipv4 import Malformed

ETHERTYPE_IPV4 = 0x0800
ETHERTYPE_ARP = 0x0806
ETHERTYPE_VLAN = 0x8100
ETHERTYPE_IPV6 = 0x86DD

HEADER_LENGTH = 14


@dataclass(frozen=True, slots=True)
class Frame:
    """`destination` and `source` are packed MACs (6 bytes)."""

    destination: bytes
    source: bytes
    ethertype: int
    payload: bytes

    def emit(self) -> bytes:
        """The frame's bytes, not padded to 60 (a cable between programs has no minimum)."""
        return b"".join((self.destination, self.source, self.ethertype.to_bytes(2, "big"), self.payload))


def parse(data: bytes) -> Frame:
    """Raises `Malformed` if it is shorter than a header."""
    if len(data) < HEADER_LENGTH:
        raise Malformed("ethernet-short")
    return Frame(bytes(data[:6]), bytes(data[6:12]), int.from_bytes(data[12:14], "big"), data[14:])
