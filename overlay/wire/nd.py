"""Neighbour Discovery (RFC 4861): solicitations and advertisements, and how groups look on Ethernet (RFC 2464)."""

from __future__ import annotations

from dataclasses import dataclass

from overlay.wire.icmp import Icmp
from overlay.wire.icmpv6 import NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION
from overlay.wire.ipv4 import Malformed

HOPS = 255
"""The hop limit that proves a message to come from the link itself (RFC 4861, 7.1)."""

ALL_NODES = bytes.fromhex("ff020000000000000000000000000001")
_SOLICITED = bytes.fromhex("ff0200000000000000000001ff")
_SOURCE_MAC, _TARGET_MAC = 1, 2
_ROUTER, _SOLICITED_FLAG, _OVERRIDE = 0x8000, 0x4000, 0x2000


def solicited_node(address: bytes) -> bytes:
    """The group in which whoever has `address` hears questions about it (RFC 4291, 2.7.1)."""
    return _SOLICITED + address[13:]


def group_mac(group: bytes) -> bytes:
    """The Ethernet address of a multicast group."""
    return b"\x33\x33" + group[12:]


def link_local(mac: bytes) -> bytes:
    """fe80:: with the interface identifier of a MAC (RFC 4291, appendix A)."""
    return b"\xfe\x80" + bytes(6) + bytes((mac[0] ^ 2,)) + mac[1:3] + b"\xff\xfe" + mac[3:]


def mac_behind(address: bytes) -> bytes | None:
    """The reverse of `link_local`; None for an address that was not made so."""
    if address[:8] != b"\xfe\x80" + bytes(6) or address[11:13] != b"\xff\xfe":
        return None
    return bytes((address[8] ^ 2,)) + address[9:11] + address[13:]


@dataclass(frozen=True, slots=True)
class Solicitation:
    """Who has `target`? `mac`: that of the asker; none while it asks for itself (RFC 4862, 5.4)."""

    target: bytes
    mac: bytes | None = None

    def message(self) -> Icmp:
        return Icmp(NEIGHBOUR_SOLICITATION, 0, 0, 0, self.target + _option(_SOURCE_MAC, self.mac))


@dataclass(frozen=True, slots=True)
class Advertisement:
    """`target` has that MAC. `solicited`: it answers a question; `override`: what was known before counts no more."""

    target: bytes
    mac: bytes | None = None
    router: bool = False
    solicited: bool = False
    override: bool = True

    def message(self) -> Icmp:
        flags = self.router * _ROUTER | self.solicited * _SOLICITED_FLAG | self.override * _OVERRIDE
        return Icmp(NEIGHBOUR_ADVERTISEMENT, 0, flags, 0, self.target + _option(_TARGET_MAC, self.mac))


def parse_solicitation(message: Icmp) -> Solicitation:
    """Raises `Malformed`."""
    target, options = _split(message)
    return Solicitation(target, options.get(_SOURCE_MAC))


def parse_advertisement(message: Icmp) -> Advertisement:
    """Raises `Malformed`."""
    target, options = _split(message)
    flags = message.first
    return Advertisement(
        target,
        options.get(_TARGET_MAC),
        flags & _ROUTER != 0,
        flags & _SOLICITED_FLAG != 0,
        flags & _OVERRIDE != 0,
    )


def _option(kind: int, mac: bytes | None) -> bytes:
    return bytes((kind, 1)) + mac if mac is not None else b""


def _split(message: Icmp) -> tuple[bytes, dict[int, bytes]]:
    """The target, and the link-layer options (RFC 4861, 4.6.1); others are skipped."""
    data = message.payload
    if message.code or len(data) < 16 or data[0] == 0xFF:
        raise Malformed("nd-target")
    options: dict[int, bytes] = {}
    at = 16
    while at < len(data):
        size = data[at + 1] * 8 if at + 1 < len(data) else 0
        if not size or at + size > len(data):
            raise Malformed("nd-options")
        if data[at] in (_SOURCE_MAC, _TARGET_MAC) and size == 8:
            options[data[at]] = data[at + 2 : at + 8]
        at += size
    return data[:16], options
