"""How long until a crash is noticed, and what that costs, against the number of members (SWIM 3.1, 3.2, 4.1).

SWIM promises that both the expected time until somebody notices and the load of a member are the same at any N, and
that the news takes O(log N) to reach all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gossip.simulation.network import Network
from gossip.simulation.witness import Witness, mean, quantile
from gossip.simulation.world import World
from gossip.swim.profile import Profile

WARM_UP = 2.0
QUIET = 6.0
"""Seconds in which the load at rest is measured: a whole turn of periods in which one is left out."""


@dataclass(frozen=True, slots=True)
class Scaling:
    """One N; times in seconds since the crash, loads per member and second."""

    members: int
    crashes: int
    noticed_mean: float
    """Until the first suspicion anywhere."""
    noticed_p99: float
    failed_first: float
    """Until the first member holds it dead."""
    failed_everywhere: float
    """Until all do, mean of the crashes."""
    spread: float
    """From the first suspicion until all hold it dead, less the time that the suspicion lasts at the first."""
    idle_packets: float
    idle_octets: float
    busiest: float
    """Packets a second of the member that sent most, in quiet times."""
    packets: float
    """The same load while the crashes are told."""
    missed: int
    """Pairs of observer and crash that did not come to an end in the simulated time."""


def scaling(size: int, seed: int, *, profile: Profile, crashes: int, limit: float, loss: float = 0.0) -> Scaling:
    """``crashes`` members lose power, spread over one period, and are watched for at most ``limit`` seconds."""
    world = World.converged(size, seed, network=Network(loss=loss), profile=profile)
    world.run(WARM_UP)
    before = [member.packets for member in world.members]
    octets = sum(member.octets for member in world.members)
    world.run(QUIET)
    idle = [(member.packets - sent) / QUIET for member, sent in zip(world.members, before, strict=True)]
    idle_octets = (sum(member.octets for member in world.members) - octets) / size / QUIET
    witness = Witness(world)
    began, sent = world.now, sum(member.packets for member in world.members)
    fallen = {}
    for member in world.random.sample(world.members, crashes):
        world.run(profile.probe_interval / crashes * world.random.random())
        world.crash(member)
        fallen[member.name] = world.now
    live = size - crashes
    while world.now - began < limit and any(len(witness.of(name).failed_at) < live for name in fallen):
        world.run(0.1)
    took = world.now - began
    packets = sum(member.packets for member in world.members) - sent
    noticed, first, everywhere, spread = [], [], [], []
    missed = 0
    for name, at in fallen.items():
        seen = witness.of(name)
        missed += live - len(seen.failed_at)
        if seen.first_suspected is not None:
            noticed.append(seen.first_suspected - at)
        if seen.first_failed is not None:
            first.append(seen.first_failed - at)
        if len(seen.failed_at) == live:
            everywhere.append(max(seen.failed_at.values()) - at)
            spread.append(max(seen.failed_at.values()) - min(seen.failed_at.values()))
    return Scaling(
        members=size,
        crashes=crashes,
        noticed_mean=mean(noticed),
        noticed_p99=quantile(noticed, 0.99),
        failed_first=mean(first),
        failed_everywhere=mean(everywhere),
        spread=mean(spread),
        idle_packets=mean(idle),
        idle_octets=idle_octets,
        busiest=max(idle),
        packets=packets / size / took,
        missed=missed,
    )


SWIM_PERIODS = 1 / (1 - math.exp(-1))
"""SWIM 3.1: the expected periods until somebody probes a given member, all probing at random in step: 1.58."""


def expected_notice(profile: Profile) -> float:
    """The same in seconds for members that are not in step, as here: probes of a given member come like a Poisson
    process of one a period, so the first comes a period after the crash on average; the verdict takes one more."""
    return 2 * profile.probe_interval
