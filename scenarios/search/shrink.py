"""From a failing run to the shortest scenario that fails in the same way, by delta debugging (Zeller and Hildebrandt,
"Simplifying and Isolating Failure-Inducing Input", 2002).

Parts are taken away, large ones first: hosts with all that is on them, faults, load, steps, containers, networks;
random churn is replaced by the very faults that it made. Then what is left is made shorter. A part that goes away moves
the chances of those that stay, so a candidate is tried with a few seeds.

A smaller scenario may fail for a sillier reason: its container is not there, or a fault lasts to the end. So a
candidate counts only if it holds when nothing is broken in it, as the first one did; and what mends stays with what is
broken, where a step failed. (An invariant is judged when all is undone, by the runner itself.)
"""

from __future__ import annotations

import dataclasses
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scenarios.language.errors import ScenarioError
from scenarios.language.marks import load
from scenarios.language.reading import parse
from scenarios.language.writing import dump
from scenarios.search.crew import Crew
from scenarios.search.runs import Job, Outcome, Problem, recorded
from scenarios.search.smaller import Document, calm, chosen, explicit, fewer, shorter, size, still_mended, until_line

_NO_ANSWER = re.compile(
    r"Cannot connect|could not be made|could not look|does not answer|[Nn]o such |exit status 12[567]"
)
_HEAD = re.compile(r": not so|: exit status|: not done|(?<=did not end) within|, at |; |: ")
_OTHER_SEEDS = (1, 2)
"""Beside the one that failed: tried when nothing smaller fails with that one any more."""


class NotFailing(Exception):
    """What was to be shrunk does not fail; the text says what it does."""


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The shortest scenario found, its job and how it fails. Sizes are (steps, faults); tried: runs that it took;
    interrupted: by Ctrl-C, so that there may be a shorter one."""

    text: str
    job: Job
    outcome: Outcome
    before: tuple[int, int]
    after: tuple[int, int]
    tried: int
    interrupted: bool = False


def way(problem: Problem) -> str:
    """In which way a run failed: the invariant, or what was expected, without what was seen instead but for whether
    anything was."""
    if problem.what.startswith("line ") or problem.what == "run":
        head = re.sub(r"^\d+ members", "members", _HEAD.split(problem.text)[0])
        return head + (" (no answer)" if _NO_ANSWER.search(problem.text) else "")
    return problem.what


def first_way(outcome: Outcome) -> str:
    """The way in which it failed first; "" if it passed."""
    return way(min(outcome.problems, key=lambda p: p.when)) if outcome.problems else ""


def shrink(
    job: Job, crew: Crew, *, most: int = 400, seconds: float = 600.0, tell: Callable[[str], object] = lambda text: None
) -> Shrunk:
    """At most `most` runs and `seconds` of real time; the shortest until then. Raises NotFailing."""
    return _Shrinking(crew, most, time.monotonic() + seconds, tell).go(job)


@dataclass(slots=True)
class _Shrinking:
    crew: Crew
    most: int
    end: float
    tell: Callable[[str], object]
    tried: int = 0
    wanted: str = ""
    of_step: bool = False
    needs_faults: bool = False
    job: Job | None = None
    outcome: Outcome | None = None
    document: Document = field(default_factory=dict)
    _seen: dict[tuple[str, int], None] = field(default_factory=dict)

    def go(self, job: Job) -> Shrunk:
        ((_, outcome),) = self.crew.outcomes([job])
        self.wanted = first_way(outcome)
        if not self.wanted:
            raise NotFailing(f"{job.source.name} with seed {job.seed} passes: there is nothing to shrink")
        limit = min(job.limit, 30.0 + 20 * outcome.wall_seconds)
        self.job, self.outcome = dataclasses.replace(job, limit=limit), outcome
        document = load(job.source.file, job.source.text).value
        assert isinstance(document, dict)
        self.document = chosen(document, job.source.variables)
        self.needs_faults = bool(size(self.document)[1]) and not self._fails_when_calm(self.document, self.job.seed)
        before = size(self.document)
        self.tell(f"{before[0]} steps and {before[1]} faults fail with: {self.wanted}")
        interrupted = False
        try:
            self._search(job, outcome)
        except KeyboardInterrupt:
            interrupted = True
        text = dump({"seed": self.job.seed, **{k: v for k, v in self.document.items() if k != "seed"}})
        return Shrunk(text, self.job, self.outcome, before, size(self.document), self.tried, interrupted)

    def _search(self, job: Job, outcome: Outcome) -> None:
        assert self.job is not None
        if outcome.problems[0].what.startswith("line "):
            line = int(outcome.problems[0].what.split()[1])
            self._first(iter([until_line(self.document, job.source, line)]))
            self.of_step = True
        if self.document.get("churn"):
            self._first(iter([explicit(self.document, recorded(self.job))]))
        self._take_away()
        self._shorten()
        self._take_away()

    def _take_away(self) -> None:
        while self._first(fewer(self.document)) or self._first(fewer(self.document), _OTHER_SEEDS):
            pass

    def _shorten(self) -> None:
        stuck: dict[str, None] = {}
        again = True
        while again:
            again = False
            for path, _ in list(shorter(self.document)):
                candidate = next((found for other, found in shorter(self.document) if other == path), None)
                if path in stuck or candidate is None:
                    continue
                if self._first(iter([candidate])):
                    again = True
                else:
                    stuck[path] = None

    def _first(self, candidates: Iterator[Document], further: Sequence[int] = (0,)) -> bool:
        """Takes the first candidate that fails in the wanted way; False when there is none, or no more time."""
        assert self.job is not None
        jobs: dict[int, tuple[int, Document, Job]] = {}
        found: dict[int, tuple[Document, Job, Outcome]] = {}

        def handed() -> Iterator[Job]:
            for number, document in enumerate(candidates):
                if self.of_step and not still_mended(document, self.document):
                    continue
                for job in self._jobs(document, further):
                    if found or self.tried >= self.most or time.monotonic() > self.end:
                        return
                    self.tried += 1
                    jobs[id(job)] = (number, document, job)
                    yield job

        for job, outcome in self.crew.outcomes(handed()):
            number, document, _ = jobs[id(job)]
            if first_way(outcome) != self.wanted or number in found:
                continue
            if not (self.needs_faults and self._fails_when_calm(document, job.seed)):
                found[number] = (document, job, outcome)
        if not found:
            return False
        self.document, self.job, self.outcome = found[min(found)]
        steps, faults = size(self.document)
        self.tell(f"{steps} steps and {faults} faults left, after {self.tried} runs")
        return True

    def _fails_when_calm(self, document: Document, seed: int) -> bool:
        """Does it fail in the wanted way though nothing is broken?"""
        jobs = self._made(dump(calm(document)), [seed])
        self.tried += len(jobs)
        return any(first_way(outcome) == self.wanted for _, outcome in self.crew.outcomes(jobs))

    def _jobs(self, document: Document, further: Sequence[int]) -> list[Job]:
        assert self.job is not None
        text = dump(document)
        seeds = [seed for n in further if (text, seed := self.job.seed + n) not in self._seen]
        self._seen.update(dict.fromkeys((text, seed) for seed in seeds))
        return self._made(text, seeds)

    def _made(self, text: str, seeds: Sequence[int]) -> list[Job]:
        """No job for what is no scenario."""
        assert self.job is not None
        try:
            source = parse(text, file=self.job.source.file)[0]
        except ScenarioError:
            return []
        source = dataclasses.replace(source, name=self.job.source.name)
        return [dataclasses.replace(self.job, source=source, seed=seed) for seed in seeds]
