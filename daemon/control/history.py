"""What this host noticed, in order, for whoever follows: members' changes with who told, and faults."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from gossip.swim.member import MemberEvent

_KEPT = 2000


@dataclass(slots=True)
class History:
    """The last entries, each {"n", "when" (wall seconds), "type", …}; `dropped` counts what fell off unread."""

    wall: Callable[[], float]
    _entries: deque[dict[str, object]] = field(default_factory=lambda: deque(maxlen=_KEPT))
    _count: int = 0
    _closed: bool = False
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def record(self, type: str, details: dict[str, object]) -> None:
        self._count += 1
        self._entries.append({"n": self._count, "when": self.wall(), "type": type, **details})
        news, self._news = self._news, asyncio.Event()
        news.set()

    def member_event(self, event: MemberEvent) -> None:
        self.record("member", describe_event(event))

    def since(self, n: int) -> list[dict[str, object]]:
        return [entry for entry in self._entries if isinstance(entry["n"], int) and entry["n"] > n]

    async def after(self, n: int) -> list[dict[str, object]]:
        """Entries after the n-th; waits for one; empty when the host stops."""
        while not self._closed:
            news = self._news
            if found := self.since(n):
                return found
            await news.wait()
        return []

    def close(self) -> None:
        self._closed = True
        self._news.set()


def describe_event(event: MemberEvent) -> dict[str, object]:
    """A change of one member in this host's eyes: what, whom, why, and who told whom."""
    return {
        "event": event.kind.value,
        "member": event.member.name,
        "address": event.member.address,
        "state": event.member.state.name.lower(),
        "incarnation": event.member.incarnation,
        "reason": event.reason,
        "told_by": event.told_by,
        "accused_by": event.accused_by,
    }
