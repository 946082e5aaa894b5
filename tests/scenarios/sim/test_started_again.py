"""A container that must run is started as soon as it can be: what kept it from an address was a cut, and passed."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.sim.swarm import SimulatedSwarm, simulate

_CUT = {"partitions": [{"id": "1", "groups": [["192.0.2.1"], ["192.0.2.2"]], "since": 0}]}


async def _state(swarm: SimulatedSwarm) -> dict[str, object]:
    found = await swarm.api("h2", "GET", "/containers/must/json")
    assert isinstance(found, dict)
    return dict(found["State"])


async def _until(swarm: SimulatedSwarm, key: str, value: str, deadline: float) -> None:
    async with asyncio.timeout(deadline):
        while True:
            if value in str((await _state(swarm))[key]):
                return
            await asyncio.sleep(0.05)


async def _start_in_a_cut(swarm: SimulatedSwarm) -> None:
    """h2 comes back inside a cut. Its container is to be on a network of which h1 has all addresses: nobody on h2 was
    ever on it."""
    await swarm.form()
    pool = {"Config": [{"Subnet": "10.0.9.0/29"}]}
    network = {"Name": "ov", "Driver": "overlay", "Attachable": True, "IPAM": pool}
    await swarm.api("h1", "POST", "/networks/create", network)
    made = {"Image": "alpine", "Cmd": ["sleep", "3600"], "HostConfig": {"RestartPolicy": {"Name": "always"}}}
    await swarm.api("h2", "POST", "/containers/create?name=must", made)
    await swarm.api("h2", "POST", "/containers/must/start")
    await swarm.api("h2", "POST", "/containers/must/stop?t=0")
    await swarm.api("h2", "POST", "/networks/ov/connect", {"Container": "must"})
    await asyncio.sleep(2)  # until h2 has the network's row on its disk
    await swarm.crash("h2")
    swarm.partition(["h1"], ["h2"])
    swarm.leave_faults("h2", _CUT)
    await swarm.boot("h2")


def test_in_the_same_boot() -> None:
    async def story() -> None:
        async with SimulatedSwarm(3, 2) as swarm:
            await _start_in_a_cut(swarm)
            await _until(swarm, "Error", "cannot be reached", 20)
            assert (await _state(swarm))["Restarting"] is True
            swarm.heal()
            await _until(swarm, "Status", "running", 15)
            assert (await _state(swarm))["Error"] == ""

    simulate(story())


@pytest.mark.parametrize("alive", [0.5, 12.0], ids=["before it was tried", "while it is tried again"])
def test_in_the_next_boot(alive: float) -> None:
    async def story() -> None:
        async with SimulatedSwarm(3, 2) as swarm:
            await _start_in_a_cut(swarm)
            await asyncio.sleep(alive)
            await swarm.crash("h2")
            swarm.leave_faults("h2", {"partitions": []})
            swarm.heal()
            await swarm.boot("h2")
            await _until(swarm, "Status", "running", 15)

    simulate(story())


def test_not_after_a_stop() -> None:
    async def story() -> None:
        async with SimulatedSwarm(3, 2) as swarm:
            await _start_in_a_cut(swarm)
            await _until(swarm, "Error", "cannot be reached", 20)
            await swarm.api("h2", "POST", "/containers/must/stop")
            swarm.heal()
            await asyncio.sleep(15)
            assert (await _state(swarm))["Status"] == "exited"

    simulate(story())
