"""How fast the path delivers, measured with every acknowledgement (draft-cheng-iccrg-delivery-rate-estimation).

What is sent carries the state of the count at its sending. When it is delivered, what was delivered since then, over
the longer of the time that sending it took and the time that its acknowledgements took, is a sample of the rate: the
longer one, so that neither a burst sent nor acknowledgements that came bunched make the path look faster than it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from overlay.stack.tcp.loss import Sent


class Delivery:
    """`delivered`: bytes known to have arrived, since the beginning. `lost`: bytes that were thought to be lost.

    The rest is the sample of the acknowledgement that is being handled: `rate` in bytes per second (0: there is none),
    `prior`: what was delivered when the newest piece that it acknowledged was sent, `limited`: the program had no more
    to send then, so the rate says little about the path, `rtt` in seconds or None, `news` and `losses`: bytes,
    `flying`: bytes in the network before it came.
    """

    __slots__ = (
        "_acks_took",
        "_at",
        "_first_sent_at",
        "_lost_before",
        "_prior_at",
        "_sending_took",
        "delivered",
        "flying",
        "idle_until",
        "limited",
        "losses",
        "lost",
        "news",
        "prior",
        "rate",
        "rtt",
    )

    def __init__(self) -> None:
        self.delivered = 0
        self.lost = 0
        self.idle_until = 0
        self._at = 0.0
        self._first_sent_at = 0.0
        self._lost_before = 0
        self.begin(0)

    def begin(self, flying: int) -> None:
        """An acknowledgement came, with `flying` bytes in the network."""
        self.flying = flying
        self.rate = 0.0
        self.rtt: float | None = None
        self.limited = False
        self.news = self.losses = 0
        self.prior = -1
        self._prior_at = self._sending_took = self._acks_took = 0.0

    def sent(self, record: Sent, flying: int, now: float) -> None:
        """`record` leaves, for the first time or again, behind `flying` bytes."""
        if flying == 0:
            self._at = self._first_sent_at = now
        record.first_sent_at = self._first_sent_at
        record.delivered_at = self._at
        record.delivered = self.delivered
        record.limited = self.idle_until > 0

    def arrived(self, record: Sent, now: float) -> None:
        """The peer has `record`."""
        size = record.end - record.start
        self.delivered += size
        self.news += size
        self._at = now
        if record.delivered >= self.prior:
            self.prior = record.delivered
            self._prior_at = record.delivered_at
            self.limited = record.limited
            self._sending_took = record.at - record.first_sent_at
            self._acks_took = now - record.delivered_at
            self._first_sent_at = record.at

    def finish(self, minimum_rtt: float) -> None:
        """The acknowledgement was read: make the sample. One over less than the path's RTT is none: it comes of
        a retransmission that was taken for delivered when it was the original."""
        self.losses, self._lost_before = self.lost - self._lost_before, self.lost
        if self.idle_until and self.delivered > self.idle_until:
            self.idle_until = 0
        if self.prior < 0:
            return
        took = max(self._sending_took, self._acks_took)
        if took >= minimum_rtt * 0.999 and took > 0:
            self.rate = (self.delivered - self.prior) / took

    def program_idle(self, flying: int) -> None:
        """The program has no more to send, though more might be: until what is out has arrived, samples say so."""
        self.idle_until = max(self.delivered + flying, 1)

    def forget_losses(self) -> None:
        """What was marked lost until now was paid for by a timeout."""
        self._lost_before = self.lost
