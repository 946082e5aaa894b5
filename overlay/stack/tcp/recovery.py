"""Episodes of loss: when one begins, which acknowledgement ends it, and whether it was one at all.

One episode lasts until all is acknowledged that was out when it began; losses found meanwhile are paid for already
(RFC 6582, RFC 6675 5).
"""

from __future__ import annotations


class Recovery:
    """`active`: losses are being repaired by acknowledgements. `after_timeout`: by the timer. `point`: the sequence
    number that ends it. `resent`: pieces sent again that the peer has not said it had already."""

    __slots__ = ("active", "after_timeout", "point", "resent")

    def __init__(self) -> None:
        self.active = False
        self.after_timeout = False
        self.point = 0
        self.resent = 0

    def begin(self, point: int) -> None:
        """A loss was found by acknowledgements."""
        self.active, self.after_timeout = True, False
        self.point = point
        self.resent = 0

    def timed_out(self, point: int, *, first: bool) -> None:
        """The timer fired."""
        self.active, self.after_timeout = False, True
        self.point = point
        if first:
            self.resent = 0

    def ends(self, ack: int) -> bool:
        """Whether this acknowledgement ends the episode; then it is over."""
        if (self.active or self.after_timeout) and ack >= self.point:
            self.active = self.after_timeout = False
            return True
        return False

    def arrived_twice(self) -> bool:
        """The peer says so of something (RFC 2883). True when that is so of all that was sent again: then nothing had
        been lost, only reordered."""
        self.resent -= 1
        return self.resent == 0

    def undone(self) -> None:
        """It was no loss."""
        self.active = self.after_timeout = False
