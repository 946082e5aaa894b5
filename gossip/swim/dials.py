"""What membership wants of streams. A protocol object cannot dial: it says so here, the shell does it and reports."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gossip.swim.member import Address


@dataclass(frozen=True, slots=True)
class DialPing:
    """Ping over TCP: connect, send Ping(seq, name), await its ack; answer by ``Membership.stream_ping_result``."""

    seq: int
    name: str
    to: Address
    timeout: float
    """Seconds for all of it."""


@dataclass(frozen=True, slots=True)
class DialPushPull:
    """Exchange states; hand the other's to ``Membership.push_pull_answered``."""

    to: Address
    join: bool
    native: bool
    """The other is known to be of our kind: it gets the delegate's state too."""
    timeout: float


Dial = DialPing | DialPushPull


class StreamPingResult(Enum):
    ACKED = "acked"
    REFUSED = "refused"
    """The address answered that nobody listens: the process is gone."""
    SILENT = "silent"
    """Anything else: no answer, no route, reset, garbage."""
