"""A measured figure, its goal, and whether the goal was met."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil


class Judge(Enum):
    """Which of the runs must meet the goal."""

    MEDIAN = "median"
    WORST = "worst"


@dataclass(frozen=True, slots=True)
class Goal:
    """`limit` in `unit`; `at_least` turns it from a ceiling into a floor. `docker`: what a real swarm took."""

    name: str
    limit: float
    unit: str
    judge: Judge = Judge.MEDIAN
    at_least: bool = False
    docker: str = ""

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:g} {self.unit}"


@dataclass(frozen=True, slots=True)
class Figure:
    """The runs of one measurement; a run that never ended is infinite (or zero for a floor)."""

    goal: Goal
    runs: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        return percentile(self.runs, 50)

    @property
    def p95(self) -> float:
        """The 95th percentile on the bad side."""
        return percentile(self.runs, 5 if self.goal.at_least else 95)

    @property
    def met(self) -> bool:
        worst = min(self.runs) if self.goal.at_least else max(self.runs)
        value = self.median if self.goal.judge is Judge.MEDIAN else worst
        return value >= self.goal.limit if self.goal.at_least else value <= self.goal.limit


def percentile(runs: Sequence[float], percent: float) -> float:
    """Nearest rank: always one of the runs."""
    ordered = sorted(runs)
    return ordered[max(0, ceil(len(ordered) * percent / 100) - 1)]
