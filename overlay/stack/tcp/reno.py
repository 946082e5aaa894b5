"""Reno's window (RFC 5681) in bytes, with NewReno's one reduction per window (RFC 6582).

Bytes acknowledged are counted, not acknowledgements (RFC 3465), because one acknowledgement stands for a burst.
"""

from __future__ import annotations

from overlay.stack.tcp.delivery import Delivery
from overlay.stack.tcp.limits import INITIAL_SEGMENTS

INFINITE = 1 << 62


class Reno:
    """`window` and `threshold` in bytes."""

    __slots__ = ("_credit", "_undo", "mss", "threshold", "window")

    name = "reno"
    pacing_rate = 0.0
    quantum = INFINITE

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.window = INITIAL_SEGMENTS * mss  # RFC 6928
        self.threshold = INFINITE
        self._undo: tuple[int, int] | None = None
        self._credit = 0

    def set_mss(self, mss: int, whole: int) -> None:
        """Before anything was lost or grown the initial window follows."""
        if self.window == INITIAL_SEGMENTS * self.mss:
            self.window = INITIAL_SEGMENTS * mss
        self.mss = mss
        self.window = max(self.window, mss)

    def established(self, rtt: float, *, resent: bool) -> None:
        """A SYN that was lost makes the initial window smaller."""
        if resent:
            self.window = min(self.window, 3 * self.mss)

    def acknowledged(self, sample: Delivery, growth: int, pipe: int, now: float) -> None:
        """Slow start, or a segment more a window (RFC 5681 3.1)."""
        if growth <= 0:
            return
        if self.window < self.threshold:
            self.window = min(self.window + growth, max(self.threshold, self.window))
            return
        self._credit += growth
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += self.mss

    def enter_recovery(self, in_flight: int, sample: Delivery) -> None:
        """Halve, once per window (RFC 5681 3.2, RFC 6675 5)."""
        self._undo = (self.window, self.threshold)
        self.threshold = max(min(in_flight, self.window) // 2, 2 * self.mss)
        self.window = self.threshold
        self._credit = 0

    def leave_recovery(self) -> None:
        """On with what was halved."""
        self.window = max(min(self.window, self.threshold), 2 * self.mss)

    def timed_out(self, in_flight: int, *, first: bool) -> None:
        """Start again from one segment (RFC 5681 3.1, 5)."""
        if first:
            self._undo = (self.window, self.threshold)
            self.threshold = max(min(in_flight, self.window) // 2, 2 * self.mss)
        self.window = self.mss
        self._credit = 0

    def undo(self) -> None:
        """Take back the reduction."""
        if self._undo is not None:
            self.window, self.threshold = max(self.window, self._undo[0]), self._undo[1]
            self._undo = None

    def resume(self, idle: float, rto: float, sample: Delivery, now: float) -> None:
        """Nothing was sent for longer than an RTO: the window says nothing any more (RFC 5681 4.1)."""
        if idle > rto:
            self.window = min(self.window, INITIAL_SEGMENTS * self.mss)
