"""The little that serf must hear so that a leave is a leave there, and not a failure.

serf lies on top of memberlist: its user messages begin with a type byte of its own. A leave intent (type 0) with a
Lamport time newer than the last join's, followed by memberlist's dead about oneself, is shown as ``left``.
"""

from __future__ import annotations

from gossip.wire.dialect import pack, unpack_map
from gossip.wire.errors import WireError
from gossip.wire.messages import User

_LEAVE = b"\x00"
_PUSH_PULL = b"\x02"
_LAMPORT_MAX = 2**63


class SerfClock:
    """serf's Lamport clock, as far as push/pulls with its agents told us."""

    def __init__(self) -> None:
        self._time = 0

    def witness(self, user_state: bytes) -> None:
        """The user state of a push/pull with a serf agent; anything else is ignored."""
        if not user_state.startswith(_PUSH_PULL):
            return
        try:
            self._time = max(self._time, unpack_map(user_state[1:]).number(b"LTime", _LAMPORT_MAX))
        except WireError:
            return

    def leave_intent(self, name: str) -> bytes:
        """A memberlist user message."""
        self._time += 1
        return User(_LEAVE + pack({"LTime": self._time, "Node": name, "Prune": False})).encode()
