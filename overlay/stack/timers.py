"""All timers of a stack in one heap, so that whoever drives it needs one alarm.

A TCP connection moves its deadline with every acknowledgement. Its entry in the heap is left where it is as long
as it is not later than the new deadline; when it comes up too early the owner just asks for a later one.
"""

from __future__ import annotations

from heapq import heappop, heappush
from typing import Protocol


class Timed(Protocol):
    """Something that wants to be called. `entry_at` belongs to `Timers`: the entry that counts (None: none)."""

    entry_at: float | None

    def on_timer(self, now: float) -> None:
        """The time asked for has come; ask again for the next. May be called early."""


class Timers:
    """A heap of (when, order, owner); superseded entries are skipped when they come up."""

    __slots__ = ("_heap", "_order")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timed]] = []
        self._order = 0

    def schedule(self, owner: Timed, when: float) -> None:
        """Call `owner` at `when` or somewhat earlier; an earlier call asked for before stays."""
        if owner.entry_at is None or when < owner.entry_at:
            owner.entry_at = when
            self._order += 1
            heappush(self._heap, (when, self._order, owner))

    def cancel(self, owner: Timed) -> None:
        """Do not call `owner`."""
        owner.entry_at = None

    def next(self) -> float | None:
        """When `run` wants to be called."""
        heap = self._heap
        while heap and heap[0][2].entry_at != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else None

    def run(self, now: float) -> None:
        """Call everything that is due."""
        heap = self._heap
        while heap and heap[0][0] <= now:
            when, _, owner = heappop(heap)
            if owner.entry_at == when:
                owner.entry_at = None
                owner.on_timer(now)
