"""A seed as a value: the same whether recorded or not, and an outcome whatever happens."""

from __future__ import annotations

import asyncio
import pickle
import time

import pytest

from scenarios.search.runs import Job, run_job, run_seed, this_version
from scenarios.sim import loop
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


def test_a_clock_that_stands_still_names_the_program_that_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_STILL", 4)
    busy = "hosts: 1\ncontainers: {aa: {on: h1}}\nsteps:\n  - exec: sh -c 'while true; do :; done'\n    on: h1/aa\n"
    told = run_seed(one(busy), 1)
    (problem,) = told.problems
    assert told.verdict == "error"
    assert problem.text.startswith("simulated time stands still, at 0.00"), problem.text
    assert "of simulated time, in line 4: h1/aa $ sh -c" in problem.text
    assert "rounds in one instant, 1 running: h1/aa: sh -c 'while true; do :; done' in " in problem.text


def test_a_step_that_gets_no_answer_says_what_its_host_was_doing() -> None:
    story = "hosts: 1\ncontainers: {aa: {on: h1}}\nsteps:\n  - {exec: nc -l -p 7, on: h1/aa, within: 5s}\n"
    (problem,) = run_seed(one(story), 1).problems
    assert "h1/aa $ nc -l -p 7: not done within 5 s; h1: exec aa nc -l -p 7 in " in problem.text
    longer = story.replace("within: 5s", "within: 1000s") + "timeout: 20s\n"
    told = run_seed(one(longer), 1)
    assert told.verdict == "error"
    text = told.problems[0].text
    assert text.startswith("the run did not end within 20 s; it was waiting for line 4: h1/aa $ nc -l -p 7: ")
    assert "h1/aa: nc -l -p 7 in " in text and "h1/aa: sleep" in text


def test_a_deadlock_says_who_waits_and_a_plug_in_cannot_end_the_process() -> None:
    told = run_seed(one("hosts: 1\nsteps: [wait: 1s]\n"), 1, within=f"{stories.__name__}:deadlock")
    (problem,) = told.problems
    assert told.verdict == "error"
    assert problem.text.startswith("simulated deadlock, at 0.000 s of simulated time"), problem.text
    assert "nothing can happen any more; " in problem.text and "h1: SimulatedSwarm._boot at stories.py:" in problem.text
    plug = (
        "hosts: 1\nswarm: false\nplugins: {my: {on: h1, application: 'tests.scenarios.search.stories:%s'}}\nsteps: []\n"
    )
    (problem,) = run_seed(one(plug % "leaves"), 1).problems
    assert "wanted to end its process, at 0.000 s of simulated time: SystemExit(7)" in problem.text
    (problem,) = run_seed(one(plug % "broken"), 1).problems
    assert (problem.what, problem.text) == (
        "line 3",
        "the plug-in tests.scenarios.search.stories:broken failed: KeyError: 'x'",
    )


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("exec: /usr/bin/python3 -V\n    on: h1/aa", "no binaries, and python3 is none of them"),
        ("{on: h1, docker: run -d alpine redis-server}", "no binaries, and redis-server is none of them"),
        ("{on: h1, docker: 'run -d postgres:16'}", "there is no registry, and postgres:16 is none of them"),
    ],
)
def test_what_needs_real_programs_is_no_verdict_on_anybody(line: str, lacks: str) -> None:
    told = run_seed(one(f"hosts: 1\ncontainers: {{aa: {{on: h1}}}}\nsteps:\n  - {line}\n"), 1)
    assert told.verdict == "error" and told.problems[0].text.endswith(lacks), told.problems
    wanted = line.replace("16'}", "16', fails: true}").replace(
        "server}", "server, fails: true}"
    ) + "\n    fails: true" * line.startswith("exec")
    assert run_seed(one(f"hosts: 1\ncontainers: {{aa: {{on: h1}}}}\nsteps:\n  - {wanted}\n"), 1).passed


def test_what_breaks_the_runner_is_an_outcome() -> None:
    told = run_seed(one(STORY), 1, model="no such model")
    assert told.verdict == "error" and "no model 'no such model'" in told.problems[0].text


def test_a_run_within_a_patch() -> None:
    name = f"{stories.__name__}:deaf"
    assert run_seed(one("hosts: 2\nsteps: [wait: 1s]\n"), 1, within=name).verdict == "error"
    assert run_seed(one("hosts: 2\nsteps: [wait: 1s]\n"), 1).passed
