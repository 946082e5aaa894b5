"""Several messages in one packet: count u8, the lengths u16 big endian, then the messages (type 7)."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from gossip.wire.errors import WireError

MAX_PARTS = 255
OVERHEAD = 2
"""Type byte and count."""
PART_OVERHEAD = 2
"""The length of one part."""


def encode_compound(parts: Sequence[bytes]) -> bytes:
    """At most 255 parts of at most 65535 bytes each."""
    return struct.pack(f"!BB{len(parts)}H", 7, len(parts), *map(len, parts)) + b"".join(parts)


def decode_compound(body: bytes) -> list[bytes]:
    """``body`` without the type byte. Raises WireError when it ends before its parts do."""
    if not body:
        raise WireError("bad_compound", "no count")
    count = body[0]
    start = 1 + 2 * count
    if len(body) < start:
        raise WireError("bad_compound", "no lengths")
    parts = []
    for length in struct.unpack_from(f"!{count}H", body, 1):
        if start + length > len(body):
            raise WireError("bad_compound", "truncated")
        parts.append(body[start : start + length])
        start += length
    return parts
