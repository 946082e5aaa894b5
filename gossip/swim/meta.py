"""How a member's metadata travels: as serf's tags, with one tag that says "I speak the native stream type".

serf's Meta is 0xff and a map of tags; a serf agent shows ours as the tag ``shoal``. Whoever has it may be sent type 200
and our user messages; everybody else never is.
"""

from __future__ import annotations

from gossip.wire.dialect import Fields, pack, unpack_map
from gossip.wire.errors import WireError
from gossip.wire.messages import META_MAX

META_LIMIT = 500
"""What is left of memberlist's 512 bytes for ``Delegate.meta``."""
_SERF_TAGS = b"\xff"
_TAG = "shoal"


def wrap_meta(meta: bytes) -> bytes:
    """Metadata that is serf's tags already, ``shoal`` and others, is sent as it is; any other becomes the value of the
    tag. Raises ValueError above ``META_LIMIT``."""
    if len(meta) > META_LIMIT:
        raise ValueError(f"metadata of {len(meta)} bytes, at most {META_LIMIT} fit")
    tags = _tags(meta)
    if tags is not None and tags.has(_TAG.encode()) and len(tags) > 1:
        return meta
    return _SERF_TAGS + pack({_TAG: meta})


def unwrap_meta(wire: bytes) -> tuple[bytes, bool]:
    """(metadata as the other's delegate gave it, native): a stranger's is given as it came."""
    tags = _tags(wire)
    if tags is None or not tags.has(_TAG.encode()):
        return wire, False
    if len(tags) > 1:
        return wire, True
    try:
        return tags.raw(_TAG.encode(), META_MAX), True
    except WireError:
        return wire, False


def _tags(meta: bytes) -> Fields | None:
    if not meta.startswith(_SERF_TAGS):
        return None
    try:
        return unpack_map(memoryview(meta)[1:])
    except WireError:
        return None
