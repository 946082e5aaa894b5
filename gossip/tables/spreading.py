"""The tables as memberlist's delegate: deltas ride on its packets, digests on its push/pulls.

What is new is passed on at first receipt, because merging queues it again. A push/pull carries only the digest of
everything, and so does a packet now and then: if it differs, repair finds out what.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import cast

import msgpack

from gossip.serf.messages import tags_of
from gossip.swim.member import Address
from gossip.tables.delta import DELTA, DeltaError, decode_delta, fill_packet
from gossip.tables.record import ROSTER, RecordError, RecordId, decode_record
from gossip.tables.replica import Replica

FULL_PACKET = 1000
"""Bytes that a packet surely has for a delta when nothing else is in it (memberlist's 1400 less label and sealing)."""


class Spreading:
    """memberlist's Delegate over one replica (and ComparesState). Nothing here raises on bytes from the wire."""

    def __init__(
        self,
        replica: Replica,
        *,
        role: str,
        members: Callable[[], int],
        differs: Callable[[str], None],
        too_large: Callable[[], None],
    ) -> None:
        """`members` counts them; `differs` hears of a peer with other tables, `too_large` that the stream has work."""
        self._replica = replica
        self._members = members
        self._differs = differs
        self._too_large = too_large
        self.role = role

    def meta(self) -> bytes:
        """serf's tags: 0xff and a map, in memberlist's old msgpack. The epoch: see `Replica.set_live`."""
        tags = {"shoal": "1", "role": self.role, "epoch": str(self._replica.epoch)}
        return b"\xff" + cast(bytes, msgpack.packb(tags, use_bin_type=False))

    def has_broadcasts(self) -> bool:
        return len(self._replica.outbox) > 0 or self._replica.outbox.streaming

    def broadcasts(self, overhead: int, limit: int, to: Address) -> list[bytes]:
        if self._replica.failed:
            return []
        messages: list[bytes] = []
        if len(self._replica.outbox):
            messages = fill_packet(
                self._replica, to, overhead=overhead, limit=limit, members=self._members(), full=FULL_PACKET - overhead
            )
        if self._replica.outbox.streaming:
            self._too_large()
        return messages

    def user_message(self, data: bytes, source: tuple[str, int], now: float) -> None:
        if not data or data[0] != DELTA:
            self._replica.counters["foreign_user_messages"] += 1
            return
        self.receive(data)

    def receive(self, data: bytes) -> list[RecordId]:
        """Merge a delta's bytes, from a packet or a stream; the ids that changed."""
        try:
            items = decode_delta(data)
        except DeltaError:
            self._replica.counters["bad_deltas"] += 1
            return []
        if not self._replica.in_roster(self._replica.node_id):
            # Not admitted as far as we know: rows come by repair from somebody who knows that we are. Else others
            # could collect a tombstone while we still hold the row.
            items = [item for item in items if _is_roster(item)]
        return self._replica.merge_packed(items)

    def state_digest(self) -> bytes:
        return self._replica.common_root().to_bytes(8, "big")

    def state_differs(self, member: str) -> None:
        self._differs(node_of(member))

    def local_state(self, join: bool) -> bytes:
        state = {"node": self._replica.node_id, "root": self._replica.common_root()}
        return bytes([DELTA]) + cast(bytes, msgpack.packb(state, use_bin_type=True))

    def merge_remote_state(self, data: bytes, join: bool, now: float) -> None:
        if not data or data[0] != DELTA:
            return
        try:
            state = msgpack.unpackb(data[1:], raw=False)
        except (ValueError, msgpack.exceptions.UnpackException, RecursionError):
            state = None
        node = state.get("node") if isinstance(state, dict) else None
        if not isinstance(node, str):
            self._replica.counters["bad_states"] += 1
        elif state.get("root") != self._replica.common_root():
            self._differs(node)


@lru_cache(1024)
def node_of(name: str) -> str:
    """The node id in a member's name."""
    return name.rpartition("-")[2]


@lru_cache(1024)
def epoch_in(meta: bytes) -> int:
    """The boot epoch that a member's metadata names; 0 for what names none."""
    text = tags_of(meta).get("epoch", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0


def _is_roster(item: object) -> bool:
    try:
        return isinstance(item, bytes) and decode_record(item).id.kind == ROSTER
    except RecordError:
        return False
