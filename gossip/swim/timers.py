"""The times at which a protocol object wants to be called: one deadline per key, replaced or cancelled at will."""

from __future__ import annotations

import heapq
from itertools import count

Key = tuple[str, object]
"""What the timer is for, and of whom."""


class Timers:
    """A heap with lazy deletion; equal deadlines fire in the order in which they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Key]] = []
        self._current: dict[Key, int] = {}
        self._numbers = count()

    def set(self, key: Key, when: float) -> None:
        number = next(self._numbers)
        self._current[key] = number
        heapq.heappush(self._heap, (when, number, key))
        if len(self._heap) > 64 and len(self._heap) > 4 * len(self._current):
            self._heap = [entry for entry in self._heap if self._current.get(entry[2]) == entry[1]]
            heapq.heapify(self._heap)

    def cancel(self, key: Key) -> None:
        self._current.pop(key, None)

    def next(self) -> float | None:
        """The earliest deadline."""
        heap = self._heap
        while heap:
            when, number, key = heap[0]
            if self._current.get(key) == number:
                return when
            heapq.heappop(heap)
        return None

    def pop_due(self, now: float) -> Key | None:
        """One key whose deadline has come, earliest first."""
        when = self.next()
        if when is None or when > now:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._current[key]
        return key

    def clear(self) -> None:
        self._heap.clear()
        self._current.clear()
