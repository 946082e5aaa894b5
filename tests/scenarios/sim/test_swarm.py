"""Whole daemons in simulated time: join, networks, containers, ping by name, partition, heal; a seed is a run."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest

from daemon.host import Host
from scenarios.sim.swarm import SimulatedSwarm, simulate
from tests.scenarios.sim.story import Told, tell


@pytest.fixture(scope="module")
def told() -> Told:
    return tell(7)


def test_containers_ping_by_name_across_hosts_and_a_cut_is_a_cut(told: Told) -> None:
    answered = {what: code for what, (code, _) in told.pings.items()}
    assert answered == {"whole": 0, "same side": 0, "other side": 1, "gone name": 1, "healed": 0}, told.pings
    assert "bad address" in told.pings["gone name"][1]


def test_no_address_is_shared_though_both_sides_of_the_cut_gave_some(told: Told) -> None:
    assert len(set(told.addresses.values())) == len(told.addresses) == 5


def test_members_notice_in_time(told: Told) -> None:
    assert told.name_known <= 0.06
    assert told.noticed_cut <= 7
    assert told.noticed_heal <= 3


def test_a_seed_is_a_run_and_another_seed_another(told: Told) -> None:
    assert tell(7).digest == told.digest
    assert tell(8).digest != told.digest


@pytest.mark.parametrize("hash_seed", ["1", "4711"])
def test_the_run_does_not_depend_on_the_hash_seed(told: Told, hash_seed: str) -> None:
    environment = dict(os.environ, PYTHONHASHSEED=hash_seed)
    story = [sys.executable, "-m", "tests.scenarios.sim.story", "7"]
    run = subprocess.run(story, env=environment, capture_output=True, text=True, timeout=120, check=True)
    assert run.stdout.split()[-1] == told.digest


def test_the_story_holds_under_loss() -> None:
    lossy = tell(9, loss=0.05)
    assert lossy.pings["healed"][0] == 0
    assert len(set(lossy.addresses.values())) == 5


def test_a_simulation_leaves_none_of_its_hosts_behind() -> None:
    """A worker makes hundreds of runs: a host that something of the process still knows is memory, and work for the
    garbage collector, in each run after it."""

    async def story() -> list[weakref.ref[Host]]:
        async with SimulatedSwarm(1, 2) as swarm:
            await swarm.form()
            container = await swarm.run("h1", "c1", ["sleep", "60"])
            await swarm.exec("h1", container, ["ping", "-c", "1", "127.0.0.1"])
            for api in (swarm.hosts["h1"].docker_api, swarm.hosts["h1"].control_api):
                await swarm.calls["h1"].http(api, "GET", "/v1/status")
            return [weakref.ref(host) for host in swarm.hosts.values()]

    hosts = simulate(story())
    gc.collect()
    assert [host() for host in hosts] == [None, None]
