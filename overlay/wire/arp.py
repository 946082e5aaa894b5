"""ARP for IPv4 on Ethernet (RFC 826)."""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from overlay.wire.ipv4 import Malformed

REQUEST = 1
REPLY = 2

_LAYOUT = Struct("!HHBBH6s4s6s4s")


@dataclass(frozen=True, slots=True)
class Arp:
    """`operation` is REQUEST or REPLY; MACs and addresses are packed."""

    operation: int
    sender_mac: bytes
    sender_ip: bytes
    target_mac: bytes
    target_ip: bytes

    def emit(self) -> bytes:
        """28 bytes, to stand behind an Ethernet header."""
        return _LAYOUT.pack(
            1, 0x0800, 6, 4, self.operation, self.sender_mac, self.sender_ip, self.target_mac, self.target_ip
        )


def parse(data: bytes, start: int = 0) -> Arp:
    """Raises `Malformed` for what is not IPv4 on Ethernet. Padding behind it is ignored."""
    if len(data) - start < _LAYOUT.size:
        raise Malformed("arp-short")
    hardware, protocol, hardware_size, protocol_size, operation, *rest = _LAYOUT.unpack_from(data, start)
    if (hardware, protocol, hardware_size, protocol_size) != (1, 0x0800, 6, 4):
        raise Malformed("arp-format")
    return Arp(operation, *rest)
