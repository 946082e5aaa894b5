"""The virtual clock: what is to happen, in buckets of one tick.

Buckets instead of a heap of moments: thousands of members make hundreds of happenings in a millisecond, and a heap
would compare each with a dozen others. Within a bucket the order is that of asking, so one seed gives one run.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable

TICK = 0.001
"""Seconds. Timers are served up to a tick late, and a packet takes at least one."""

Action = tuple[Callable[..., None], tuple[object, ...]]


class Agenda:
    """Time is ``now``, in seconds; it begins at 0."""

    def __init__(self) -> None:
        self.now = 0.0
        self._tick = 0
        self._buckets: dict[int, list[Action]] = {}
        self._order: list[int] = []

    @property
    def tick(self) -> int:
        """The tick that is being served."""
        return self._tick

    def at(self, when: float, action: Callable[..., None], *arguments: object) -> int:
        """Do something at a moment, or with the next tick if that is over; returns the tick."""
        tick = max(self._tick + 1, math.ceil(when / TICK - 1e-6))
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = []
            heapq.heappush(self._order, tick)
        bucket.append((action, arguments))
        return tick

    def after(self, seconds: float, action: Callable[..., None], *arguments: object) -> int:
        """The same, so many seconds from now."""
        return self.at(self.now + seconds, action, *arguments)

    def run_until(self, end: float) -> None:
        """Let time pass."""
        order, buckets = self._order, self._buckets
        last = math.floor(end / TICK + 1e-6)
        while order and order[0] <= last:
            tick = heapq.heappop(order)
            self._tick = tick
            self.now = tick * TICK
            for action, arguments in buckets.pop(tick):
                action(*arguments)
        self._tick = max(self._tick, last)
        self.now = max(self.now, end)
