"""Many seeds of the wounds' scenarios on both control planes, and in how many of them a wound showed."""

from __future__ import annotations

import bisect
import dataclasses
import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from scenarios.language.marks import load
from scenarios.language.reading import parse, read
from scenarios.language.writing import dump
from scenarios.search.runs import Job, Outcome
from scenarios.search.smaller import calm
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
            bisect.insort(self.showed, outcome.seed)
        else:
            self.other[outcome.seed] = outcome.problems[0].text[:300] if outcome.problems else outcome.verdict


def jobs_of(wound: Wound, model: str, seeds: Iterable[int], *, calmed: bool = False) -> list[Job]:
    """Its runs on one control plane; `calmed`: without what breaks anything. Raises ScenarioError for a file that
    cannot be read."""
    source = read(wound.file)[0]
    if calmed:
        whole = load(source.file, source.text).value
        assert isinstance(whole, dict)
        source = dataclasses.replace(parse(dump(calm(whole)), file=source.file)[0], name=source.name)
    return [Job(source, seed, model=model) for seed in seeds]
