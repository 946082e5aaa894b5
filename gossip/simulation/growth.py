"""A cluster that grows one by one: each newcomer asks one member, and all must come to know all."""

from __future__ import annotations

from dataclasses import dataclass

from gossip.simulation.member import SimulatedMember
from gossip.simulation.network import Network
from gossip.simulation.witness import mean, quantile
from gossip.simulation.world import World
from gossip.swim.member import EventKind, MemberEvent
from gossip.swim.profile import Profile

LIMIT = 60.0


@dataclass(frozen=True, slots=True)
class Growth:
    """Times in seconds from a member's asking to join."""

    members: int
    gap: float
    """Between two joins."""
    known_to_all_mean: float
    """Until everybody who was there knows the newcomer."""
    known_to_all_p99: float
    complete_after: float
    """From the last join until all know all."""
    packets: float
    """A member and second, mean."""
    streams: int
    missing: int
    """Pairs that did not know each other at the end."""


def growth(size: int, seed: int, *, profile: Profile, gap: float = 0.05, loss: float = 0.0) -> Growth:
    """From one member to ``size``, one every ``gap`` seconds, each by a random one of those who are there."""
    world = World(seed, network=Network(loss=loss), profile=profile)
    asked: dict[str, float] = {}
    unknown: dict[str, int] = {}
    took: list[float] = []
    pairs = 0

    def note(member: SimulatedMember, event: MemberEvent) -> None:
        nonlocal pairs
        if event.kind is not EventKind.JOINED:
            return
        pairs += 1
        subject = event.member.name
        if member.name < subject:  # names are in order of joining: this one was there before
            unknown[subject] -= 1
            if unknown[subject] == 0:
                took.append(world.now - asked[subject])

    world.on_event = note
    world.add()
    for number in range(1, size):
        world.run(gap)
        seed_member = world.members[world.random.randrange(number)]
        newcomer = world.add()
        asked[newcomer.name] = world.now
        unknown[newcomer.name] = number
        world.join(newcomer, seed_member)
    last = world.now
    member_seconds = size * last / 2
    while pairs < size * (size - 1) and world.now - last < LIMIT:
        world.run(0.05)
    return Growth(
        members=size,
        gap=gap,
        known_to_all_mean=mean(took),
        known_to_all_p99=quantile(took, 0.99),
        complete_after=world.now - last,
        packets=sum(member.packets for member in world.members) / (member_seconds + size * (world.now - last)),
        streams=sum(member.streams for member in world.members),
        missing=size * (size - 1) - pairs,
    )
