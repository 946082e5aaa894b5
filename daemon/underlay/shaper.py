"""What an impairment does to the datagrams and bytes of one link: decisions only, no I/O, no clock of its own.

The order is netem's: a datagram may be too large, lost, doubled; each copy may be corrupted, waits for the rate, then
for its delay; one that is chosen to be reordered skips the delay and so overtakes those before it.
"""

from __future__ import annotations

from collections import Counter
from random import Random

from daemon.underlay.faults import Impairment

RETRY = 0.2
"""Seconds that a loss costs a stream: about Linux' smallest retransmission time-out."""


class Shaper:
    """One impairment on one link. `counters` says what it did."""

    def __init__(self, impairment: Impairment, random: Random, counters: Counter[str]) -> None:
        self._it = impairment
        self._random = random
        self._counters = counters
        self._free_at = 0.0

    def datagram(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """When each copy of a datagram leaves; empty if it never does."""
        it, chance = self._it, self._random.random
        if it.mtu and len(data) > it.mtu:
            self._counters["fault_too_large"] += 1
            return []
        if it.loss and chance() < it.loss:
            self._counters["fault_lost"] += 1
            return []
        copies = 1
        if it.duplicate and chance() < it.duplicate:
            self._counters["fault_duplicated"] += 1
            copies = 2
        leaving = []
        for _ in range(copies):
            copy = data
            if it.corrupt and data and chance() < it.corrupt:
                self._counters["fault_corrupted"] += 1
                bit = self._random.randrange(len(data) * 8)
                damaged = bytearray(data)
                damaged[bit // 8] ^= 1 << bit % 8
                copy = bytes(damaged)
            sent = self._transmitted(len(copy), now)
            if sent is None:
                self._counters["fault_queue_full"] += 1
                continue
            if it.reorder and chance() < it.reorder:
                self._counters["fault_reordered"] += 1
                leaving.append((sent, copy))
            else:
                leaving.append((sent + self._delay(), copy))
        return leaving

    def stream(self, size: int, now: float) -> float:
        """When a stream's next bytes leave. They always do: TCP would see to it."""
        it = self._it
        sent = max(self._free_at, now)
        if it.rate:
            sent += size / it.rate
            self._free_at = sent
        trouble = 1 - (1 - it.loss) * (1 - it.corrupt)
        while trouble and self._random.random() < min(trouble, 0.99):
            self._counters["fault_stream_delayed"] += 1
            sent += RETRY
        return sent + self._delay()

    def _transmitted(self, size: int, now: float) -> float | None:
        """When the last bit is on the wire at the link's rate; None if the queue has no room."""
        rate = self._it.rate
        if not rate:
            return now
        start = max(self._free_at, now)
        if (start - now) * rate > self._it.queue:
            return None
        self._free_at = start + size / rate
        return self._free_at

    def _delay(self) -> float:
        it = self._it
        if not it.jitter:
            return it.delay
        if it.distribution == "normal":
            return max(0.0, self._random.gauss(it.delay, it.jitter))
        if it.distribution == "pareto":
            # Shape 3: mean 1.5 of its scale; mostly near the delay, now and then far beyond it.
            return it.delay + it.jitter * (self._random.paretovariate(3) - 1)
        return max(0.0, it.delay + it.jitter * (2 * self._random.random() - 1))


class Chain:
    """All impairments of one link, one after the other."""

    def __init__(self, shapers: list[Shaper]) -> None:
        self._shapers = shapers

    def datagram(self, data: bytes, now: float) -> list[tuple[float, bytes]]:
        """When each copy of a datagram leaves."""
        leaving = [(now, data)]
        for shaper in self._shapers:
            leaving = [out for when, copy in leaving for out in shaper.datagram(copy, when)]
        return leaving

    def stream(self, size: int, now: float) -> float:
        """When a stream's next bytes leave."""
        for shaper in self._shapers:
            now = shaper.stream(size, now)
        return now
