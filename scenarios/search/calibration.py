"""Does simulated time tell the truth? The same figures of one scenario run in both modes, and the factor between them.

Processors take no time in a simulation, so what is asked is whether the times that protocols set (detection, healing,
spreading) and the network gives (latency) come out alike. Figures finer than what measures them are taken for equal.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from scenarios.running.record import Event, RunRecord

FACTOR = 2.0
"""What simulated and real time may differ by in what protocols set."""

_POLLED = 0.15
"""Seconds: expectations are asked again every 0.1."""
_PROBED = 0.001
"""Seconds: between this and nothing, a real machine's load decides."""

_HEALING = 30.0
"""Seconds after a fault's end in which members see one another again."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of both runs, in `unit`; below `floor` two values are taken for equal."""

    name: str
    unit: str
    simulated: float
    real: float
    floor: float

    @property
    def factor(self) -> float:
        """1 is equal; 2: one is twice the other."""
        low, high = sorted(max(value, self.floor) for value in (self.simulated, self.real))
        return high / low

    @property
    def judged(self) -> bool:
        """Whether protocols set it. What a load sees is the machine's: processors take no time in a simulation."""
        return self.name.startswith("line ")


def compare(simulated: RunRecord, real: RunRecord) -> list[Figure]:
    """The figures that both have, in the scenario's order."""
    ours, theirs = dict(_figures(simulated)), dict(_figures(real))
    return [Figure(name, "s", value, theirs[name][0], floor) for name, (value, floor) in ours.items() if name in theirs]


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
