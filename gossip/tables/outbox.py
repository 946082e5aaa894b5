"""What is still to be told to others: by piggyback on packets (SWIM's dissemination, memberlist's queue), or by stream.

The queues hold ids, not contents: when a packet is filled the present version is encoded, so an older version can
never be sent after a newer one, and a key that changes a thousand times is one entry. Both are fair among owners and
bounded (`fair_queue`). What does not fit a packet, or is too much for packets, is taken by the stream.

As with rumours about members (`swim.broadcasts`), each member is told once before anybody is told twice, and a first
round sent at once comes on top of memberlist's count. Left to chance, 8 of 2,000 rows missed one of five hosts, and 83
one of nine, who heard of them by the next digest only.
"""

from __future__ import annotations

import math

from gossip.swim.member import Address
from gossip.tables.fair_queue import FairQueue
from gossip.tables.record import RecordId

RETRANSMIT_MULT = 4
"""memberlist's RetransmitMult: an entry is sent RETRANSMIT_MULT × ⌈log10(n + 1)⌉ times, and AT_ONCE times more if there
are as many others."""
AT_ONCE = 3
"""memberlist's GossipNodes, who hear news without waiting for a tick."""
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

    def next(self, to: Address, members: int) -> list[RecordId]:
        """The ids for one of so many members, in the order in which they want to be sent: fewest sent first, the owners
        in turn. Not those that it was told, while others were not."""
        return [id for id in self._queue.least_sent() if self._news(id, to, members)]

    def _news(self, id: RecordId, to: Address, members: int) -> bool:
        told = self._queue.told(id)
        return to not in told or len(dict.fromkeys(told)) >= members - 1

    def sent(self, id: RecordId, to: Address, members: int) -> None:
        """One more transmission of an id, in a cluster of so many members."""
        if id not in self._queue:
            return
        least = RETRANSMIT_MULT * math.ceil(math.log10(members + 1))
        if len(self._queue.told(id)) + 1 >= max(least, min(least + AT_ONCE, members - 1)):
            self._queue.discard(id)
        else:
            self._queue.sent(id, to)

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
