"""Comparisons of measurements: `ping.p95 < 50ms`, `web.loss < 1%`, `iperf.mean > 10mbit`."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from scenarios.language.quantities import duration, probability, rate

_TEXT = re.compile(r"\s*([\w-]+)\.(\w+)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*")
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
STATISTICS = ("mean", "median", "p95", "p99", "max", "min", "loss", "count", "gap")


@dataclass(frozen=True, slots=True)
class Comparison:
    """series.statistic operator value; seconds, shares, and bytes a second."""

    series: str
    statistic: str
    sign: str
    value: float

    def holds(self, found: float) -> bool:
        return _OPERATORS[self.sign](found, self.value)


def parse(text: str) -> Comparison:
    """Raises ValueError with what was expected."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(f"NAME.STATISTIC OPERATOR VALUE expected, as in ping.p95 < 50ms, not {text!r}")
    name, statistic, sign, value = match.groups()
    if statistic not in STATISTICS:
        raise ValueError(f"one of {', '.join(STATISTICS)} expected after the dot, not {statistic!r}")
    return Comparison(name, statistic, sign, _value(value))


def _value(text: str) -> float:
    for reading in (float, duration, probability, rate):
        try:
            return reading(text)
        except ValueError:
            continue
    raise ValueError(f"a number, duration, share or rate expected, not {text!r}")


def statistic(name: str, points: Sequence[tuple[float, float | None]]) -> float:
    """Of a series; probes that were lost count for `loss` and `gap` (the longest time without an answer) only."""
    values = sorted(value for _, value in points if value is not None)
    if name == "loss":
        return 1 - len(values) / len(points) if points else 0.0
    if name == "count":
        return float(len(values))
    if name == "gap":
        answered = [at for at, value in points if value is not None]
        ends = [points[0][0], *answered, points[-1][0]] if points else []
        return max((later - earlier for earlier, later in pairwise(ends)), default=0.0)
    if not values:
        return math.nan
    if name == "mean":
        return sum(values) / len(values)
    share = {"median": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0, "min": 0.0}[name]
    return values[min(len(values) - 1, math.ceil(share * len(values)) - 1 if share else 0)]
