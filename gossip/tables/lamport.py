"""Lamport time whose past survives a crash (Lamport 1978; blocks reserved ahead of use).

A block of times is written to disk before any of it is used, so a host that dies never gives a time twice,
and pays for the disk once per block. A time from too far ahead is a sign of a broken or hostile peer: taking it
would push everyone's clock, so it is refused by whoever asks `plausible` first.
"""

from __future__ import annotations

from gossip.storage import Storage

BLOCK = 1024
"""Times reserved by one write to disk."""
HORIZON = 1 << 20
"""A time this far ahead of ours is refused."""
_KIND, _KEY = "gossip", "lamport"


class LamportClock:
    """A counter that follows what it sees and never repeats itself."""

    __slots__ = ("_reserved", "_storage", "_time")

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        stored = storage.get(_KIND, _KEY)
        self._reserved = int.from_bytes(stored, "big") if stored else 0
        self._time = self._reserved

    @property
    def time(self) -> int:
        """The latest time given or seen."""
        return self._time

    def tick(self) -> int:
        """A new time, later than all given and seen; its block is on disk."""
        time = self._time + 1
        if time >= self._reserved:
            reserved = time + BLOCK
            self._storage.commit([(_KIND, _KEY, reserved.to_bytes(8, "big"))])
            self._reserved = reserved  # not before: a disk that is full reserves nothing
        self._time = time
        return time

    def observe(self, time: int) -> None:
        """Follow a time seen at a peer."""
        if time > self._time:
            self._time = time

    def plausible(self, time: int) -> bool:
        """Whether a time seen at a peer is near enough to be followed."""
        return time <= self._time + HORIZON
