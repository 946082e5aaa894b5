"""Sweeps on this machine: an accident costs its own run alone, and a seed is one run in whatever process."""

from __future__ import annotations

import os
import subprocess
import sys
import time

from scenarios.search.crew import LocalCrew
from scenarios.search.runs import Job, run_job
from scenarios.search.worker import Worker
from tests.scenarios.search import stories
from tests.scenarios.search.stories import SMALL, one

SOURCE = one(SMALL)


def _gone(pid: int) -> bool:
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return state[:1] in ("", "Z")


def test_a_dead_worker_and_one_that_hangs_cost_their_runs_alone() -> None:
    jobs = [
        Job(SOURCE, seed, 20.0 if seed != 5 else 1.0, within=f"{stories.__name__}:accident") for seed in range(1, 7)
    ]
    with LocalCrew(2) as crew:
        told = {job.seed: outcome for job, outcome in crew.outcomes(jobs)}
        pids = crew.pids()
    assert sorted(told) == [1, 2, 3, 4, 5, 6]
    assert {seed for seed, outcome in told.items() if outcome.passed} == {1, 2, 4, 6}, told
    assert "the worker died: signal 9" in told[3].problems[0].text
    assert "did not end within 1 s of real time" in told[5].problems[0].text
    assert "does not return" in told[5].problems[0].text
    assert told[1].digest == run_job(jobs[0]).digest != told[2].digest, "another process, another hash seed"
    assert all(_gone(pid) for pid in pids)


def test_a_worker_whose_other_end_is_gone_ends_in_the_middle_of_a_run() -> None:
    endless = "hosts: 2\ntimeout: 1000000s\nsteps:\n  - wait: 900000s\n"
    code = (
        "import sys, threading\n"
        "from scenarios.search.runs import Job\n"
        "from scenarios.search.worker import Worker\n"
        "from tests.scenarios.search.stories import one\n"
        "worker = Worker()\n"
        f"threading.Thread(target=worker.run, args=(Job(one({endless!r}), 1),), daemon=True).start()\n"
        "while worker.pid is None: pass\n"
        "print(worker.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + 60
    while not _gone(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_jobs_are_taken_as_they_are_needed() -> None:
    taken: list[int] = []

    def endless():
        for seed in range(10**9):
            taken.append(seed)
            yield Job(SOURCE, seed)

    with LocalCrew(1) as crew:
        for n, (_, outcome) in enumerate(crew.outcomes(endless())):
            assert outcome.passed
            if n == 1:
                break
    assert len(taken) <= 5


def test_a_worker_may_be_ended_from_outside() -> None:
    worker = Worker()
    assert worker.run(Job(SOURCE, 1)).passed
    assert worker.pid is not None
    os.kill(worker.pid, 9)
    assert "the worker died" in worker.run(Job(SOURCE, 2)).problems[0].text
    assert worker.run(Job(SOURCE, 2)).passed, "a new one was started"
    worker.end()
