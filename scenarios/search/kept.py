"""A failing seed in a file: all that it takes to make the same run again, and what was seen in it.

A seed is the same run only within one version of shoal and one minor version of Python, so a file of another one is
refused.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scenarios.language.errors import ScenarioError
from scenarios.language.reading import Source, parse
from scenarios.search.runs import Job, NotRunnable, Outcome, Problem, check, this_version

FORMAT = 1


class BadSeedFile(ValueError):
    """A file that is no kept seed, or one of another version; the text says which."""


@dataclasses.dataclass(frozen=True, slots=True)
class Kept:
    """A job and its outcome."""

    job: Job
    outcome: Outcome


def usable(directory: Path) -> None:
    """Raises OSError when nothing can be written there; leaves nothing behind."""
    made = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    finally:
        for path in made:
            with contextlib.suppress(OSError):
                path.rmdir()


def write(job: Job, outcome: Outcome, directory: Path) -> Path:
    """The file, named after the scenario and the seed. Raises OSError."""
    source = job.source
    document = {
        "format": FORMAT,
        "version": outcome.version,
        "name": source.name,
        "file": source.file,
        "seed": job.seed,
        "verdict": outcome.verdict,
        "problems": [problem._asdict() for problem in outcome.problems],
        "digest": outcome.digest,
        "simulated_seconds": outcome.simulated_seconds,
        "limit": job.limit,
        "model": job.model,
        "within": job.within,
        "variables": source.variables,
        "scenario": source.text,
    }
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{re.sub(r'[^A-Za-z0-9._=,-]', '_', source.name)}-seed-{job.seed}.json"
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n")
    new.replace(path)
    return path


def read(path: Path) -> Kept:
    """Raises BadSeedFile, OSError."""
    try:
        found = json.loads(path.read_text())
    except (ValueError, RecursionError):
        raise BadSeedFile(f"{path} is not a kept seed: JSON expected") from None
    if not isinstance(found, dict) or "seed" not in found or "scenario" not in found:
        raise BadSeedFile(f"{path} is not a kept seed: it has no scenario and seed")
    if found.get("format") != FORMAT:
        raise BadSeedFile(f"{path} has format {found.get('format')!r}; this shoal reads format {FORMAT}")
    if found.get("version") != this_version():
        raise BadSeedFile(
            f"{path} was kept by {found.get('version')}; this is {this_version()}, and there its seed is another run"
        )
    try:
        return _kept(found)
    except ScenarioError as error:
        raise BadSeedFile(f"{path}: its scenario cannot be read: {error}") from None
    except NotRunnable as error:
        raise BadSeedFile(f"{path} cannot be run: {error}") from None
    except KeyError as error:
        raise BadSeedFile(f"{path} is not a whole kept seed: it has no {error}") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise BadSeedFile(f"{path} is not a whole kept seed: {error}") from None


def _kept(found: Mapping[str, Any]) -> Kept:
    if not isinstance(found["variables"], dict) or not isinstance(found["problems"], list):
        raise TypeError("variables are a mapping, and problems a list")
    source = chosen(str(found["scenario"]), str(found["file"]), found["variables"])
    job = Job(
        dataclasses.replace(source, name=str(found["name"])),
        int(found["seed"]), float(found["limit"]), str(found["model"]), str(found["within"]),
    )  # fmt: skip
    if not job.limit > 0:
        raise ValueError(f"a limit above 0 s expected, not {job.limit:g}")
    check(job)
    problems = tuple(Problem(str(p["what"]), float(p["when"]), str(p["text"])) for p in found["problems"])
    outcome = Outcome(
        job.seed, str(found["verdict"]), problems, str(found["digest"]), float(found["simulated_seconds"]), 0.0,
        str(found["version"]),
    )  # fmt: skip
    return Kept(job, outcome)


def chosen(text: str, file: str, variables: Mapping[str, Any]) -> Source:
    """A scenario with all its variables given: one, whatever its matrix. Raises ScenarioError."""
    return parse(text, file=file, variables=variables)[0]
