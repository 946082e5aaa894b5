"""What is still to be told to others by piggyback on packets (SWIM's dissemination, memberlist's queue).

The queue holds ids, not contents: when a packet is filled the present version is encoded, so an older version can
never be sent after a newer one, and a key that changes a thousand times is one entry. Order: fewest sent first,
newest first among those. What does not fit a packet, or is too much for packets, is taken by the stream.
"""

from __future__ import annotations

import math

from gossip.tables.record import RecordId

RETRANSMIT_MULT = 4
"""memberlist's RetransmitMult: an entry is sent RETRANSMIT_MULT × ⌈log10(n + 1)⌉ times."""
MAX_QUEUE = 20_000
"""Ids at most; beyond it the oldest are left to repair, and counted."""


class Outbox:
    """Ids of records whose present version is to be sent some more times."""

    __slots__ = ("_queue", "_stream", "dropped", "fresh")

    def __init__(self) -> None:
        self._queue: dict[RecordId, int] = {}
        self._stream: dict[RecordId, None] = {}
        self.dropped = 0
        self.fresh = False
        """Something was added since this was last set to False."""

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, id: RecordId) -> None:
        """Send this record's present version, from the first count on again."""
        self._queue.pop(id, None)
        self._queue[id] = 0
        self.fresh = True
        if len(self._queue) > MAX_QUEUE:
            del self._queue[next(iter(self._queue))]
            self.dropped += 1

    def discard(self, id: RecordId) -> None:
        """Nothing to tell about this record any more."""
        self._queue.pop(id, None)
        self._stream.pop(id, None)

    def next(self) -> list[RecordId]:
        """The ids in the order in which they want to be sent."""
        newest_first = list(reversed(self._queue.items()))
        return [id for id, sent in sorted(newest_first, key=lambda item: item[1])]

    def sent(self, id: RecordId, members: int) -> None:
        """One more transmission of an id, in a cluster of so many members."""
        count = self._queue.get(id)
        if count is None:
            return
        limit = RETRANSMIT_MULT * math.ceil(math.log10(members + 1))
        if count + 1 >= limit:
            del self._queue[id]
        else:
            self._queue[id] = count + 1

    def to_stream(self, id: RecordId) -> None:
        """This record goes by stream instead."""
        self._queue.pop(id, None)
        self._stream[id] = None

    @property
    def streaming(self) -> bool:
        """Whether something waits for the stream."""
        return bool(self._stream)

    def take_stream(self) -> list[RecordId]:
        """What is to go by stream, in order of its coming; it is taken out."""
        ids = list(self._stream)
        self._stream.clear()
        return ids
