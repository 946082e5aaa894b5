"""What a reader of the tables sees: rows and their changes.

A row's value is a plain dict, carried as msgpack. Peers pass it on as bytes and never look inside, so fields
that only a newer version knows survive the way through an older one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias, cast

import msgpack

Plain: TypeAlias = "bool | int | float | str | bytes | list[Plain] | dict[str, Plain] | None"
Value: TypeAlias = dict[str, Plain]

MAX_VALUE = 64 * 1024
"""Bytes that one row's encoded value may have."""
MAX_NAME = 256
"""Characters that the name of a table or a key may have."""


class ValueRejected(ValueError):
    """A row that may not enter the tables: not plain data, too large, or a name that is no name."""


class RowRemoved(LookupError):
    """A write to a shared id that has a tombstone: tombstones are final."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row as readers see it. `owner` is a node id, "" for shared rows; the value is not to be changed."""

    table: str
    key: str
    owner: str
    value: Value
    lamport: int


@dataclass(frozen=True, slots=True)
class Change:
    """A visible row came (before is None), changed, or went (after is None); going into hiding is going."""

    table: str
    key: str
    owner: str
    before: Row | None
    after: Row | None


def encode_value(value: Mapping[str, Plain]) -> bytes:
    """A row's value as bytes; raises ValueRejected."""
    try:
        data = cast(bytes, msgpack.packb(value, use_bin_type=True))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueRejected(f"not plain data: {error}") from None
    if len(data) > MAX_VALUE:
        raise ValueRejected(f"a row of {len(data)} bytes, at most {MAX_VALUE} are carried")
    return data


def decode_value(data: bytes) -> Value:
    """The value of a row from its bytes; raises ValueRejected."""
    try:
        value = msgpack.unpackb(data, raw=False, strict_map_key=True)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise ValueRejected(f"not a value: {error}") from None
    if not isinstance(value, dict):
        raise ValueRejected("a value is a map")
    return cast(Value, value)


def check_name(name: str) -> str:
    """A table's or key's name that can be stored and printed; raises ValueRejected."""
    if not name or len(name) > MAX_NAME or not name.isprintable():
        raise ValueRejected(f"not a name for a table or key: {name!r:.80}")
    return name
