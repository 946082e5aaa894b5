"""Scenarios at random: valid, always the same for a seed, of great variety; and the model that judges them."""

from __future__ import annotations

import random
import subprocess
import sys

import pytest
import yaml

from scenarios.language.checking import given
from scenarios.language.reading import parse
from scenarios.oracle.ledger import Booted, Call, Died, Entry
from scenarios.oracle.world import EXITED, RUNNING, UNSURE, World, believed
from scenarios.search.draft import Draft, document
from scenarios.search.generate import Bounds, generate, source
from scenarios.search.promises import PROMISES
from scenarios.search.runs import run_seed
from scenarios.search.storm import FAULTS


def test_every_seed_is_a_valid_scenario_and_they_have_it_all() -> None:
    """`source` reads it as a file is read: a scenario that could not be run raises."""
    faults: dict[str, None] = {}
    words: dict[str, None] = {}
    for seed in range(120):
        scenario = source(seed, Bounds(hosts=(2, 7))).scenario
        assert 2 <= len(scenario.hosts) <= 7
        for step in scenario.steps:
            if step.fault is not None:
                faults |= dict.fromkeys(given(step.fault, tuple(type(step.fault).model_fields)))
            if step.docker is not None:
                words |= dict.fromkeys(step.docker.split())
    known = "partition islands bridge loss delay duplicate reorder corrupt mtu rate kill pause slow flap clock"
    assert not [kind for kind in known.split(" ") if kind not in faults]
    wanted = "run stop kill rm rename start restart pause connect disconnect promote demote leave join encrypted --ipv6"
    assert not [word for word in wanted.split() if word not in words]
    assert len(FAULTS) >= 10
    for seed in range(100):  # one that is left alone is where there are none to choose from
        assert len(source(seed, Bounds(hosts=(2, 2))).scenario.hosts) == 2


def test_a_seed_gives_the_same_text_under_any_hash_seed() -> None:
    program = "from scenarios.search.generate import generate; print(generate(7), end='')"
    for hash_seed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": hash_seed}, capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        assert done.stdout == generate(7)
    assert generate(8) != generate(7)


@pytest.mark.parametrize("seed", [0, 9])
def test_what_it_makes_holds(seed: int) -> None:
    outcome = run_seed(source(seed), seed)
    assert outcome.passed, outcome.problems


@pytest.mark.parametrize("name", list(PROMISES))
def test_each_promise_is_kept(name: str) -> None:
    """By undamaged daemons; the search tries them with other chances."""
    draft = Draft(random.Random(name), ["h1", "h2", "h3"], ["h1"])
    PROMISES[name](draft)
    text = document(draft, name=name, story="", seed=1, hosts={host: {} for host in draft.hosts}, settle=5.0,
                    invariants={}, links=[])  # fmt: skip
    (source,) = parse(yaml.safe_dump(text))
    outcome = run_seed(source, 1)
    assert outcome.passed, outcome.problems


def call(line: str, output: str = "", code: int | None = 0, refused: bool = False, host: str = "h1") -> Call:
    return Call(host, tuple(line.split()), 0.0, 1.0, code, output, refused)


WEB, DB, NET = "a" * 64, "b" * 64, "n" * 25


def told(*entries: Entry) -> World:
    return believed([call("network create -d overlay ov", NET), *entries], ["h1", "h2"], ["h1"])


def test_what_clients_were_told_adds_up() -> None:
    run = "run -d --name web --network ov --network-alias w --ip 10.0.0.9 -p 8080:80 --restart {} alpine sleep 1000"
    world = told(call(run.format("no"), WEB))
    box = world.boxes[WEB]
    assert (box.name, box.state, box.publish) == ("web", RUNNING, ("8080:80",))
    assert (box.places["ov"].aliases, box.places["ov"].ip, box.places["ov"].on) == (("w",), "10.0.0.9", True)
    assert told(call(run.format("no"), WEB), call("stop -t 0 web", "web")).boxes[WEB].state == EXITED
    assert told(call(run.format("no"), WEB), call("rename web db"), call("rm -f db", "db")).boxes == {}
    # With --rm it goes by itself: whoever gets its name is another.
    assert list(told(call(run.format("no") + " --rm", WEB), call(run.format("no"), DB)).boxes) == [DB]
    assert told(call("run -d --name db --ip 10.0.0.9 alpine x", code=125), call("rm db", "db")).unsure_names == {}
    # No answer, and nobody knows; a refusal changes nothing.
    assert told(call(run.format("no"), WEB), call("stop web", code=None)).boxes[WEB].state == UNSURE
    assert told(call(run.format("no"), WEB), call("rm web", code=1, refused=True)).boxes[WEB].state == RUNNING


@pytest.mark.parametrize(
    ("policy", "stopped", "state"),
    [("no", False, EXITED), ("always", False, RUNNING), ("always", True, RUNNING), ("unless-stopped", False, RUNNING),
     ("unless-stopped", True, EXITED), ("on-failure:3", False, RUNNING)],
)  # fmt: skip
def test_a_boot_brings_back_what_its_policy_says(policy: str, stopped: bool, state: str) -> None:
    entries: list[Entry] = [call(f"run -d --name web --restart {policy} alpine sleep 1000", WEB)]
    entries += [call("stop web", "web")] if stopped else []
    world = told(*entries, Died("h1", 2.0), Booted("h1", 3.0, disturbed=False))
    assert world.boxes[WEB].state == state


def test_who_leaves_the_swarm_loses_its_networks_and_who_removes_one_is_believed() -> None:
    run = call("run -d --name web --network ov alpine sleep 1000", WEB, host="h2")
    world = told(run, call("node rm -f h2", "h2"))
    assert world.member["h2"] is False
    assert world.boxes[WEB].places["ov"].on is False
    assert told(run, call("network rm ov", "ov")).nets[NET].gone is True
    unsure = told(call("network create -d overlay ov", DB), call("network rm ov", "ov"))
    assert [net.gone for net in unsure.nets.values()] == [False, True]
