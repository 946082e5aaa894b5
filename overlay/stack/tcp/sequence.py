"""Sequence numbers: on the wire they count modulo 2³², inside a connection they never wrap (RFC 9293 3.4)."""

from __future__ import annotations

MASK = 0xFFFFFFFF
HALF = 0x80000000


def unwrap(value: int, near: int) -> int:
    """The number congruent to the wire's `value` (mod 2³²) that is nearest to `near`."""
    return near + ((value - near + HALF) & MASK) - HALF
