"""Deltas: some records in one message, as a user message of memberlist or over a stream.

Wire form: one byte that serf does not use for its user messages, then a msgpack array of records' bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import msgpack

from gossip.swim.member import Address
from gossip.tables.bounds import MAX_DELTA
from gossip.tables.outbox import Outbox
from gossip.tables.replica import Replica

DELTA = 0xA5
_FRAME = 6  # our byte and the array's header (at most 5)
_PER_RECORD = 5  # the header of a bin of up to 2^32 bytes


class DeltaError(ValueError):
    """Bytes that are no delta."""


def encode_delta(records: Sequence[bytes]) -> bytes:
    """A delta's bytes."""
    return bytes([DELTA]) + cast(bytes, msgpack.packb(list(records), use_bin_type=True))


def decode_delta(data: bytes) -> list[object]:
    """The records of a delta, not yet decoded; raises DeltaError."""
    if len(data) > MAX_DELTA:
        raise DeltaError("too large for a delta")
    if not data or data[0] != DELTA:
        raise DeltaError("not a delta")
    try:
        items = msgpack.unpackb(data[1:], raw=False)
    except (ValueError, msgpack.exceptions.UnpackException, RecursionError) as error:
        raise DeltaError(str(error)) from None
    if not isinstance(items, list):
        raise DeltaError("a delta is an array")
    return items


def fill_packet(
    replica: Replica, to: Address, *, overhead: int, limit: int, members: int, full: int
) -> list[bytes]:
    """At most one delta of at most `limit - overhead` bytes from what is queued for `to`, counted as sent once.

    `full`: what an empty packet would take. A record too large even for that is moved to the stream.
    """
    outbox: Outbox = replica.outbox
    room = limit - overhead - _FRAME
    taken: list[bytes] = []
    for id in outbox.next(to, members):
        packed = replica.packed(id)
        if packed is None:
            outbox.discard(id)
            continue
        size = len(packed) + _PER_RECORD
        if size > full - _FRAME:
            outbox.to_stream(id)
        elif size <= room:
            room -= size
            taken.append(packed)
            outbox.sent(id, to, members)
        if room < 32:
            break
    return [encode_delta(taken)] if taken else []
