"""What is still to be told to others: by piggyback on packets (SWIM's dissemination, memberlist's queue), or by stream.

The queues hold ids, not contents: when a packet is filled the present version is encoded, so an older version can
never be sent after a newer one, and a key that changes a thousand times is one entry. Both are fair among owners and
bounded (`fair_queue`). What does not fit a packet, or is too much for packets, is taken by the stream.
"""

from __future__ import annotations

import math

from gossip.tables.fair_queue import FairQueue
from gossip.tables.record import RecordId

RETRANSMIT_MULT = 4
"""memberlist's RetransmitMult: an entry is sent RETRANSMIT_MULT × ⌈log10(n + 1)⌉ times."""
MAX_QUEUE = 20_000
"""Ids at most in either queue."""
BACKLOG = 64
"""Ids waiting for packets beyond which whoever has most of them goes by stream."""
STREAM_BATCH = 4096
"""Ids that the stream takes at once; who comes later waits for no more than that."""


class Outbox:
    """Ids of records whose present version is to be sent some more times."""

    __slots__ = ("_queue", "_stream", "fresh")

    def __init__(self) -> None:
        self._queue = FairQueue(MAX_QUEUE)
        self._stream = FairQueue(MAX_QUEUE)
        self.fresh = False
        """Something was added since this was last set to False."""

    def __len__(self) -> int:
        return len(self._queue)

    @property
    def dropped(self) -> int:
        """Ids that had no place in a queue; they are left to repair."""
        return self._queue.dropped + self._stream.dropped

    def add(self, id: RecordId) -> None:
        """Send this record's present version, from the first count on again."""
        self._queue.add(id)
        self.fresh = True

    def discard(self, id: RecordId) -> None:
        """Nothing to tell about this record any more."""
        self._queue.discard(id)
        self._stream.discard(id)

    def next(self) -> list[RecordId]:
        """The ids in the order in which they want to be sent: fewest sent first, the owners in turn."""
        return self._queue.least_sent()

    def sent(self, id: RecordId, members: int) -> None:
        """One more transmission of an id, in a cluster of so many members."""
        count = self._queue.count(id)
        if count is None:
            return
        limit = RETRANSMIT_MULT * math.ceil(math.log10(members + 1))
        if count + 1 >= limit:
            self._queue.discard(id)
        else:
            self._queue.sent(id)

    def add_to_stream(self, id: RecordId) -> None:
        """Send this record's present version by stream: it does not concern everybody who hears packets."""
        self.to_stream(id)
        self.fresh = True

    def to_stream(self, id: RecordId) -> None:
        """This record goes by stream instead."""
        self._queue.discard(id)
        self._stream.add(id)

    def relieve(self) -> None:
        """Have what is too much for packets go by stream: all of the owner that has most, until the rest is little."""
        while len(self._queue) > BACKLOG:
            for id in self._queue.of(self._queue.largest()):
                self.to_stream(id)

    @property
    def streaming(self) -> bool:
        """Whether something waits for the stream."""
        return bool(self._stream)

    def take_stream(self) -> list[RecordId]:
        """The next batch that is to go by stream; it is taken out."""
        return self._stream.take(STREAM_BATCH)
