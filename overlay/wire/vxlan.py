"""The VXLAN header (RFC 7348, section 5): eight bytes between UDP and the inner Ethernet frame.

    |R|R|R|R|I|R|R|R|            Reserved           |
    |        VXLAN Network Identifier       | Reserved |

Reserved bits are zero when sent and ignored when received. Two of them are ours between our own VTEPs only. One says
that the inner frame is a TCP super-segment that travels whole; it is sent only to a VTEP that announced it, because
another would either drop it (Linux does, for any flag that it does not know) or deliver a frame larger than its MTU.
The other says that the network is encrypted: what follows is sealed (overlay/seal.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct

from overlay.wire.ipv4 import Malformed

PORT = 4789
HEADER_LENGTH = 8
MAX_VNI = (1 << 24) - 1

FLAG_VNI = 0x08
FLAG_SUPER_FRAME = 0x10
FLAG_SEALED = 0x20

_HEADER = Struct("!B3xI")


@dataclass(frozen=True, slots=True)
class Header:
    """What a VXLAN header says. `super_frame`: the inner frame may be larger than the network's MTU; `sealed`: it is
    encrypted."""

    vni: int
    super_frame: bool = False
    sealed: bool = False


def emit(header: Header) -> bytes:
    """The eight bytes; ValueError for a VNI of more than 24 bits."""
    if not 0 <= header.vni <= MAX_VNI:
        raise ValueError(f"VNI {header.vni} does not fit in 24 bits")
    flags = FLAG_VNI | (FLAG_SUPER_FRAME if header.super_frame else 0) | (FLAG_SEALED if header.sealed else 0)
    return _HEADER.pack(flags, header.vni << 8)


def parse(data: bytes) -> Header:
    """The header at the start of `data`. Malformed: "vxlan-short", or "vxlan-flags" without the I flag."""
    if len(data) < HEADER_LENGTH:
        raise Malformed("vxlan-short")
    flags, word = _HEADER.unpack_from(data)
    if not flags & FLAG_VNI:
        raise Malformed("vxlan-flags")
    return Header(word >> 8, bool(flags & FLAG_SUPER_FRAME), bool(flags & FLAG_SEALED))
