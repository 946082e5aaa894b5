"""A kept seed is the same run again, and shrunk it is a short scenario that fails in the same way by itself."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from scenarios.language.marks import load
from scenarios.language.reading import parse
from scenarios.language.writing import dump
from scenarios.search import kept
from scenarios.search.crew import LocalCrew
from scenarios.search.runs import Job, Problem, run_job, run_seed
from scenarios.search.shrink import NotFailing, first_way, shrink, way
from scenarios.search.smaller import fewer, size, without_host
from tests.scenarios.search.stories import SMALL, one

FAILS = """\
name: fails
story: Much happens, and one thing is expected that is not so.
hosts: 4
variables: {who: h3}
networks: [ov, other]
containers: {aa: {on: h1, networks: ov}, cc: {on: h3, networks: ov}, dd: {on: h4, networks: other}}
load: [{ping: h1/aa -> cc, every: 500ms}]
churn: [{pause: h4, every: 2s, for: 1s, until: 5s}]
faults: [{loss: 10%, at: 1s, for: 2s}]
steps:
  - wait: 2s
  - expect: {reachable: h1/aa -> cc, within: 10s}
  - parallel:
    - fault: {kill: "${who}", for: 10s}
    - {on: h1, docker: ps}
  - wait: 3s
  - expect: {reachable: h1/aa -> cc, within: 1s}
  - {on: h1, docker: ps}
"""


def test_the_shortest_scenario_still_fails_because_of_what_breaks() -> None:
    fewer_parts = "\n".join(line for line in FAILS.splitlines() if not line.startswith(("churn", "load")))
    job = Job(one(fewer_parts), 3)
    with LocalCrew(2) as crew:
        found = shrink(job, crew)
    assert found.before == (7, 2) and found.after == (3, 1), found.text
    (alone,) = parse(found.text)
    assert list(alone.scenario.hosts) == ["h1", "h3"] and list(alone.scenario.containers) == ["aa", "cc"]
    outcome = run_seed(alone, alone.scenario.seed)
    assert first_way(outcome) == first_way(found.outcome) == first_way(run_job(job)) == "reachable h1/aa -> cc"
    assert outcome.digest == found.outcome.digest


def test_a_command_that_nobody_answers_fails_in_another_way_than_one_that_is_refused() -> None:
    line = "h1 $ docker network create n: exit status 1: "
    dead, refused, other = (
        way(Problem("line 3", 1.0, line + why))
        for why in ("Cannot connect to the Docker daemon at unix:///h1.", "no subnet is free", "no VNI is free")
    )
    assert dead != refused == other


def test_what_passes_cannot_be_shrunk() -> None:
    with LocalCrew(1) as crew, pytest.raises(NotFailing, match="small with seed 1 passes"):
        shrink(Job(one(SMALL), 1), crew)


def test_candidates_are_smaller_and_lose_a_host_with_all_that_tells_of_it() -> None:
    document = load("x", FAILS).value
    assert isinstance(document, dict)
    assert size(document) == (7, 3)
    assert all(len(dump(candidate)) < len(dump(document)) + 60 for candidate in fewer(document))
    less = without_host(document, ["h1", "h2", "h3", "h4"], "h4")
    assert less["hosts"] == ["h1", "h2", "h3"] and list(less["containers"]) == ["aa", "cc"] and "churn" not in less
    cut = {
        "hosts": 3,
        "steps": [{"fault": {"partition": "h1 / h2,h3"}}, {"fault": {"partition": [["h1", "h2"], ["h3"]]}}],
    }
    assert without_host(cut, ["h1", "h2", "h3"], "h3")["steps"] == [
        {"fault": {"partition": "h1 / h2"}}, {"fault": {"partition": [["h1", "h2"]]}},
    ]  # fmt: skip


@pytest.mark.parametrize(
    "value", ["on", "yes", "22:22", "1e3", "0x1f", "~", "true", "12", "a: b", "- x", "#c", "", " x"]
)
def test_what_is_written_is_what_is_read(value: str) -> None:
    document = {"on": value, "list": [value, 1, 2.5, True, None], "inner": {value or "k": {"a": [value]}}}
    assert load("x", dump(document)).value == document


def test_a_kept_seed_is_the_same_run_again(tmp_path: Path) -> None:
    [first, second] = parse(SMALL.replace("name: small", "name: ma/trix\nmatrix: {n: [1, 2]}"))
    assert first.name != second.name
    job = Job(second, 9, limit=77.0)
    outcome = run_job(job)
    path = kept.write(job, outcome, tmp_path / "new")
    assert path.name == "ma_trix_n=2_-seed-9.json"
    again = kept.read(path)
    assert again.outcome == dataclasses.replace(outcome, wall_seconds=0.0)
    assert again.job.source.variables["n"] == 2 and again.job.limit == 77.0
    assert run_job(again.job).digest == outcome.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": "shoal 9.9.9, Python 3.11"}, "was kept by shoal 9.9.9, Python 3.11; this is shoal "),
        ({"format": 2}, "has format 2; this shoal reads format 1"),
        ({"scenario": "hosts: 2\nsteps: [{wait: 1s, nonsense: 1}]"}, "its scenario cannot be read"),
        ({"problems": [{}]}, "is not a whole kept seed"),
        ({"limit": None}, "is not a whole kept seed"),
    ],
)
def test_a_seed_file_that_cannot_be_replayed_is_one_clear_message(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    job = Job(one(SMALL), 1)
    path = kept.write(job, run_job(job), tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(kept.BadSeedFile, match=message):
        kept.read(path)
    for text in ("", "[]", "{}", "no json"):
        path.write_text(text)
        with pytest.raises(kept.BadSeedFile, match="is not a kept seed"):
            kept.read(path)
