"""What all concerns of one node's membership share: who it is, its health, its timers, where its output collects."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from gossip.swim.awareness import Awareness
from gossip.swim.broadcasts import TransmitLimitedQueue
from gossip.swim.bucket import SubjectBuckets
from gossip.swim.dials import Dial
from gossip.swim.member import Address, MemberEvent
from gossip.swim.profile import Config, Profile
from gossip.swim.table import MemberTable
from gossip.swim.timers import Timers

_PROMPT_RATE, _PROMPT_BURST = 0.1, 8
"""Rumours about one subject that go out at once: a second, and in a burst. A death makes five: an accusation, two
confirmations, the verdict, and perhaps a refutation."""


def everyone(name: str) -> bool:
    """No roster: whoever has the key may be a member."""
    return bool(name)


@dataclass(slots=True)
class Local:
    config: Config
    random: Random
    counters: Counter[str]
    table: MemberTable
    awareness: Awareness
    timers: Timers
    rumours: TransmitLimitedQueue
    for_strangers: TransmitLimitedQueue
    """Messages of the layer that members which are not of our kind have on top (serf), without memberlist's type."""
    outbox: dict[Address, list[bytes]]
    """Messages that must go out, by destination, in order of arrival."""
    events: deque[MemberEvent]
    dials: deque[Dial]
    seeds: list[Address]
    recent_dead: dict[str, float] = field(default_factory=dict)
    """Who died when, oldest first; as long as they are still gossiped to."""
    expelled: dict[Address, str] = field(default_factory=dict)
    """Where members were whom the roster no longer has: what comes from there is dropped."""
    allowed: Callable[[str], bool] = everyone
    prompts: SubjectBuckets = field(default_factory=lambda: SubjectBuckets(_PROMPT_RATE, _PROMPT_BURST))
    prompt: bool = False
    """There is news that should go out now and not at the next gossip tick."""
    leaving: bool = False
    speaker: Address | None = None
    """From where the packet came that is being read: no need to tell him what he says."""

    @property
    def profile(self) -> Profile:
        return self.config.profile

    @property
    def name(self) -> str:
        return self.config.name

    def send(self, to: Address, *messages: bytes) -> None:
        self.outbox.setdefault(to, []).extend(messages)

    def spread(self, subject: str, message: bytes, now: float, *, accuser: str = "") -> None:
        """A rumour: out at once, then repeated at each tick until it was sent often enough; about somebody of whom
        there is always something to say, with the ticks only."""
        self.rumours.put(subject, message, accuser=accuser, source=self.speaker)
        if self.prompts.take(subject, now):
            self.prompt = True
        else:
            self.counters["rumours_not_prompt"] += 1

    def spread_to_strangers(self, subject: str, message: bytes) -> None:
        self.for_strangers.put(subject, message, source=self.speaker)
        self.prompt = True

    def drop(self, why: str) -> None:
        self.counters["dropped." + why] += 1
