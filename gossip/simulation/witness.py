"""Who saw what and when: the events of all members, as far as an experiment wants them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gossip.simulation.member import SimulatedMember
from gossip.simulation.world import World
from gossip.swim.member import EventKind, MemberEvent


@dataclass(slots=True)
class Sighting:
    """What happened to one member in the eyes of the others."""

    first_suspected: float | None = None
    first_failed: float | None = None
    failed_at: dict[int, float] = field(default_factory=dict)
    """When each observer (by number) first held it dead."""
    suspicions: int = 0
    failures: list[int] = field(default_factory=list)
    """The observer of each failure event, in order."""
    recoveries: list[int] = field(default_factory=list)
    """The observer of each return from death."""


class Witness:
    """Collects the events of a world from now on, by subject."""

    def __init__(self, world: World) -> None:
        self.sightings: dict[str, Sighting] = {}
        self.gone: dict[int, dict[str, None]] = {}
        """By observer: whom it holds dead (or left) now."""
        self._world = world
        world.on_event = self._note

    def of(self, name: str) -> Sighting:
        """What was seen of a member."""
        return self.sightings.setdefault(name, Sighting())

    def holds_gone(self, observer: int, name: str) -> bool:
        """Whether a member holds another dead now."""
        return name in self.gone.get(observer, {})

    def _note(self, member: SimulatedMember, event: MemberEvent) -> None:
        now = self._world.now
        seen = self.of(event.member.name)
        if event.kind in (EventKind.FAILED, EventKind.LEFT):
            self.gone.setdefault(member.number, {})[event.member.name] = None
        elif event.member.reachable:
            self.gone.get(member.number, {}).pop(event.member.name, None)
        if event.kind is EventKind.SUSPECTED:
            seen.suspicions += 1
            if seen.first_suspected is None:
                seen.first_suspected = now
        elif event.kind is EventKind.FAILED:
            seen.failures.append(member.number)
            seen.failed_at.setdefault(member.number, now)
            if seen.first_failed is None:
                seen.first_failed = now
        elif event.kind is EventKind.RECOVERED and event.before is not None and not event.before.reachable:
            seen.recoveries.append(member.number)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of them do not exceed; nan when there is none."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -int(-share * len(ordered) // 1) - 1))]


def mean(values: Sequence[float]) -> float:
    """nan when there is none."""
    return sum(values) / len(values) if values else float("nan")
