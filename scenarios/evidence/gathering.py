"""Runs what the page tells of: the library over seeds, the exhaustive model, the crash sweep, both times, mutations."""

from __future__ import annotations

import platform
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from scenarios.crashes.sweeping import Sweep, sweep
from scenarios.evidence.rules import LIBRARY, NoSuchCheck, Rule, rules
from scenarios.exhaustive.model import Result
from scenarios.exhaustive.searches import NIGHTLY, SEARCHES, Search
from scenarios.language.reading import read
from scenarios.mutations.catalogue import mutations
from scenarios.mutations.catching import Hunt, catch_all, commit
from scenarios.running.run import run_real, run_simulated
from scenarios.search.calibration import FACTOR, SEEDS, Figure, compare
from scenarios.search.crew import LocalCrew, cores
from scenarios.search.runs import Job, this_version

_CALIBRATION = Path(__file__).with_name("calibration.yaml")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is run. seeds: of each scenario; every: n-th point of the crash sweep, for crash_seeds; real: how often
    calibration runs in real time; mutant_seeds: for how many each mutation of the catalogue is hunted (0: none is)."""

    name: str
    seeds: int
    every: int
    crash_seeds: int
    searches: tuple[Search, ...]
    real: int
    mutant_seeds: int


CI = Size("CI", 1, 160, 1, SEARCHES, 1, 0)
NIGHT = Size("nightly", 1000, 1, 2, SEARCHES + NIGHTLY, 5, 1000)


@dataclass(slots=True)
class Ran:
    """A scenario over its seeds: how many passed, and their simulated and real seconds."""

    runs: int = 0
    passed: int = 0
    simulated: float = 0.0
    took: float = 0.0
    failing: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Evidence:
    """All that was found by one command."""

    size: Size
    commit: str
    machine: str
    rules: list[Rule]
    scenarios: dict[str, Ran] = field(default_factory=dict)
    searches: list[tuple[Search, Result]] = field(default_factory=list)
    sweeps: list[Sweep] = field(default_factory=list)
    figures: list[tuple[str, list[Figure]]] = field(default_factory=list)
    hunt: Hunt | None = None

    @property
    def wrong(self) -> list[str]:
        """What did not hold; [] when all did."""
        found = [f"{name}: seed {seed} failed" for name, ran in self.scenarios.items() for seed in ran.failing]
        found += [f"{search.name}: {result.violation}" for search, result in self.searches if result.violation]
        found += [f"crash at {o.point} (seed {s.seed}): {o.violations[0]}" for s in self.sweeps for o in s.wrong]
        found += [
            f"calibration: {figure.name}: {figure.range} s simulated, {figure.real:.3f} s real"
            for _, figures in self.figures for figure in figures if figure.judged and figure.factor > FACTOR
        ]  # fmt: skip
        return found


def gather(size: Size, tell: Callable[[str], None], mutants: Path | None = None, real: bool = True) -> Evidence:
    """mutants: a file of what a hunt wrote (shoal explore --mutations --table FILE), instead of one now. real: whether
    processes are started, which needs real time to itself."""
    hunt = _hunted(size, mutants, tell) if mutants is not None else None
    found = Evidence(size, commit(), f"{cores()} cores, {platform.machine()}, {this_version()}", rules())
    names = list(dict.fromkeys(name for rule in found.rules for name in rule.scenarios))
    tell(f"{len(names)} scenarios, {size.seeds} seeds each")
    _library(found, names)
    for search in size.searches:
        result = search.run()
        found.searches.append((search, result))
        tell(f"exhaustive: {search.name}: {result.states} states")
    for seed in range(1, size.crash_seeds + 1):
        found.sweeps.append(sweep(seed, every=size.every))
        tell(f"crash sweep: {found.sweeps[-1].total} points")
    for seed in range(1, size.real + 1) if real else ():
        [source] = read(_CALIBRATION)
        simulated = [run_simulated(source, seed=seed + n) for n in range(SEEDS)]
        found.figures.append((f"seed {seed}", compare(simulated, run_real(source, seed=seed))))
        tell(f"calibration: {len(found.figures[-1][1])} figures")
    found.hunt = hunt or _hunted(size, None, tell)
    return found


def _library(found: Evidence, names: Sequence[str]) -> None:
    def jobs() -> list[Job]:
        sources = [source for name in names for source in read(LIBRARY / f"{name}.yaml")]
        seeds = range(1, found.size.seeds + 1)
        return [Job(source, seed) for source in sources for seed in seeds if "sim" in source.scenario.modes]

    with LocalCrew() as crew:
        for job, outcome in crew.outcomes(jobs()):
            ran = found.scenarios.setdefault(Path(job.source.file).stem, Ran())
            ran.runs += 1
            ran.passed += outcome.passed
            ran.simulated += outcome.simulated_seconds
            ran.took += outcome.wall_seconds
            if not outcome.passed:
                ran.failing.append(job.seed)


def _hunted(size: Size, file: Path | None, tell: Callable[[str], None]) -> Hunt | None:
    """Raises NoSuchCheck for a file that is no table of mutations."""
    if file is not None:
        try:
            return Hunt.read(file.read_text())
        except (OSError, ValueError) as error:
            raise NoSuchCheck(f"{file}: {error}") from None
    if not size.mutant_seeds:
        return None
    hunted = catch_all(list(mutations()), 1, size.mutant_seeds, cores(), lambda caught: tell(f"mutant {caught.name}"))
    return Hunt(commit(), 1, size.mutant_seeds, tuple(hunted))
