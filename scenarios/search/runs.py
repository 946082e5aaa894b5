"""One seed of one scenario in simulated time, as a value: what goes to a worker, and what comes back.

Both are plain and picklable: a run can be made in another process or on another machine. Nothing is recorded but what
is judged, unless asked for; a scenario that fails, hangs or breaks the runner is an outcome, never an exception.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from scenarios.language.reading import Source
from scenarios.running.record import ERROR, PASSED, RunRecord, Verdict
from scenarios.running.run import Tell, run_simulated
from scenarios.running.swarm import Swarm

LIMIT = 300.0
"""Real seconds that a run may take."""

_LOADED = "scenarios.running.simulated:SimulatedHosts"

MODELS = {"shoal": _LOADED, "docker": "scenarios.docker_model.hosts:DockerHosts"}
"""What runs below a scenario, by name: "module:callable", called with the names of the hosts and the seed."""


class Problem(NamedTuple):
    """What did not hold. what: the invariant's name, "line N" of a step, or "run" when it could not go on; when:
    simulated seconds since the hosts ran."""

    what: str
    when: float
    text: str


@dataclass(frozen=True, slots=True)
class Job:
    """A run to make. model: of MODELS, or "module:callable" alike. within: "module:callable" of a context manager that
    is entered around the run ("" for none): it may break the daemons of its process, and must mend them."""

    source: Source
    seed: int
    limit: float = LIMIT
    model: str = "shoal"
    within: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. verdict: passed, failed, or error (it could not be run to its end). digest: of all packets;
    version: of shoal and of Python's minor, between which digests may differ."""

    seed: int
    verdict: str
    problems: tuple[Problem, ...]
    digest: str
    simulated_seconds: float
    wall_seconds: float
    version: str

    @property
    def passed(self) -> bool:
        return self.verdict == PASSED


class NotRunnable(ValueError):
    """A job that would be no run in any worker; the text says why."""


def check(job: Job) -> None:
    """Raises NotRunnable for a scenario that needs processes, and for a model or a patch that is not there."""
    modes = job.source.scenario.modes
    if "sim" not in modes:
        raise NotRunnable(
            f"this scenario runs in {' and '.join(modes)} time only; it needs processes of its own, "
            "which a simulation has not"
        )
    for name in (MODELS.get(job.model, job.model), *([job.within] if job.within else [])):
        try:
            found = _found(name)
        except (ValueError, ImportError, AttributeError) as error:
            raise NotRunnable(str(error)) from None
        if not callable(found):
            raise NotRunnable(f"{name} cannot be called")


@cache
def this_version() -> str:
    """As in "shoal 0.1.0, Python 3.11"."""
    major, minor, _ = platform.python_version_tuple()
    return f"shoal {version('shoal')}, Python {major}.{minor}"


@cache
def this_code() -> str:
    """A digest of the source of all packages: a seed is the same run under the same one only."""
    root = Path(__file__).resolve().parents[2]
    whole = hashlib.sha256()
    for package in ("daemon", "gossip", "overlay", "scenarios"):
        for path in sorted((root / package).rglob("*.py")):
            whole.update(f"{path.relative_to(root)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:12]


def run_seed(
    source: Source, seed: int, *, record: bool = False, limit: float = LIMIT, model: str = "shoal", within: str = ""
) -> Outcome:
    """A run, in this process. record: note packets and events too, which nobody gets to see here: for tests that this
    changes nothing."""
    return outcome_of(recorded(Job(source, seed, limit, model, within), record_all=record))


def run_job(job: Job) -> Outcome:
    """The same, of a job."""
    return outcome_of(recorded(job, record_all=False))


def recorded(job: Job, *, record_all: bool = True, tell: Tell = lambda event: None) -> RunRecord:
    """The run itself, with its whole record. tell: is called with each event."""
    started = time.monotonic()
    try:
        below = _found(MODELS.get(job.model, job.model))
        around = _entered(job.within) if job.within else contextlib.nullcontext()
        with around:
            return run_simulated(
                job.source, seed=job.seed, limit=job.limit, record_all=record_all, tell=tell,
                swarm=lambda: _swarm(below, job),
            )  # fmt: skip
    except Exception as error:  # a defect of the runner, a model or a patch is an outcome like any other
        what = f"the runner itself failed: {type(error).__name__}: {error}"
        return RunRecord(
            job.source.name, job.source.file, job.source.text, "sim", job.seed, 0.0, took=time.monotonic() - started,
            verdict=(verdict := Verdict(ERROR, what)), failures=[verdict],
        )  # fmt: skip


def outcome_of(record: RunRecord) -> Outcome:
    """What a sweep keeps of a run."""
    return Outcome(
        record.seed,
        record.verdict.outcome,
        tuple(_problem(failure) for failure in record.failures),
        record.digest,
        record.duration,
        record.took,
        this_version(),
    )


def lost(job: Job, text: str, wall_seconds: float) -> Outcome:
    """The outcome of a run whose worker did not give one."""
    return Outcome(job.seed, ERROR, (Problem("run", 0.0, text),), "", 0.0, wall_seconds, this_version())


def _problem(failure: Verdict) -> Problem:
    head, _, rest = failure.what.partition(": ")
    if head.startswith("invariant ") and rest:
        what = head.removeprefix("invariant ")
    else:
        what = f"line {failure.line}" if failure.line else "run"
    return Problem(what, failure.when or 0.0, failure.what)


def _swarm(below: Callable[..., object], job: Job) -> Swarm:
    made: Swarm = below(list(job.source.scenario.hosts), job.seed)  # type: ignore[assignment]
    return made


def _entered(name: str) -> AbstractContextManager[object]:
    made: AbstractContextManager[object] = _found(name)()  # type: ignore[assignment]
    return made


def _found(name: str) -> Callable[..., object]:
    """Raises ValueError, ImportError, AttributeError."""
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError(f"no model {name!r}; known: {', '.join(MODELS)}, or module:callable")
    found: Callable[..., object] = getattr(importlib.import_module(module), attribute)
    return found
