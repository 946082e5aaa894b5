"""memberlist's msgpack dialect: the old one, in which text and bytes are both ``raw`` (no bin, no str8).

Maps carry Go field names. Decoding gives ``Fields``: typed access to one map, where a field of the wrong type is a
``WireError`` and an absent one its zero value, as Go's decoder has it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence

import msgpack

from gossip.wire.errors import WireError

NAME_LIMIT = 255
"""Longest member name that is accepted; memberlist has no limit, its users stay far below."""

_UNPACK_ERRORS = (ValueError, TypeError, OverflowError, RecursionError, msgpack.UnpackException)
_CONTAINER_MAX = 256
# msgpack allocates a container when it reads its header: nested headers that promise much must not cost much.
_BUFFER_MAX = 64 * 1024 * 1024
_V4_MAPPED = b"\x00" * 10 + b"\xff\xff"


class NeedMore(Exception):
    """The bytes end inside a value: a stream waits for more, a packet is truncated."""

    def __init__(self, at_least: int = 0) -> None:
        super().__init__()
        self.at_least = at_least
        """Bytes without which it is useless to look again, where that is known."""


Plain = str | int | bytes | Mapping[str, int] | Mapping[str, str] | Sequence[str] | Sequence[bytes] | None


def pack(fields: Mapping[str, Plain]) -> bytes:
    """A map with Go's field names as keys."""
    packed: bytes = msgpack.packb(fields, use_bin_type=False)
    return packed


def unpack_map(data: bytes | memoryview, *, most: int = _CONTAINER_MAX) -> Fields:
    """The map at the start of ``data``; what follows it is ignored, as Go's decoder does. ``most``: elements of any map
    or array in it."""
    try:
        value = msgpack.unpackb(data, raw=True, strict_map_key=False, max_array_len=most, max_map_len=most)
    except msgpack.ExtraData as extra:
        value = extra.unpacked
    except _UNPACK_ERRORS as error:
        raise WireError("bad_msgpack", type(error).__name__) from None
    return _fields(value)


def unpack_names(data: bytes | memoryview) -> list[str]:
    """An array of names. Raises WireError."""
    try:
        value = msgpack.unpackb(data, raw=True, max_array_len=_CONTAINER_MAX, max_map_len=_CONTAINER_MAX)
    except _UNPACK_ERRORS as error:
        raise WireError("bad_msgpack", type(error).__name__) from None
    return Fields({b"": value}).names(b"")


def unpack_maps(data: memoryview, count: int) -> tuple[list[Fields], int]:
    """``count`` maps in a row and the number of bytes they take. Raises NeedMore when ``data`` ends before."""
    unpacker = msgpack.Unpacker(
        raw=True,
        strict_map_key=False,
        max_buffer_size=_BUFFER_MAX,
        max_array_len=_CONTAINER_MAX,
        max_map_len=_CONTAINER_MAX,
    )
    maps: list[Fields] = []
    try:
        unpacker.feed(data)
        for _ in range(count):
            maps.append(_fields(unpacker.unpack()))
        return maps, int(unpacker.tell())
    except msgpack.OutOfData:
        raise NeedMore from None
    except _UNPACK_ERRORS as error:
        raise WireError("bad_msgpack", type(error).__name__) from None


def _fields(value: object) -> Fields:
    if not isinstance(value, dict):
        raise WireError("bad_msgpack", "not a map")
    return Fields(value)


class Fields:
    """One decoded map."""

    __slots__ = ("_map",)

    def __init__(self, decoded: dict[object, object]) -> None:
        self._map = decoded

    def __len__(self) -> int:
        return len(self._map)

    def field_names(self) -> list[object]:
        return list(self._map)

    def has(self, key: bytes) -> bool:
        return key in self._map

    def number(self, key: bytes, limit: int) -> int:
        value = self._map.get(key, 0)
        if value is None:
            return 0
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= limit:
            raise WireError("bad_field", key.decode())
        return value

    def u32(self, key: bytes) -> int:
        return self.number(key, 0xFFFFFFFF)

    def u16(self, key: bytes) -> int:
        return self.number(key, 0xFFFF)

    def flag(self, key: bytes) -> bool:
        value = self._map.get(key, False)
        if value is None:
            return False
        if not isinstance(value, bool):
            raise WireError("bad_field", key.decode())
        return value

    def raw(self, key: bytes, limit: int) -> bytes:
        value = self._map.get(key, b"")
        if value is None:
            return b""
        if not isinstance(value, bytes) or len(value) > limit:
            raise WireError("bad_field", key.decode())
        return value

    def text(self, key: bytes, limit: int = NAME_LIMIT) -> str:
        try:
            return self.raw(key, limit).decode()
        except UnicodeDecodeError:
            raise WireError("bad_field", key.decode()) from None

    def name(self, key: bytes) -> str:
        """A member's name: text that is not empty."""
        value = self.text(key)
        if not value:
            raise WireError("bad_field", key.decode())
        return value

    def names(self, key: bytes) -> list[str]:
        """An array of names; nil counts as none."""
        value = self._map.get(key) or []
        if not isinstance(value, list):
            raise WireError("bad_field", key.decode())
        return [_name(each, key) for each in value]

    def raws(self, key: bytes) -> list[bytes]:
        """An array of byte strings; nil counts as none."""
        value = self._map.get(key) or []
        if not isinstance(value, list) or not all(isinstance(each, bytes) for each in value):
            raise WireError("bad_field", key.decode())
        return value

    def numbers(self, key: bytes, limit: int) -> dict[str, int]:
        """A map of names to numbers; nil counts as none."""
        value = self._map.get(key) or {}
        if not isinstance(value, dict):
            raise WireError("bad_field", key.decode())
        if any(isinstance(n, bool) or not isinstance(n, int) or not 0 <= n <= limit for n in value.values()):
            raise WireError("bad_field", key.decode())
        return {_name(name, key): number for name, number in value.items()}

    def address(self, key: bytes) -> str:
        return address_from_bytes(self.raw(key, 16))


def _name(value: object, key: bytes) -> str:
    if not isinstance(value, bytes) or not 0 < len(value) <= NAME_LIMIT:
        raise WireError("bad_field", key.decode())
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise WireError("bad_field", key.decode()) from None


def address_to_bytes(address: str) -> bytes:
    try:
        parts = bytes(map(int, address.split(".")))
    except ValueError:
        return ipaddress.ip_address(address).packed
    return parts if len(parts) == 4 else ipaddress.ip_address(address).packed


def address_from_bytes(data: bytes) -> str:
    """Go writes IPv4 as 4 bytes or as 16 with the v4-in-v6 prefix."""
    if len(data) == 16:
        if data[:12] != _V4_MAPPED:
            return str(ipaddress.IPv6Address(data))
        data = data[12:]
    if len(data) != 4:
        raise WireError("bad_field", "address")
    return ".".join(map(str, data))
