"""How much faster than real time is simulated time? `make bench-sim`: figures beside their goals.

Scenarios are run as a sweep runs them, nothing recorded but what is judged, in this process; the sweep is made by
workers on all cores. Exit status 1: a goal was missed.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scenarios.cli.table import render
from scenarios.language.reading import Source, parse
from scenarios.search.crew import LocalCrew, cores
from scenarios.search.runs import Job, Outcome, run_seed

_LIGHT = """\
name: light
hosts: 5
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}, cc: {on: h3, networks: ov}}
load: [{ping: h1/aa -> bb, every: 1s}]
steps: [{wait: 60s}, {expect: {reachable: h1/aa -> cc}}]
"""

_LOADED = """\
name: loaded
hosts: 5
networks: [ov]
containers:
  web: {on: h1, image: nginx, networks: ov}
  aa: {on: h1, networks: ov}
  bb: {on: h2, networks: ov}
  cc: {on: h3, networks: ov}
  dd: {on: h4, networks: ov}
  ee: {on: h5, networks: ov}
load:
  - {ping: h1/aa -> bb, every: 100ms, name: p1}
  - {ping: h2/bb -> cc, every: 100ms, name: p2}
  - {ping: h3/cc -> dd, every: 100ms, name: p3}
  - {ping: h4/dd -> ee, every: 100ms, name: p4}
  - {ping: h5/ee -> aa, every: 100ms, name: p5}
  - {http: h2/bb -> web, every: 200ms, name: w1}
  - {http: h3/cc -> web, every: 200ms, name: w2}
faults:
  - {partition: "h1,h2,h3 / h4,h5", at: 10s, for: 5s}
  - {loss: 10%, delay: 5ms, at: 25s, for: 10s}
  - {pause: h5, at: 40s, for: 2s}
steps: [{wait: 60s}, {expect: {members: 5, within: 10s}}]
"""

_SMALL = """\
name: small
hosts: 3
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
steps:
  - expect: {reachable: h1/aa -> bb, within: 5s}
  - fault: {partition: "h1 / h2,h3", for: 5s}
  - wait: 6s
  - expect: {members: 3, within: 5s}
"""


def _hundred() -> str:
    containers = "\n".join(f"  c{n}: {{on: h{n}, networks: ov}}" for n in range(1, 101))
    return f"""\
name: hundred
hosts: 100
networks: {{ov: {{subnet: 10.5.0.0/16}}}}
containers:
{containers}
load: [{{ping: h1/c1 -> c100, every: 1s}}]
steps: [{{wait: 10s}}, {{expect: {{reachable: h50/c50 -> c77}}}}]
"""


@dataclass(frozen=True, slots=True)
class _Figure:
    name: str
    value: float
    unit: str
    goal: float
    at_least: bool

    @property
    def met(self) -> bool:
        return self.value >= self.goal if self.at_least else self.value <= self.goal

    def row(self) -> list[str]:
        ratio = self.value / self.goal if self.at_least else self.goal / self.value
        sign = "≥" if self.at_least else "≤"
        said = "" if self.met else "MISSED"
        return [self.name, f"{self.value:.4g} {self.unit}", f"{sign} {self.goal:g} {self.unit}", f"{ratio:.2f}", said]


def _one(text: str) -> Source:
    (source,) = parse(text)
    return source


def _speed(name: str, text: str, goal: float, runs: int) -> _Figure:
    """Simulated seconds a second, the best of some runs, for a machine has other things to do now and then."""
    return _Figure(name, max(_timed(_one(text), seed) for seed in range(1, runs + 1)), "× real time", goal, True)


def _timed(source: Source, seed: int) -> float:
    outcome = run_seed(source, seed, limit=1800.0)
    _must_pass(outcome)
    return outcome.simulated_seconds / outcome.wall_seconds


def _hundred_hosts() -> _Figure:
    """In one process; most of its time is the hundred joins, whose rows all hosts tell all."""
    outcome = run_seed(_one(_hundred()), 1, limit=1800.0)
    _must_pass(outcome)
    return _Figure("hundred: 100 hosts, each with a container, 20 s", outcome.wall_seconds, "s", 120, False)


def _must_pass(outcome: Outcome) -> None:
    if not outcome.passed:
        sys.exit(f"seed {outcome.seed} fails, so nothing was measured: {outcome.problems}")


def _sweep(seeds: int) -> _Figure:
    source = _one(_SMALL)
    started = time.monotonic()
    with LocalCrew() as crew:
        for _, outcome in crew.outcomes(Job(source, seed) for seed in range(seeds)):
            _must_pass(outcome)
    took = time.monotonic() - started
    return _Figure(f"{seeds} seeds of a small scenario on {cores()} cores", took, "s", 0.6 * seeds, False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the table; the exit status."""
    parser = argparse.ArgumentParser(prog="make bench-sim", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1000, help="of the sweep")
    parser.add_argument("--runs", type=int, default=3, help="of each speed")
    parser.add_argument("--only", default="", help="figures whose name contains this")
    chosen = parser.parse_args(arguments)
    measures: dict[str, Callable[[], _Figure]] = {
        "light": lambda: _speed("light: 5 hosts, a ping a second", _LIGHT, 50, chosen.runs),
        "loaded": lambda: _speed("loaded: 5 hosts, 50 pings/s, 10 GETs/s, 3 faults", _LOADED, 20, chosen.runs),
        "hundred": _hundred_hosts,
        "sweep": lambda: _sweep(chosen.seeds),
    }
    figures = [measure() for name, measure in measures.items() if chosen.only in name]
    print(render(["FIGURE", "MEASURED", "GOAL", "RATIO", ""], [figure.row() for figure in figures]))
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
