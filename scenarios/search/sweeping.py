"""A sweep as a person follows it: how far it is, which seeds fail and in which way, and their files."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple

from scenarios.running.record import FAILED
from scenarios.search import kept
from scenarios.search.crew import Crew
from scenarios.search.runs import Job, Outcome
from scenarios.search.shrink import first_way

if TYPE_CHECKING:
    from rich.progress import TaskID

_SHOWN = 20
"""Failing seeds that are told one by one."""
_KEPT = 200
"""Failing seeds that are kept in files."""
_TEXT = 600
"""Letters of what failed that the line about a seed has."""
_EVERY = 10.0
"""Seconds between lines about the progress where there is no bar."""


class Failing(NamedTuple):
    """A run that failed, and its file if it was kept."""

    job: Job
    outcome: Outcome
    file: Path | None


@dataclass(slots=True)
class Swept:
    """What came of it so far. ways: in how many runs something failed first; failed: the first failing jobs; unkept:
    why a failing seed could not be kept."""

    total: int
    done: int = 0
    passed: int = 0
    simulated: float = 0.0
    took: float = 0.0
    ways: dict[str, int] = field(default_factory=dict)
    failed: list[Failing] = field(default_factory=list)
    errors: int = 0
    unkept: str = ""
    _digest: int = 0

    def add(self, job: Job, outcome: Outcome, file: Path | None = None) -> None:
        self.done += 1
        one = hashlib.sha256(f"{job.source.name}/{job.seed}/{outcome.digest}".encode()).digest()
        self._digest = (self._digest + int.from_bytes(one)) % (1 << 256)
        self.simulated += outcome.simulated_seconds
        if outcome.passed:
            self.passed += 1
            return
        self.errors += outcome.verdict == "error"
        name = first_way(outcome)
        self.ways[name] = self.ways.get(name, 0) + 1
        if len(self.failed) < _KEPT:
            self.failed.append(Failing(job, outcome, file))

    def worth_shrinking(self) -> Failing | None:
        """The first kept one in which something did not hold; else one that could not be run to its end, but never one
        that took all its time: each smaller one might do so too."""
        kept = [one for one in self.failed if one.file is not None and one.outcome.wall_seconds < one.job.limit]
        return next((one for one in kept if one.outcome.verdict == FAILED), kept[0] if kept else None)

    @property
    def digest(self) -> str:
        """Of the digests of all runs, in whatever order they came."""
        return self._digest.to_bytes(32).hex()

    def summary(self) -> str:
        """One line."""
        failed = self.done - self.passed
        pace = f", {self.done / self.took:.1f} runs/s" if self.took else ""
        speed = f", {self.simulated / self.took:.0f} × real time" if self.took else ""
        missing = f" of {self.total}" if self.done < self.total else ""
        digest = f"; digest of all {self.digest[:16]}" if self.done == self.total else ""
        return (f"{self.done}{missing} runs: {self.passed} passed, {failed} failed"
                + (f" ({self.errors} could not be run to their end)" if self.errors else "")
                + f"; {self.took:.1f} s{pace}, {self.simulated:.0f} s simulated{speed}{digest}")  # fmt: skip


def follow(
    crew: Crew, jobs: Iterable[Job], total: int, *, keep: Path | None = None, quiet: bool = False,
    swept: Swept | None = None,
) -> Swept:  # fmt: skip
    """Makes the runs. `swept` is filled as they come, so that a caller who is interrupted has what there is. A failing
    seed that cannot be kept is told all the same. Raises what the crew raises."""
    swept = swept if swept is not None else Swept(total)
    started = time.monotonic()
    with _shown(swept, quiet) as tell:
        for job, outcome in crew.outcomes(jobs):
            file = None
            if not outcome.passed and keep is not None and len(swept.failed) < _KEPT:
                file = _kept(swept, job, outcome, keep)
            swept.add(job, outcome, file)
            swept.took = time.monotonic() - started
            if not outcome.passed:
                where = f"kept in {file}" if file is not None else swept.unkept and f"not kept: {swept.unkept}"
                if swept.done - swept.passed <= _SHOWN:
                    tell(told(job, outcome) + (f" ({where})" if where else ""))
            tell("")
    return swept


def _kept(swept: Swept, job: Job, outcome: Outcome, directory: Path) -> Path | None:
    try:
        return kept.write(job, outcome, directory)
    except OSError as error:
        swept.unkept = f"{error.filename or directory}: {error.strerror or error}"
        return None


def told(job: Job, outcome: Outcome) -> str:
    """A failing run in one line."""
    first = min(outcome.problems, key=lambda problem: problem.when)
    text = " ".join(first.text.split())
    return f"{job.source.name}, seed {job.seed}: {outcome.verdict} at {first.when:.3f} s: {text[:_TEXT]}"


def _shown(swept: Swept, quiet: bool) -> AbstractContextManager[Callable[[str], None]]:
    if quiet:
        return nullcontext(lambda text: None)
    return _Bar(swept) if sys.stderr.isatty() else _Lines(swept)


class _Lines:
    """On what is no terminal: a line now and then."""

    def __init__(self, swept: Swept) -> None:
        self._swept = swept
        self._last = time.monotonic()

    def __enter__(self) -> Callable[[str], None]:
        return self._tell

    def __exit__(self, *exc: object) -> None:
        pass

    def _tell(self, text: str) -> None:
        now = time.monotonic()
        if text:
            print(text, flush=True)
        elif now - self._last >= _EVERY:
            self._last = now
            print(f"{self._swept.done} of {self._swept.total}, {self._swept.done - self._swept.passed} failed",
                  file=sys.stderr, flush=True)  # fmt: skip


class _Bar:
    """On a terminal."""

    def __init__(self, swept: Swept) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._swept = swept
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TextColumn("{task.fields[failed]} failed"), TimeRemainingColumn(), console=Console(stderr=True),
        )  # fmt: skip
        self._task: TaskID = self._progress.add_task("seeds", total=swept.total, failed=0)

    def __enter__(self) -> Callable[[str], None]:
        self._progress.start()
        return self._tell

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def _tell(self, text: str) -> None:
        if text:
            self._progress.console.print(text, markup=False, highlight=False)
        self._progress.update(self._task, completed=self._swept.done, failed=self._swept.done - self._swept.passed)


def jobs_of(template: Iterable[Job], seeds: Iterable[int]) -> Iterator[Job]:
    """Each of the templates (one a choice of a file's matrix) with each seed."""
    import dataclasses

    templates = list(template)
    for seed in seeds:
        for job in templates:
            yield dataclasses.replace(job, seed=seed)
