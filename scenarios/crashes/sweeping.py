"""A whole sweep on all cores: which points were tried, and which left something wrong."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from scenarios.crashes.sweep import HOWS, How, Outcome, Point, points, run
from scenarios.search.crew import cores


@dataclass(slots=True)
class Sweep:
    """What came of it. commits: of the undisturbed story; tried: by what happens there; seconds: of real time."""

    seed: int
    commits: int = 0
    steps: int = 0
    tried: dict[str, int] = field(default_factory=dict)
    wrong: list[Outcome] = field(default_factory=list)
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.tried.values())


def _one(job: tuple[int, Point]) -> Outcome:
    return run(*job)


def sweep(
    seed: int,
    *,
    every: int = 1,
    hows: Sequence[How] = HOWS,
    jobs: int = 0,
    tell: Callable[[Outcome], None] = lambda outcome: None,
) -> Sweep:
    """Every n-th point of the story with this seed; `tell` hears of each that left something wrong."""
    began = time.monotonic()
    whole = run(seed)
    found = Sweep(seed, sum(n - whole.before[host] for host, n in whole.commits.items()), whole.acts)
    if whole.violations:
        tell(whole)
        found.wrong.append(whole)
    todo = list(points(whole, every, hows))
    with ProcessPoolExecutor(jobs or cores()) as pool:
        for outcome in pool.map(_one, [(seed, point) for point in todo], chunksize=4):
            assert outcome.point is not None
            found.tried[outcome.point.how] = found.tried.get(outcome.point.how, 0) + 1
            if outcome.violations:
                found.wrong.append(outcome)
                tell(outcome)
    found.seconds = time.monotonic() - began
    return found
