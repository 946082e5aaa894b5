"""How much may be in the network: what a connection asks of a congestion control, and which there are.

Which segments are lost is decided in `loss`, when an episode of loss begins and ends in `recovery`; a control is told.
It does no I/O and has no timers: it says a window, and a rate at which the connection spaces what it sends.
"""

from __future__ import annotations

from random import Random
from typing import Protocol

from overlay.stack.tcp.bbr import Bbr
from overlay.stack.tcp.delivery import Delivery
from overlay.stack.tcp.reno import Reno

DEFAULT = "bbr"


class Congestion(Protocol):
    """`name` as in net.ipv4.tcp_congestion_control. `window` and `quantum` in bytes, `pacing_rate` in bytes per second.

    A rate of 0 says: send what the window allows at once. `quantum` is the most that may leave as one piece."""

    @property
    def name(self) -> str: ...
    @property
    def window(self) -> int: ...
    @property
    def pacing_rate(self) -> float: ...
    @property
    def quantum(self) -> int: ...

    def set_mss(self, mss: int, whole: int) -> None:
        """The path's segment size changed; `whole`: bytes that travel as one piece at a segment's cost (0: none)."""

    def established(self, rtt: float, *, resent: bool) -> None:
        """The handshake is done; its RTT (0: not known), and whether it took more than one try."""

    def acknowledged(self, sample: Delivery, growth: int, pipe: int, now: float) -> None:
        """An acknowledgement told of arrivals or losses. `growth`: bytes that it acknowledged while the window was what
        stopped the sender, outside of a loss episode. `pipe`: bytes in the network now."""

    def enter_recovery(self, in_flight: int, sample: Delivery) -> None:
        """A loss was found by acknowledgements, with `in_flight` bytes not acknowledged: a new episode."""

    def leave_recovery(self) -> None:
        """What was out when the episode began is acknowledged."""

    def timed_out(self, in_flight: int, *, first: bool) -> None:
        """The retransmission timer fired; everything counts as lost. `first`: since something new was acknowledged."""

    def undo(self) -> None:
        """The episode was none: what was sent again had only been late (Eifel, RFC 4015; RFC 2883)."""

    def resume(self, idle: float, rto: float, sample: Delivery, now: float) -> None:
        """Something is sent after nothing was out, for `idle` seconds."""


def control(name: str, mss: int, random: Random) -> Congestion:
    """A new one by name: "bbr" or "reno". KeyError: there is none of that name."""
    if name == Bbr.name:
        return Bbr(mss, random)
    if name == Reno.name:
        return Reno(mss)
    raise KeyError(name)
