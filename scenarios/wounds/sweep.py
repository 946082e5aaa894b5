"""Many seeds of the wounds' scenarios on both control planes, and in how many of them a wound showed."""

from __future__ import annotations

import concurrent.futures
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from scenarios.language.reading import Source, read
from scenarios.search.runs import Outcome, run_seed
from scenarios.wounds.wounds import Wound

MODELS = ("docker", "shoal")


@dataclass(slots=True)
class Count:
    """Of a scenario on one control plane. showed: seeds in which the wound showed; other: seeds that failed by
    something else, which is told and never counted as the wound."""

    first: int
    seeds: int = 0
    showed: list[int] = field(default_factory=list)
    other: dict[int, str] = field(default_factory=dict)
    version: str = ""

    def add(self, wound: Wound, outcome: Outcome) -> None:
        self.seeds += 1
        self.version = outcome.version
        if outcome.passed:
            return
        signs = [problem.text for problem in outcome.problems if re.search(wound.sign, problem.text)]
        if outcome.verdict == "failed" and signs:
            self.showed.append(outcome.seed)
        else:
            self.other[outcome.seed] = outcome.problems[0].text[:300] if outcome.problems else outcome.verdict


def _run(job: tuple[Source, str, int]) -> Outcome:
    source, model, seed = job
    return run_seed(source, seed, model=model)


def sweep(wound: Wound, model: str, seeds: Sequence[int], workers: int) -> Iterator[Outcome]:
    """Each seed's outcome, in order. Raises ScenarioError for a file that cannot be read."""
    source = read(wound.file)[0]
    jobs = [(source, model, seed) for seed in seeds]
    if workers < 2:
        yield from map(_run, jobs)
        return
    with concurrent.futures.ProcessPoolExecutor(workers) as pool:
        yield from pool.map(_run, jobs, chunksize=max(1, min(16, len(jobs) // (4 * workers))))
