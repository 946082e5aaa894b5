"""What is known about one member, and the events that tell how it came to be known.

Only data lives here: everything else in ``gossip.swim`` and all users of membership share these types.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum

Address = tuple[str, int]
"""A dotted quad and a port."""


class MemberState(IntEnum):
    """memberlist's states, with the numbers that push/pull carries."""

    ALIVE = 0
    SUSPECT = 1
    DEAD = 2
    LEFT = 3


@dataclass(frozen=True, slots=True)
class Member:
    """One member as this node sees it; ``since`` is when ``state`` began, in seconds of the local clock."""

    name: str
    address: str
    port: int
    meta: bytes
    state: MemberState
    incarnation: int
    since: float
    native: bool = True
    """Speaks our stream type (200): a peer of this library and not another memberlist user such as serf."""

    @property
    def endpoint(self) -> Address:
        return (self.address, self.port)

    @property
    def reachable(self) -> bool:
        """Alive or merely suspect: still counted as a member."""
        return self.state in (MemberState.ALIVE, MemberState.SUSPECT)


class EventKind(StrEnum):
    JOINED = "joined"
    SUSPECTED = "suspected"
    FAILED = "failed"
    LEFT = "left"
    RECOVERED = "recovered"
    """Alive again: a suspicion was refuted, or a dead or left member came back."""
    UPDATED = "updated"
    """Same member, new meta, address or port."""


@dataclass(frozen=True, slots=True)
class MemberEvent:
    """A change of one member in this node's eyes, with who told whom."""

    kind: EventKind
    member: Member
    before: Member | None
    at: float
    """Seconds of the local clock."""
    reason: str
    """For people: what was seen, e.g. ``no ack to probe``, ``suspicion timed out``, ``alive by gossip``."""
    told_by: str
    """Name of the member whose packet or stream brought this; the own name when found out first hand.
    ``address:port`` when the sender is not (yet) a member that we know."""
    accused_by: str = ""
    """For suspected and failed: the member that found out first (``From`` of the message)."""
