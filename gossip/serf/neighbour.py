"""How this node appears to serf agents that share the cluster: it joins, leaves, answers and passes on as they expect.

Members of our own kind pass it on to one another as well (in a message type of their own), so that it spreads through
the whole cluster however few agents there are.
"""

from __future__ import annotations

from collections.abc import Callable

from gossip.serf.intents import Intents, LamportClock
from gossip.serf.messages import (
    Join,
    Leave,
    Query,
    SerfType,
    State,
    decode_intent,
    decode_query,
    decode_state,
    event_time,
)
from gossip.serf.queries import Queries
from gossip.swim.local import Local
from gossip.swim.member import MemberState
from gossip.wire.errors import WireError
from gossip.wire.messages import User
from gossip.wire.seal import Keyring

_SEEN_MAX = 512
"""Events and queries remembered, so that each is passed on once."""


class SerfNeighbour:
    """``force_left(name, prune, now)`` is called when an operator declared that a failed member left."""

    def __init__(self, local: Local, keyring: Keyring, force_left: Callable[[str, bool, float], None]) -> None:
        self._local = local
        self._force_left = force_left
        self._intents = Intents(local.name)
        self._events = LamportClock()
        self._queries = LamportClock()
        self._answering = Queries(local.name, local.table, keyring)
        self._seen: dict[bytes, None] = {}

    # -- in

    def receive(self, data: bytes, now: float) -> None:
        """A user message of a member that is not of our kind, perhaps passed on by one that is."""
        try:
            self._read(data, now)
        except WireError as error:
            self._local.drop(error.name)

    def _read(self, data: bytes, now: float) -> None:
        kind = data[0] if data else -1
        if kind in (SerfType.JOIN, SerfType.LEAVE):
            self._intent(decode_intent(data), now, relay=data)
        elif kind == SerfType.USER_EVENT:
            self._witness(self._events, event_time(data))
            self._once(data)
        elif kind == SerfType.QUERY:
            query = decode_query(data)
            self._witness(self._queries, query.time)
            if self._once(data, relay=not query.flags & Query.NO_BROADCAST):
                for response in self._answering.answers(query):
                    self._local.send((query.address, query.port), User(response.encode()).encode())
        else:
            self._local.drop("foreign_user_message")

    def _witness(self, clock: LamportClock, time: int) -> None:
        if not clock.witness(time):
            raise WireError("from_the_future", "Lamport time")

    def _once(self, data: bytes, *, relay: bool = True) -> bool:
        if data in self._seen:
            return False
        self._seen[data] = None
        if len(self._seen) > _SEEN_MAX:
            del self._seen[next(iter(self._seen))]
        if relay:
            self._tell(data.hex(), data)
        return True

    def _intent(self, intent: Join | Leave, now: float, relay: bytes = b"") -> None:
        self._witness(self._intents.clock, intent.time)
        local = self._local
        if isinstance(intent, Leave) and intent.node == local.name and not local.leaving:
            if intent.time > self._intents.status_times.get(local.name, 0):
                self.joined()
            return
        if not self._intents.hear(intent):
            return
        if relay:
            self._tell(intent.node, relay)
        record = local.table.get(intent.node)
        if isinstance(intent, Leave) and record is not None and not record.member.reachable:
            self._force_left(intent.node, intent.prune, now)

    def merge(self, user_state: bytes, now: float) -> None:
        """The user state of a push/pull with somebody who does not know that we are of one kind, or is not."""
        if not user_state:
            return
        try:
            state = decode_state(user_state)
            # Each clock was advanced before it was written down.
            for clock, time in (
                (self._intents.clock, state.time),
                (self._events, state.event_time),
                (self._queries, state.query_time),
            ):
                self._witness(clock, max(0, time - 1))
            for name, time in state.status_times.items():
                self._intent(Leave(time, name) if name in state.left else Join(time, name), now)
        except WireError as error:
            self._local.drop(error.name)

    # -- out

    def state(self) -> bytes:
        """The user state for a peer of whom we do not know that he is of our kind."""
        table = self._local.table
        gone = [name for name in table.gone if name in self._intents.status_times]
        left = [name for name in gone if (r := table.get(name)) is not None and r.member.state is MemberState.LEFT]
        known = {name: time for name, time in self._intents.status_times.items() if table.get(name) is not None}
        return State(self._intents.clock.time, known, left, self._events.time, self._queries.time).encode()

    def joined(self) -> None:
        """This node joined, or was wrongly said to have left."""
        self._tell(self._local.name, self._intents.join().encode())

    def leaving(self) -> bytes:
        """This node leaves: the same as a user message, to be sent before memberlist's own word for it."""
        intent = self._intents.leave().encode()
        self._tell(self._local.name, intent)
        return User(intent).encode()

    def _tell(self, subject: str, encoded: bytes) -> None:
        self._local.spread_to_strangers(subject, encoded)
