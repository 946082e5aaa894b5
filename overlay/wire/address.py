"""Addresses between their text and their packed form; inside the stack only the packed form exists.

The length says the family (4: IPv4, 16: IPv6), so tables keyed by packed bytes take both.
"""

from __future__ import annotations

import ipaddress
from functools import lru_cache
from socket import AF_INET, AF_INET6, inet_ntop

MacBytes = bytes
IpBytes = bytes

BROADCAST_MAC = b"\xff" * 6
ANY = bytes(4)
ANY6 = bytes(16)
LOCALHOST = b"\x7f\x00\x00\x01"
LOCALHOST6 = bytes(15) + b"\x01"
_MAPPED = bytes(10) + b"\xff\xff"
BROADCAST = b"\xff" * 4


@lru_cache(maxsize=4096)
def pack_ip(text: str) -> bytes:
    """`"10.0.1.2"` → 4 bytes, `"fd00::1"` → 16 bytes, without a zone; an IPv4 address in IPv6's clothes
    (::ffff:10.0.1.2) is that IPv4 address. ValueError if it is neither."""
    packed = ipaddress.ip_address(text.partition("%")[0]).packed
    return packed[12:] if packed[:12] == _MAPPED else packed


@lru_cache(maxsize=4096)
def ip_text(packed: bytes) -> str:
    """4 or 16 bytes → text."""
    if len(packed) == 4:
        return inet_ntop(AF_INET, packed)
    return inet_ntop(AF_INET6, packed)


@lru_cache(maxsize=4096)
def pack_mac(text: str) -> bytes:
    """`"02:42:0a:00:01:02"` → 6 bytes; ValueError if it is not a MAC address."""
    packed = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if len(packed) != 6:
        raise ValueError(f"invalid MAC address {text!r}")
    return packed


@lru_cache(maxsize=4096)
def mac_text(packed: bytes) -> str:
    """6 bytes → `"02:42:0a:00:01:02"`."""
    return packed.hex(":")


def parse_cidr(text: str) -> tuple[bytes, int]:
    """`"10.0.1.2/24"` → (packed address, prefix length), host bits kept; without a slash the full length."""
    address, _, length = text.partition("/")
    packed = pack_ip(address)
    bits = int(length) if length else len(packed) * 8
    if not 0 <= bits <= len(packed) * 8:
        raise ValueError(f"invalid prefix length in {text!r}")
    return packed, bits


def network_of(address: bytes, prefix: int) -> bytes:
    """The network that `address` lies in: its host bits zeroed."""
    bits = len(address) * 8
    value = int.from_bytes(address, "big")
    return (value >> (bits - prefix) << (bits - prefix)).to_bytes(len(address), "big")


def broadcast_of(address: bytes, prefix: int) -> bytes:
    """The directed broadcast address of the network that `address` lies in."""
    bits = len(address) * 8
    return (int.from_bytes(address, "big") | ((1 << (bits - prefix)) - 1)).to_bytes(len(address), "big")


def is_link_local(address: bytes) -> bool:
    """fe80::/10, which means something on one link only."""
    return len(address) == 16 and address[0] == 0xFE and address[1] & 0xC0 == 0x80


def is_multicast(address: bytes) -> bool:
    """224.0.0.0/4, or ff00::/8."""
    return address[0] & 0xF0 == 0xE0 if len(address) == 4 else address[0] == 0xFF
