"""When a node is in step with the swarm, and when it may give numbers.

After a start a host gives nothing until it has synced with a peer: others may have been given what its disk does not
know of. Two exceptions: the only member of a swarm that it began, and a host whose peers all stayed out of reach for a
while (its own ranges are its own, whatever happens elsewhere). Once open, the gate stays open for this boot.

A host in doubt, whose disk may be older than what it told others, has perhaps forgotten to whom it gave ranges. It
gives nothing until it has synced with every other member of the roster: whoever it gave to is one of them. Not with one
that has left for good: it uses nothing any more, and to whom it gave on is one of the others, so these are heard again.
Nor does it count who was heard while an answer from before the start may still be on its way to him.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gossip.storage import Storage
from gossip.tables.roster import Roster

LONELY = 5.0
"""Seconds after a start, without any peer, after which a node gives numbers without a sync."""

ON_ITS_WAY = 2.5
"""Seconds for which an answer may be on its way: somewhat longer than anybody waits for one that gives him numbers."""


class Gates:
    """Two questions that can be waited for: synced, and may give."""

    def __init__(
        self,
        node_id: str,
        roster: Roster,
        live_peers: Callable[[], list[str]],
        now: Callable[[], float],
        storage: Storage,
    ) -> None:
        """`now`: seconds of the loop's clock."""
        self._now = now
        self._doubtful = storage.doubtful
        self._in_step: dict[str, None] = {}
        self._departed: list[str] = []
        self._node_id = node_id
        self._roster = roster
        self._live_peers = live_peers
        self._changed = asyncio.Event()
        self._started: float | None = None
        self._giving = False
        self.is_synced = False
        """Whether all was exchanged with a live peer since the start."""

    def start(self) -> None:
        """The time since the start counts from now."""
        self._started = self._now()
        self.look()

    def sync(self, node_id: str, *, doubtful: bool = False) -> None:
        """All was exchanged with a live peer. One in doubt does not know what there is, unless nobody else does."""
        if self._started is not None and self._now() - self._started >= ON_ITS_WAY:
            self._in_step[node_id] = None
        self.is_synced = self.is_synced or not doubtful or (self._doubtful and self.may_give())
        self.look()

    def doubt(self) -> None:
        """A peer knows of a later boot than this one: the disk is an older one."""
        self._doubtful, self._giving = True, False
        self._in_step.clear()

    def unheard(self) -> list[str]:
        """Live members with whom a host in doubt has not synced yet."""
        live = self._live_peers()
        return [node for node in self.awaited() if node in live]

    def awaited(self) -> list[str]:
        """Members, dead ones too, whom a host in doubt must hear before it gives numbers; sorted."""
        return self._awaited() if self.in_doubt else []

    @property
    def in_doubt(self) -> bool:
        """Whether the disk may be older than what was told to others, and not all of them have been heard yet."""
        return self._doubtful and not self.may_give()

    def look(self) -> None:
        """Members came, went, or were admitted: whoever waits looks again."""
        self.may_give()
        self._changed.set()
        self._changed.clear()

    def may_give(self) -> bool:
        """Whether numbers may be given now."""
        if self._started is None or not self._roster.contains(self._node_id):
            return False
        if not self._giving:
            if self._doubtful:
                departed = [node for node in self._others() if self._roster.departed(node)]
                if any(node not in self._departed for node in departed):
                    self._in_step.clear()
                self._departed = departed
                # A joiner may hear of its own admission before it hears of anybody else's.
                self._giving = not self._awaited() and (bool(self._others()) or self._roster.only_member())
            else:
                lonely = self._now() - self._started >= LONELY and not self._live_peers()
                self._giving = self.is_synced or lonely or self._roster.only_member()
        return self._giving

    def _others(self) -> list[str]:
        return [entry.node_id for entry in self._roster.members() if entry.node_id != self._node_id]

    def _awaited(self) -> list[str]:
        return [node for node in self._others() if node not in self._in_step and not self._roster.departed(node)]

    async def wait_may_give(self, deadline: float) -> bool:
        """Wait for may_give for some seconds; whether it came true."""
        end = self._now() + deadline
        while not self.may_give():
            lonely = LONELY + 0.01 + (self._started or 0.0)
            if not await self._wait(min(end, lonely) if lonely > self._now() else end) and self._now() >= end:
                return self.may_give()
        return True

    async def wait_synced(self, deadline: float) -> bool:
        """Wait for a sync (the only member needs none) for some seconds; whether it came true."""
        end = self._now() + deadline
        while not (self.is_synced or self._roster.only_member()):
            if not await self._wait(end):
                return False
        return True

    async def _wait(self, end: float) -> bool:
        """Wait until something changed; False at the time `end`."""
        try:
            async with asyncio.timeout_at(end):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True
