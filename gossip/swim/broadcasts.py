"""The queue of rumours that ride on other packets, each sent a limited number of times (memberlist: queue.go).

SWIM 4.1: a rumour that went out lambda * log(n) times has reached everyone with high probability. Those sent least go
first, of equals the newest; a newer rumour about the same subject replaces the older one. Ours: the accusations of
one suspicion stand beside one another, one an accuser, for each confirms the others (memberlist keeps the last only);
and a rumour goes to each once before it goes to anybody twice. Chance alone sends memberlist's few copies to the same
members now and then, and in a cluster of six one rumour in sixty misses somebody.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field

from gossip.swim.member import Address
from gossip.swim.profile import Profile

CAPACITY = 4096
"""Rumours kept; beyond that the one sent most, then the oldest, is dropped."""


@dataclass(slots=True)
class _Rumour:
    message: bytes
    number: int
    transmits: int = 0
    told: dict[Address, None] = field(default_factory=dict)
    """Who has it: the one it came from, and those it went to (never more than a rumour's transmits)."""


def retransmit_limit(profile: Profile, members: int) -> int:
    """memberlist's limit, which was made for ticks; a first round sent at once comes on top of it."""
    at_once = profile.gossip_nodes if profile.prompt_rate > 0 else 0
    return profile.retransmit_mult * math.ceil(math.log10(members + 1)) + at_once


_Key = tuple[str, str]
"""Subject, and the accuser if it is an accusation."""


class TransmitLimitedQueue:
    def __init__(self, profile: Profile, counters: Counter[str]) -> None:
        self._profile = profile
        self._counters = counters
        self._rumours: dict[_Key, _Rumour] = {}
        self._accusers: dict[str, dict[str, None]] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._rumours)

    def put(self, subject: str, message: bytes, *, accuser: str = "", source: Address | None = None) -> None:
        """``accuser``: this accusation is sent beside those of others; anything else replaces all about the subject.
        ``source``: from where it came."""
        self._next += 1
        if accuser:
            self._rumours.pop((subject, ""), None)
            self._accusers.setdefault(subject, {})[accuser] = None
        else:
            self.discard(subject)
        told = {source: None} if source is not None else {}
        self._rumours[(subject, accuser)] = _Rumour(message, self._next, told=told)
        if len(self._rumours) > CAPACITY:
            worst = max(self._rumours, key=lambda name: (self._rumours[name].transmits, -self._rumours[name].number))
            del self._rumours[worst]
            self._counters["dropped.broadcast_queue_full"] += 1

    def discard(self, subject: str) -> None:
        self._rumours.pop((subject, ""), None)
        for accuser in self._accusers.pop(subject, ()):
            self._rumours.pop((subject, accuser), None)

    def take(self, overhead: int, limit: int, members: int, to: Address) -> list[bytes]:
        """Rumours for one packet to ``to``: ``len + overhead`` of all together is at most ``limit``."""
        if not self._rumours:
            return []
        most = retransmit_limit(self._profile, members)
        taken: list[bytes] = []
        order = sorted(self._rumours.items(), key=lambda item: (item[1].transmits, -item[1].number))
        for subject, rumour in order:
            size = len(rumour.message) + overhead
            if size > limit or (self._profile.each_once_first and to in rumour.told and len(rumour.told) < members - 1):
                continue
            limit -= size
            taken.append(rumour.message)
            rumour.transmits += 1
            rumour.told[to] = None
            if rumour.transmits >= most:
                del self._rumours[subject]
        return taken
