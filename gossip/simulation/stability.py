"""Gray failures: one-way cuts, lossy and flapping links, where Rapid (Suresh et al., ATC 2018) finds SWIM unstable.

One in a hundred members is faulty in a way that is neither dead nor alive. What is asked: do healthy members stay in
the others' eyes, do the faulty ones leave (or stay) for good, and do all see the same?
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

from gossip.simulation.network import Cut, Network, flapping, one_way
from gossip.simulation.witness import Witness, mean
from gossip.simulation.world import World
from gossip.swim.profile import Profile

WARM_UP = 5.0

Fault = Callable[[Network, range, float], None]
"""Puts a fault on some members (by number), from a time on."""


def _cut(cut: Callable[[range], Cut]) -> Fault:
    return lambda network, faulty, now: network.cut("gray", cut(faulty))


def _flap(ingress: bool) -> Fault:
    def fault(network: Network, faulty: range, now: float) -> None:
        network.cut("gray", flapping(one_way(faulty, ingress=ingress), began=now, bad=20.0, good=20.0))

    return fault


def _lossy(sent: float, received: float) -> Fault:
    def fault(network: Network, faulty: range, now: float) -> None:
        for number in faulty:
            network.lose(number, sent=sent, received=received)

    return fault


def _one_link(network: Network, faulty: range, now: float) -> None:
    ends = (faulty.start, faulty.start + 50)
    network.cut("gray", lambda source, target, now: source in ends and target in ends)


FAULTS: dict[str, Fault] = {
    "receives nothing": _cut(lambda faulty: one_way(faulty, ingress=True)),
    "is heard by nobody": _cut(lambda faulty: one_way(faulty, ingress=False)),
    "receives nothing, 20 s in 40": _flap(True),
    "is heard by nobody, 20 s in 40": _flap(False),
    "loses 80 % of what it sends": _lossy(0.8, 0.0),
    "loses 80 % of what it is sent": _lossy(0.0, 0.8),
    "one link is cut": _one_link,
}
"""By name. The last leaves every member reachable by all but one: nobody is faulty there."""


@dataclass(frozen=True, slots=True)
class Stability:
    """What the healthy members saw in one run."""

    innocent_failures: int
    """Failure events about healthy members, at healthy ones."""
    removed: float
    """The share of (healthy observer, faulty subject) pairs in which the subject was ever held dead."""
    flips: float
    """Returns from death per such pair: a stable view has none."""
    absent: float
    """The share of the time, from a minute on, that a faulty member was held dead: 0 or 1 is a clear answer."""
    disagreement: float
    """The share of moments, from a minute on, at which healthy members disagreed on who is a member."""
    packets: float
    sizes: tuple[tuple[float, int, float, int], ...]
    """(seconds since the fault, smallest, median, largest number of members in a healthy member's eyes)."""


def stability(size: int, faulty: int, fault: str, seed: int, *, profile: Profile, seconds: float) -> Stability:
    """``faulty`` of ``size`` members suffer a fault of ``FAULTS`` for so long."""
    world = World.converged(size, seed, profile=profile)
    world.run(WARM_UP)
    bad = range(size // 2, size // 2 + (0 if fault == "one link is cut" else faulty))
    witness = Witness(world)
    FAULTS[fault](world.network, bad or range(size // 4, size // 4 + 1), world.now)
    began, sent = world.now, sum(member.packets for member in world.members)
    healthy = [member for member in world.members if member.number not in bad]
    suspects = [world.members[number] for number in bad]
    sizes: list[tuple[float, int, float, int]] = []
    absent: list[float] = []
    split: list[float] = []
    while world.now - began < seconds:
        world.run(1.0)
        counts = [size - len(witness.gone.get(member.number, {})) for member in healthy]
        sizes.append((round(world.now - began, 1), min(counts), median(counts), max(counts)))
        if world.now - began >= min(60.0, seconds / 2):
            split.append(float(min(counts) != max(counts)))
            absent += [float(witness.holds_gone(m.number, other.name)) for m in healthy for other in suspects]
    numbers = {member.number: None for member in healthy}
    failures = sum(1 for m in healthy for observer in witness.of(m.name).failures if observer in numbers)
    pairs = max(1, len(healthy) * len(suspects))
    ever = sum(1 for m in suspects for observer in witness.of(m.name).failed_at if observer in numbers)
    back = sum(1 for m in suspects for observer in witness.of(m.name).recoveries if observer in numbers)
    return Stability(
        innocent_failures=failures,
        removed=ever / pairs,
        flips=back / pairs,
        absent=mean(absent) if absent else 0.0,
        disagreement=mean(split),
        packets=(sum(member.packets for member in world.members) - sent) / size / seconds,
        sizes=tuple(sizes),
    )
