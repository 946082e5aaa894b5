"""The link between the two ends of a measurement: loss, delay and rate, in a process of its own for either pair."""

from __future__ import annotations

import os
import select
import time
from collections import deque
from dataclasses import dataclass
from random import Random

BURST = 64
LARGEST = 65600


@dataclass(frozen=True, slots=True)
class Conditions:
    """What each direction does to frames: share lost, one-way `delay` in seconds, `rate` in bytes per second (0: as
    fast as the machine), `queue`: bytes that wait for the rate before more are dropped."""

    loss: float
    delay: float
    rate: float = 0.0
    queue: int = 256_000


class Direction:
    """From one file descriptor to the other, a frame a read."""

    def __init__(self, source: int, sink: int, conditions: Conditions, random: Random) -> None:
        self.source, self.sink = source, sink
        self._conditions = conditions
        self._random = random
        self._flying: deque[tuple[float, bytes]] = deque()
        self._busy_until = 0.0
        self.carried = 0

    def take(self, now: float) -> None:
        """What its source has sent by now, as far as a burst goes."""
        conditions, flying, chance = self._conditions, self._flying, self._random.random
        for _ in range(BURST):
            try:
                frame = os.read(self.source, LARGEST)
            except BlockingIOError:
                return
            if not frame or chance() < conditions.loss:
                continue
            leaves = now
            if conditions.rate:
                leaves = max(now, self._busy_until)
                if (leaves - now) * conditions.rate > conditions.queue:
                    continue
                leaves = self._busy_until = leaves + len(frame) / conditions.rate
            flying.append((leaves + conditions.delay, frame))

    def deliver(self, now: float) -> float | None:
        """What is due; when the next frame will be."""
        flying, sink = self._flying, self.sink
        while flying and flying[0][0] <= now:
            try:
                os.write(sink, flying.popleft()[1])
                self.carried += 1
            except BlockingIOError:
                pass  # a full queue at the far end is a loss like another
        return flying[0][0] if flying else None


def carry(directions: tuple[Direction, Direction], end: int) -> None:
    """Carry frames until the descriptor `end` is readable (or closed)."""
    by_source = {direction.source: direction for direction in directions}
    watched = [*by_source, end]
    while True:
        now = time.monotonic()
        due = [when for direction in directions if (when := direction.deliver(now)) is not None]
        wait = max(min(due) - time.monotonic(), 0.0) if due else 1.0
        ready, _, _ = select.select(watched, [], [], wait)
        if end in ready:
            return
        now = time.monotonic()
        for source in ready:
            by_source[source].take(now)
