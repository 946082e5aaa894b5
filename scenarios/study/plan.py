"""Which experiments make up a study: a small one for every day, and the whole one whose figures are in the docs.

A task is a function of this module's experiments with its arguments: tasks can run in any order and in several
processes, and the figures are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from gossip.simulation.convergence import Churn, Healing, churn, healing
from gossip.simulation.growth import Growth, growth
from gossip.simulation.lifeguard import OURS, PARTS, STALLS, SWIM, TUNED, Accuracy, accuracy
from gossip.simulation.scaling import Scaling, scaling
from gossip.simulation.slowness import Slowness
from gossip.simulation.stability import FAULTS, Stability, stability
from gossip.swim.profile import LAN, SHOAL, Profile

Result = Scaling | Accuracy | Churn | Healing | Growth | Stability

PROFILES: dict[str, Profile] = {"memberlist": LAN, "shoal": SHOAL}
STABILITY_PROFILES: dict[str, Profile] = {"SWIM": SWIM, **PROFILES}
LIFEGUARD_PROFILES: dict[str, Profile] = {**PARTS, **TUNED, **OURS}


@dataclass(frozen=True, slots=True)
class Task:
    """``study`` and ``key`` say where its result belongs; ``cost`` is about how many seconds it takes."""

    study: str
    key: tuple[str, ...]
    run: Callable[[], Result]
    cost: float


@dataclass(frozen=True, slots=True)
class Size:
    """How much of everything."""

    scaling: Sequence[tuple[int, int, int]]
    """(members, crashes a run, runs)."""
    growth: Sequence[int]
    lifeguard_members: int
    slow: Sequence[int]
    spells: Sequence[float]
    """Seconds of a slow spell."""
    slow_for: float
    lifeguard: Sequence[str]
    """Configurations."""
    stalls: Sequence[str]
    """Configurations of those that are stopped whole."""
    stability_members: int
    stability_runs: int
    faulty: int
    faults: Sequence[str]
    watched_for: float
    tables: Sequence[int]
    rows: int
    """A member."""
    churn_for: float
    cut_for: float


QUICK = Size(
    scaling=[(10, 1, 4), (30, 2, 2), (100, 4, 1)],
    growth=[10, 50],
    lifeguard_members=40,
    slow=[4],
    spells=[16.0],
    slow_for=50.0,
    lifeguard=["SWIM", "LHA-Probe", "LHA-Suspicion", "Buddy System", "Lifeguard"],
    stalls=["SWIM", "SWIM + stall rule"],
    stability_members=60,
    stability_runs=1,
    faulty=1,
    faults=["receives nothing", "is heard by nobody, 20 s in 40"],
    watched_for=60.0,
    tables=[20],
    rows=5,
    churn_for=15.0,
    cut_for=15.0,
)

FULL = Size(
    scaling=[(10, 1, 24), (30, 2, 12), (100, 6, 4), (300, 8, 3), (1000, 8, 1), (3000, 4, 1), (10_000, 2, 1)],
    growth=[10, 100, 300, 1000],
    lifeguard_members=100,
    slow=[1, 4, 16],
    spells=[16.0],
    slow_for=60.0,
    lifeguard=list(LIFEGUARD_PROFILES),
    stalls=list(STALLS),
    stability_members=100,
    stability_runs=1,
    faulty=1,
    faults=list(FAULTS),
    watched_for=120.0,
    tables=[25, 50, 100],
    rows=10,
    churn_for=40.0,
    cut_for=30.0,
)


def tasks(size: Size, seeds: Sequence[int]) -> list[Task]:
    """All of a study, for every seed."""
    found: list[Task] = []
    for seed in seeds:
        found += _scaling(size, seed) + _growth(size, seed) + _lifeguard(size, seed)
        found += _stalls(size, seed) + _stability(size, seed) + _tables(size, seed)
    return found


def _scaling(size: Size, seed: int) -> list[Task]:
    found = []
    for name, profile in PROFILES.items():
        for members, crashes, runs in size.scaling:
            for run in range(runs):
                call = partial(scaling, members, seed * 1000 + run, profile=profile, crashes=crashes, limit=60.0)
                found.append(Task("scaling", (name, str(members)), call, members * 0.014))
    return found


def _growth(size: Size, seed: int) -> list[Task]:
    return [
        Task("growth", (name, str(members)), partial(growth, members, seed, profile=profile), members**2 * 1e-4)
        for name, profile in PROFILES.items()
        for members in size.growth
    ]


def _lifeguard(size: Size, seed: int) -> list[Task]:
    found = []
    for name in size.lifeguard:
        for slow in size.slow:
            for spell in size.spells:
                call = partial(
                    accuracy,
                    size.lifeguard_members,
                    slow,
                    Slowness(spell, 0.5),
                    [seed],
                    profile=LIFEGUARD_PROFILES[name],
                    seconds=size.slow_for,
                )
                found.append(Task("lifeguard", (name, str(slow), f"{spell:g}"), call, 5.0))
    return found


def _stalls(size: Size, seed: int) -> list[Task]:
    slowness = Slowness(4.0, 0.003, timers=False)
    found = []
    for name in size.stalls:
        profile = STALLS[name]
        call = partial(accuracy, size.lifeguard_members, 4, slowness, [seed], profile=profile, seconds=size.slow_for)
        found.append(Task("stalls", (name, "4", f"{slowness.stopped:g}"), call, 4.0))
    return found


def _stability(size: Size, seed: int) -> list[Task]:
    found = []
    for name, profile in STABILITY_PROFILES.items():
        for fault in size.faults:
            for run in range(size.stability_runs):
                call = partial(
                    stability,
                    size.stability_members,
                    size.faulty,
                    fault,
                    seed + 1000 * run,
                    profile=profile,
                    seconds=size.watched_for,
                )
                found.append(Task("stability", (fault, name), call, 6.0))
    return found


def _tables(size: Size, seed: int) -> list[Task]:
    found = []
    for members in size.tables:
        turn = partial(churn, members, size.rows, seed, profile=SHOAL, seconds=size.churn_for)
        heal = partial(
            healing, members, size.rows, seed, profile=SHOAL, lasted=size.cut_for, differing=members * size.rows // 4
        )
        found.append(Task("churn", (str(members),), turn, members * 0.3))
        found.append(Task("healing", (str(members),), heal, members * 0.2))
    return found
