"""Join and leave intents: serf's Lamport clock decides which word about a member is the later one.

memberlist alone cannot tell a leave from a failure when its last message is lost, nor undo one. In serf each member has
a status time; a join or leave intent with a later one counts, is remembered and passed on, an earlier one is ignored.
"""

from __future__ import annotations

from gossip.serf.messages import Join, Leave

MEMBERS_MAX = 16384
"""Status times remembered; whoever is unknown beyond that is not remembered."""
AHEAD_MAX = 2**32
"""A Lamport time so far ahead of the clock is a mistake or an attack: it would leave no later one."""


class LamportClock:
    def __init__(self) -> None:
        self.time = 0
        self._set = False

    def witness(self, time: int) -> bool:
        """False for a time from the future, which is not believed. The first one seen may be anything sensible."""
        if time > (self.time if self._set else 0) + AHEAD_MAX:
            return False
        self._set = True
        self.time = max(self.time, time + 1)
        return True

    def tick(self) -> int:
        self.time += 1
        return self.time


class Intents:
    """``own``: this node's name."""

    def __init__(self, own: str) -> None:
        self._own = own
        self.clock = LamportClock()
        self.status_times: dict[str, int] = {}

    def hear(self, intent: Join | Leave) -> bool:
        """Whether it is news (and so is passed on)."""
        if intent.time <= self.status_times.get(intent.node, 0):
            return False
        if intent.node not in self.status_times and len(self.status_times) >= MEMBERS_MAX:
            return False
        self.status_times[intent.node] = intent.time
        return True

    def join(self) -> Join:
        """What to tell when this node joined, or when somebody said that it left."""
        intent = Join(self.clock.tick(), self._own)
        self.hear(intent)
        return intent

    def leave(self) -> Leave:
        intent = Leave(self.clock.tick(), self._own)
        self.hear(intent)
        return intent

    def forget(self, name: str) -> None:
        self.status_times.pop(name, None)
