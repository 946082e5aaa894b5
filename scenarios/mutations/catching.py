"""How soon the search finds a mutation: each seed of `shoal explore` in turn, until one fails."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace

from scenarios.mutations.mutation import ROOT

_HUNG = 240.0
"""Real seconds after which a seed that says nothing counts as one that never ends."""


@dataclass(frozen=True, slots=True)
class Caught:
    """seeds: how many were run, that which failed included. by: the invariant or step that failed; "" when none did."""

    name: str
    seeds: int
    by: str
    text: str
    seconds: float

    @property
    def survived(self) -> bool:
        return not self.by


def catch(name: str, first: int, seeds: int) -> Caught:
    """In a process of its own, for its modules are broken."""
    started = time.monotonic()
    words = [sys.executable, "-m", "scenarios.mutations", name, str(first), str(seeds)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        try:
            out, err = child.communicate(timeout=_HUNG + seeds * 30)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
            return Caught(name, len(out.splitlines()) + 1, "hung", "a seed did not end", time.monotonic() - started)
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    ended = time.monotonic() - started
    if child.returncode not in (0, 1):
        last = (err.strip().splitlines() or ["nothing was said"])[-1]
        return Caught(name, len(lines) + 1, "start", last, ended)
    bad = [line for line in lines if line["verdict"] != "passed"]
    if not bad:
        return Caught(name, len(lines), "", "", ended)
    return Caught(name, len(lines), bad[0]["what"], bad[0]["text"], ended)


def catch_all(
    names: Sequence[str], first: int, seeds: int, jobs: int, tell: Callable[[Caught], None],
    before: Sequence[Caught] = (),
) -> Iterator[Caught]:  # fmt: skip
    """In the order in which they are done. `before`: what a hunt from the same seed on found, which is not repeated;
    of what it did not find the later seeds are run."""
    tried = {caught.name: caught for caught in before}

    def hunted(name: str) -> Caught:
        old = tried.get(name)
        if old is None:
            return catch(name, first, seeds)
        if not old.survived or old.seeds >= seeds:
            return old
        new = catch(name, first + old.seeds, seeds - old.seeds)
        return replace(new, seeds=old.seeds + new.seeds, seconds=old.seconds + new.seconds)

    with ThreadPoolExecutor(jobs) as pool:
        for done in as_completed([pool.submit(hunted, name) for name in names]):
            tell(done.result())
            yield done.result()


@dataclass(frozen=True, slots=True)
class Hunt:
    """What became of mutations. commit: of the code that was broken ("": not known); seeds: for how many each was
    hunted; first: the first of them."""

    commit: str
    first: int
    seeds: int
    found: tuple[Caught, ...]

    def written(self) -> str:
        """For who makes a table of it, as JSON."""
        return json.dumps(asdict(self), indent=1)

    @staticmethod
    def read(text: str) -> Hunt:
        """Raises ValueError for what `written` did not write."""
        try:
            document = json.loads(text)
            found = tuple(Caught(**each) for each in document["found"])
            hunt = Hunt(document["commit"], document["first"], document["seeds"], found)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"not a table of mutations (shoal explore --mutations --table FILE): {error!r}") from None
        numbers = [hunt.first, hunt.seeds, *(caught.seeds for caught in found)]
        if not all(type(number) is int for number in numbers) or not isinstance(hunt.commit, str):
            raise ValueError("not a table of mutations: seeds are numbers, a commit is a text")
        return hunt


def commit() -> str:
    """Of this checkout, with "-dirty" where it was changed since; "" where there is none."""
    words = ["git", "-C", os.fspath(ROOT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(words, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""
