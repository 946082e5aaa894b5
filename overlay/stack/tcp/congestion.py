"""Congestion control: Reno's window (RFC 5681) in bytes, with NewReno's idea of one reduction per window (RFC 6582).

Bytes acknowledged are counted, not acknowledgements (RFC 3465), because one acknowledgement stands for a burst.
Which segments are lost is not decided here but in `loss`.
"""

from __future__ import annotations

INITIAL_SEGMENTS = 10
INFINITE = 1 << 62


class Congestion:
    """`window` and `threshold` in bytes. `recovery_point`: while the oldest unacknowledged byte is below it,
    this loss event was paid for already. `resent`: pieces sent again since then; `undo`: what to go back to if all
    of that was in vain. `limited`: the window was what stopped the sender (RFC 7661)."""

    __slots__ = ("_credit", "limited", "mss", "recovering", "recovery_point", "resent", "threshold", "undo", "window")

    def __init__(self, mss: int) -> None:
        self.mss = mss
        self.window = INITIAL_SEGMENTS * mss  # RFC 6928
        self.threshold = INFINITE
        self.recovering = False
        self.recovery_point = 0
        self.limited = False
        self.undo: tuple[int, int] | None = None
        self.resent = 0
        self._credit = 0

    def set_mss(self, mss: int) -> None:
        """The path's segment size changed; before anything was lost or grown the initial window follows."""
        if self.window == INITIAL_SEGMENTS * self.mss:
            self.window = INITIAL_SEGMENTS * mss
        self.mss = mss
        self.window = max(self.window, mss)

    def acknowledged(self, size: int) -> None:
        """`size` bytes were acknowledged outside of recovery."""
        if not self.limited:
            return
        if self.window < self.threshold:
            self.window = min(self.window + size, max(self.threshold, self.window))
            return
        self._credit += size
        if self._credit >= self.window:
            self._credit -= self.window
            self.window += self.mss

    def enter_recovery(self, in_flight: int, recovery_point: int) -> None:
        """A loss was found by acknowledgements: halve, once per window (RFC 5681 3.2, RFC 6675 5)."""
        self.undo = (self.window, self.threshold)
        self.resent = 0
        self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.threshold
        self.recovering = True
        self.recovery_point = recovery_point
        self._credit = 0

    def leave_recovery(self) -> None:
        """Everything that was out when the loss was found is acknowledged."""
        self.recovering = False
        self.window = max(min(self.window, self.threshold), 2 * self.mss)

    def timed_out(self, in_flight: int, recovery_point: int, *, first: bool) -> None:
        """The retransmission timer fired: start again from one segment (RFC 5681 3.1, 5)."""
        if first:
            self.undo = (self.window, self.threshold)
            self.resent = 0
            self.threshold = max(in_flight // 2, 2 * self.mss)
        self.window = self.mss
        self.recovering = False
        self.recovery_point = recovery_point
        self._credit = 0

    def arrived_twice(self) -> None:
        """The peer says so of something (RFC 2883). When that is true of all that was sent again, nothing had been
        lost, only reordered."""
        self.resent -= 1
        if self.resent == 0:
            self.undo_reduction()

    def undo_reduction(self) -> None:
        """The loss was none (Eifel, RFC 4015): take back the window."""
        if self.undo is not None:
            self.window, self.threshold = max(self.window, self.undo[0]), self.undo[1]
            self.undo = None
        self.recovering = False

    def restart_after_idle(self) -> None:
        """Nothing was sent for longer than an RTO: the window says nothing any more (RFC 5681 4.1)."""
        self.window = min(self.window, INITIAL_SEGMENTS * self.mss)
