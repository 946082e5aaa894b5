"""A bounded queue of record ids in which every owner has its own turn (Nagle 1987: fair queueing).

Ids are taken one from each owner in turn, so a flood of one owner's updates delays the others' by one place each. When
the queue is full, the oldest id of the owner that has most is left out: who floods displaces nobody but himself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

from gossip.swim.member import Address
from gossip.tables.record import RecordId


class FairQueue:
    """Ids with whom each was sent to, by owner. An id is there once."""

    __slots__ = ("_by_owner", "_limit", "_size", "dropped")

    def __init__(self, limit: int) -> None:
        """`limit`: ids that are held at most."""
        self._by_owner: dict[str, dict[RecordId, list[Address]]] = {}
        self._limit = limit
        self._size = 0
        self.dropped = 0
        """Ids that had no place; repair brings them."""

    def __len__(self) -> int:
        return self._size

    def add(self, id: RecordId) -> None:
        """Put an id at the end of its owner's turn, as one that was sent to nobody."""
        self.discard(id)
        self._by_owner.setdefault(id.owner, {})[id] = []
        self._size += 1
        if self._size > self._limit:
            self.discard(next(iter(self._by_owner[self.largest()])))
            self.dropped += 1

    def discard(self, id: RecordId) -> None:
        """Take an id out; one that is not there is no error."""
        ids = self._by_owner.get(id.owner)
        if ids is not None and ids.pop(id, None) is not None:
            self._size -= 1
            if not ids:
                del self._by_owner[id.owner]

    def __contains__(self, id: RecordId) -> bool:
        return id in self._by_owner.get(id.owner, ())

    def told(self, id: RecordId) -> Sequence[Address]:
        """To whom an id was sent, as often as it was; it must be there."""
        return self._by_owner[id.owner][id]

    def sent(self, id: RecordId, to: Address) -> None:
        """One more time."""
        self._by_owner[id.owner][id].append(to)

    def largest(self) -> str:
        """The owner of most ids, of a queue that is not empty."""
        return max(self._by_owner, key=lambda owner: len(self._by_owner[owner]))

    def of(self, owner: str) -> list[RecordId]:
        """An owner's ids, in order of their coming."""
        return list(self._by_owner.get(owner, {}))

    def least_sent(self) -> list[RecordId]:
        """All ids by rounds, one of each owner a round; an owner's own: fewest sent first, newest first among those."""
        turns = [sorted(reversed(ids.items()), key=lambda item: len(item[1])) for ids in self._by_owner.values()]
        rounds = [item for turn in zip_longest(*turns) for item in turn if item is not None]
        return [id for id, _ in sorted(rounds, key=lambda item: len(item[1]))]

    def take(self, count: int) -> list[RecordId]:
        """So many ids at most, one of each owner a round, an owner's own in order of their coming; they are out."""
        taken: list[RecordId] = []
        while self._by_owner and len(taken) < count:
            for owner in list(self._by_owner):
                if len(taken) < count:
                    taken.append(next(iter(self._by_owner[owner])))
                    self.discard(taken[-1])
        return taken
