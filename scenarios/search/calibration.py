"""Does simulated time tell the truth? The same figures of one scenario run in both modes, and the factor between them.

Processors take no time in a simulation, so what is asked is whether the times that protocols set (detection, healing,
spreading) and the network gives (latency) come out alike. There is chance in them (where in its period a probe is), so
a real run is compared with the least and the most that some simulated ones gave. Figures finer than what measures them
are taken for equal.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scenarios.running.record import Event, RunRecord

FACTOR = 2.0
"""What simulated and real time may differ by in what protocols set."""

SEEDS = 10
"""Simulated runs that a real one is compared with."""

_POLLED = 0.15
"""Seconds: expectations are asked again every 0.1."""
_PROBED = 0.001
"""Seconds: between this and nothing, a real machine's load decides."""

_HEALING = 30.0
"""Seconds after a fault's end in which members see one another again."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure, in `unit`: the least and the most of the simulated runs, and that of the real one; below `floor` two
    values are taken for equal."""

    name: str
    unit: str
    simulated: tuple[float, float]
    real: float
    floor: float

    @property
    def factor(self) -> float:
        """1: the real one is as the simulated ones, or between them; 2: twice the most of them, or half the least."""
        low, high, real = (max(value, self.floor) for value in (*self.simulated, self.real))
        return max(low / real, real / high, 1.0)

    @property
    def range(self) -> str:
        """The simulated ones as text."""
        return " to ".join(f"{value:.3f}" for value in dict.fromkeys(self.simulated))

    @property
    def judged(self) -> bool:
        """Whether protocols set it. What a load sees is the machine's: processors take no time in a simulation."""
        return self.name.startswith("line ")


def compare(simulated: Sequence[RunRecord], real: RunRecord) -> list[Figure]:
    """The figures that the real run and any simulated one have, in the real one's order."""
    values: dict[str, list[float]] = {}
    for record in simulated:
        for name, (value, _) in _figures(record):
            values.setdefault(name, []).append(value)
    return [
        Figure(name, "s", (min(ours), max(ours)), value, floor)
        for name, (value, floor) in _figures(real) if (ours := values.get(name))
    ]  # fmt: skip


def worst(figures: Sequence[Figure]) -> float:
    """The largest factor of those that are judged; 1 if there is none."""
    return max((figure.factor for figure in figures if figure.judged), default=1.0)


def _figures(record: RunRecord) -> Iterator[tuple[str, tuple[float, float]]]:
    """Name, value and floor of each."""
    for event in record.events:
        if event.kind == "expectation" and event.ok and "took" in event.details:
            yield f"line {event.line}: until {event.text}", (float(event.details["took"]), _POLLED)
    for fault in (event for event in record.events if event.kind == "fault"):
        seen = _seen(record, fault.at, fault.until or record.duration, "failed")
        if seen:
            yield f"line {fault.line}: {fault.text}, noticed first after", (seen[0].at - fault.at, _POLLED)
        if fault.until is not None and (healed := _seen(record, fault.until, fault.until + _HEALING, "alive")):
            yield f"line {fault.line}: {fault.text}, healed for all after", (healed[-1].at - fault.until, _POLLED)
    for series in record.series:
        values = [value for _, value in series.points if value is not None]
        if values and series.unit == "s":
            yield f"{series.name}, median", (statistics.median(values), _PROBED)


def _seen(record: RunRecord, since: float, until: float, state: str) -> list[Event]:
    """What members saw of one another in that time."""
    return [
        event
        for event in record.events
        if event.kind == "member" and since <= event.at <= until and f" {state}" in event.text
    ]
