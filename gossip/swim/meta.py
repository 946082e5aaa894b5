"""How a member's metadata travels: as serf's tags, with one tag that says "I speak the native stream type".

serf's Meta is 0xff and a map of tags; a serf agent shows ours as the tag ``shoal``. Whoever has it may be sent type 200
and our user messages; everybody else never is.
"""

from __future__ import annotations

from gossip.wire.dialect import pack, unpack_map
from gossip.wire.errors import WireError
from gossip.wire.messages import META_MAX

META_LIMIT = 500
"""What is left of memberlist's 512 bytes for ``Delegate.meta``."""
_SERF_TAGS = b"\xff"
_TAG = "shoal"


def wrap_meta(meta: bytes) -> bytes:
    """Raises ValueError above ``META_LIMIT``."""
    if len(meta) > META_LIMIT:
        raise ValueError(f"metadata of {len(meta)} bytes, at most {META_LIMIT} fit")
    return _SERF_TAGS + pack({_TAG: meta})


def unwrap_meta(wire: bytes) -> tuple[bytes, bool]:
    """(metadata, native): a stranger's is given as it came."""
    if not wire.startswith(_SERF_TAGS):
        return wire, False
    try:
        fields = unpack_map(memoryview(wire)[1:])
        if fields.has(_TAG.encode()):
            return fields.raw(_TAG.encode(), META_MAX), True
    except WireError:
        return wire, False
    return wire, False
