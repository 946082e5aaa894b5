"""A seed as a value: the same whether recorded or not, and an outcome whatever happens."""

from __future__ import annotations

import asyncio
import pickle
import time

import pytest

from scenarios.search.runs import Job, run_job, run_seed, this_version
from tests.scenarios.search import stories
from tests.scenarios.search.stories import one

STORY = """\
hosts: 3
networks: [ov]
containers: {aa: {on: h1, networks: ov}, bb: {on: h2, networks: ov}}
load: [{ping: h1/aa -> bb, every: 200ms}]
steps:
  - expect: {reachable: h1/aa -> bb, within: 5s}
  - fault: {partition: [[h1, h2], [h3]], for: 3s}
  - expect: {members: 3, within: 10s}
"""


def test_recording_changes_nothing_and_a_job_may_travel() -> None:
    job = Job(one(STORY), 5)
    told = run_job(pickle.loads(pickle.dumps(job)))
    assert told.passed and told.version == this_version(), told.problems
    recorded = run_seed(one(STORY), 5, record=True)
    assert (recorded.digest, recorded.simulated_seconds) == (told.digest, told.simulated_seconds)
    assert run_seed(one(STORY), 6).digest != told.digest
    assert pickle.loads(pickle.dumps(told)) == told


def test_what_fails_is_told_with_its_place_and_time() -> None:
    told = run_seed(one(STORY.replace("members: 3", "members: 2")), 1)
    assert told.verdict == "failed"
    (problem,) = told.problems
    assert problem.what == "line 8" and problem.when > 10 and "2 members alive: not so" in problem.text


def test_a_run_that_never_ends_says_when_and_what_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def clock() -> float:  # real time that goes as simulated time does, so that no load of the machine matters
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return 0.0

    monkeypatch.setattr(time, "monotonic", clock)
    told = run_seed(one("hosts: 2\ntimeout: 1000000s\nsteps:\n  - wait: 900000s\n"), 1, limit=100.0)
    assert told.verdict == "error" and told.digest
    (problem,) = told.problems
    assert problem.text.startswith("the run did not end within 100 s of real time, at 1")
    assert "s of simulated time, in line 4: wait 900000" in problem.text
    assert "h1: " in problem.text and problem.when > 100


def test_what_breaks_the_runner_is_an_outcome() -> None:
    told = run_seed(one(STORY), 1, model="no such model")
    assert told.verdict == "error" and "no model 'no such model'" in told.problems[0].text


def test_a_run_within_a_patch() -> None:
    name = f"{stories.__name__}:deaf"
    assert run_seed(one("hosts: 2\nsteps: [wait: 1s]\n"), 1, within=name).verdict == "error"
    assert run_seed(one("hosts: 2\nsteps: [wait: 1s]\n"), 1).passed
