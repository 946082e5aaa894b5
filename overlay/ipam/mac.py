"""Docker's MAC addresses: 02:42 and the four bytes of the IPv4 address."""

from __future__ import annotations

import ipaddress


def mac_from_ip(ip: str) -> str:
    """`"172.17.0.2"` (with or without a prefix length) → `"02:42:ac:11:00:02"`."""
    packed = ipaddress.IPv4Address(ip.partition("/")[0]).packed
    return ":".join(f"{byte:02x}" for byte in b"\x02\x42" + packed)
