"""Lifeguard's experiment: how often healthy members are declared dead because others are slow, with each of its three
parts on and off (Dadgar, Phillips, Currey 2017, section V).

False positives are counted as the paper does: FP are failure events about members that were never slow, at any
member; FP- those of them at members that were never slow themselves. And how soon a true failure is known: a healthy
member loses power in the middle of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from gossip.simulation.slowness import Slowness, slow_down
from gossip.simulation.witness import Sighting, Witness
from gossip.simulation.world import World
from gossip.swim.profile import LAN, SHOAL, Profile

SETTLE = 30.0
"""Seconds after the slow spells in which their consequences still count."""
TRUE_FAILURE_AT = 20.0
"""Seconds after the beginning of the slow spells at which a healthy member really crashes."""

SWIM = replace(
    LAN,
    lha_probe=False,
    lha_suspicion=False,
    buddy_system=False,
    suspicion_mult=5,
    confirmations=3,
    stall=math.inf,
)
"""SWIM as the paper compares with: memberlist without Lifeguard, the suspicion 5 log N periods; and without our rule
that a timer served late is no evidence."""

PARTS: dict[str, Profile] = {
    "SWIM": SWIM,
    "LHA-Probe": replace(SWIM, lha_probe=True),
    "LHA-Suspicion": replace(SWIM, lha_suspicion=True),
    "Buddy System": replace(SWIM, buddy_system=True),
    "Lifeguard": replace(SWIM, lha_probe=True, lha_suspicion=True, buddy_system=True),
}
"""The paper's configurations."""

TUNED: dict[str, Profile] = {
    "Lifeguard, alpha 4": replace(PARTS["Lifeguard"], suspicion_mult=4),
    "Lifeguard, alpha 3": replace(PARTS["Lifeguard"], suspicion_mult=3),
    "Lifeguard, alpha 2": replace(PARTS["Lifeguard"], suspicion_mult=2),
}
"""Its tuning: a shorter suspicion pays with some of the accuracy gained. alpha is ``suspicion_mult``."""

OURS: dict[str, Profile] = {
    "memberlist": LAN,
    "shoal": SHOAL,
    "shoal, without its echo": replace(SHOAL, own_echo=False),
}
"""Lifeguard as memberlist ships it (alpha 4, K 2), and the profile that shoal runs, with and without its rule that
nobody is accused or condemned before one's own echo was heard."""

STALLS: dict[str, Profile] = {
    "SWIM": SWIM,
    "SWIM + stall rule": replace(SWIM, stall=LAN.stall),
    "Lifeguard": PARTS["Lifeguard"],
    "memberlist": LAN,
    "shoal": SHOAL,
}
"""For processes that are stopped whole: ours is that whoever was stopped takes no silence as evidence."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Sums over runs of one configuration."""

    runs: int
    false_positives: int
    at_healthy: int
    suspicions: int
    """Of healthy members, at any member."""
    first: tuple[float, ...]
    """Seconds from each true failure until the first healthy member held it dead."""
    everywhere: tuple[float, ...]
    """Until all healthy members did."""
    missed: int
    """True failures that some healthy member did not know of at the end."""
    packets: float
    """A member and second, mean."""


def accuracy(
    size: int, slow: int, slowness: Slowness, seeds: Sequence[int], *, profile: Profile, seconds: float
) -> Accuracy:
    """``slow`` of ``size`` members are slow for so many seconds; one run a seed."""
    runs = [_run(size, slow, slowness, seed, profile=profile, seconds=seconds) for seed in seeds]
    return total(runs)


def total(runs: Sequence[Accuracy]) -> Accuracy:
    """Of several, the sums."""
    count = sum(run.runs for run in runs)
    return Accuracy(
        runs=count,
        false_positives=sum(run.false_positives for run in runs),
        at_healthy=sum(run.at_healthy for run in runs),
        suspicions=sum(run.suspicions for run in runs),
        first=tuple(_chained(run.first for run in runs)),
        everywhere=tuple(_chained(run.everywhere for run in runs)),
        missed=sum(run.missed for run in runs),
        packets=sum(run.packets * run.runs for run in runs) / count,
    )


def _chained(parts: Iterator[tuple[float, ...]]) -> Iterator[float]:
    for part in parts:
        yield from part


def _run(size: int, slow: int, slowness: Slowness, seed: int, *, profile: Profile, seconds: float) -> Accuracy:
    world = World.converged(size, seed, profile=profile)
    world.run(2.0)
    chosen = world.random.sample(world.members, slow + 1)
    doomed, slowed = chosen[0], chosen[1:]
    healthy = [member for member in world.members if member not in chosen]
    witness = Witness(world)
    slow_down(world, slowed, slowness, seconds)
    world.run(TRUE_FAILURE_AT)
    world.crash(doomed)
    fell = world.now
    already = [member.number for member in healthy if witness.holds_gone(member.number, doomed.name)]
    witness.sightings[doomed.name] = Sighting(failed_at=dict.fromkeys(already, fell))
    world.run(seconds - TRUE_FAILURE_AT + SETTLE)
    numbers = {member.number: None for member in healthy}
    about_healthy = [witness.of(member.name) for member in healthy]
    failures = [observer for seen in about_healthy for observer in seen.failures]
    found = [at - fell for observer, at in witness.of(doomed.name).failed_at.items() if observer in numbers]
    complete = len(found) == len(healthy)
    return Accuracy(
        runs=1,
        false_positives=len(failures),
        at_healthy=sum(1 for observer in failures if observer in numbers),
        suspicions=sum(seen.suspicions for seen in about_healthy),
        first=(min(found),) if found else (),
        everywhere=(max(found),) if complete else (),
        missed=0 if complete else 1,
        packets=sum(member.packets for member in world.members) / size / world.now,
    )
