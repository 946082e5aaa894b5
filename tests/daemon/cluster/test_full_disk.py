"""A disk that is full at the wrong moment: what was asked fails with a clear text, and works once there is room."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate


def refuse_from(swarm: SimulatedSwarm, host: str, commit: int) -> None:
    """Its disk is full from its so manieth next commit on."""
    disk = swarm.disks[host]
    first = disk.commits + commit

    def look(number: int, done: bool) -> None:
        disk.full = disk.full or number >= first

    disk.on_commit = look


def mend(swarm: SimulatedSwarm, host: str) -> None:
    swarm.disks[host].on_commit = None
    swarm.disks[host].full = False


async def join(swarm: SimulatedSwarm, host: str) -> None:
    found = await swarm.api("h1", "GET", "/swarm")
    assert isinstance(found, dict)
    body = {
        "ListenAddr": "0.0.0.0:2377",
        "AdvertiseAddr": swarm.addresses[host],
        "RemoteAddrs": ["192.0.2.1:2377"],
        "JoinToken": found["JoinTokens"]["Worker"],
    }
    await swarm.api(host, "POST", "/swarm/join", body)


@pytest.mark.parametrize("commit", range(0, 26, 3))
def test_init_and_join_on_a_full_disk_leave_the_host_outside(commit: int) -> None:
    async def main() -> None:
        async with SimulatedSwarm(5, 2) as swarm:
            for host in ("h1", "h2"):
                refuse_from(swarm, host, commit)
                body = {"ListenAddr": "0.0.0.0:2377", "AdvertiseAddr": "192.0.2.1"}
                ask = swarm.api("h1", "POST", "/swarm/init", body) if host == "h1" else join(swarm, host)
                try:
                    await ask
                except ApiRefused as refused:
                    assert "the store cannot be written" in refused.message
                    mend(swarm, host)
                    assert not swarm.hosts[host].engine.cluster.active
                    again = swarm.api("h1", "POST", "/swarm/init", body) if host == "h1" else join(swarm, host)
                    await again
                mend(swarm, host)
            await swarm.until(lambda: all(len(swarm.alive(h)) == 2 for h in swarm.hosts), 10)

    simulate(main())


def test_a_role_that_cannot_be_written_down_is_taken_once_there_is_room() -> None:
    async def main() -> None:
        async with SimulatedSwarm(6, 2) as swarm:
            await swarm.form()
            nodes = await swarm.api("h1", "GET", "/nodes")
            assert isinstance(nodes, list)
            (node,) = [n for n in nodes if n["Description"]["Hostname"] == "h2"]
            swarm.fill_disk("h2", True)
            path = f"/nodes/{node['ID']}/update?version={node['Version']['Index']}"
            await swarm.api("h1", "POST", path, {**node["Spec"], "Role": "manager"})
            await asyncio.sleep(10)
            assert not swarm.hosts["h2"].engine.cluster.is_manager
            swarm.fill_disk("h2", False)
            await swarm.until(lambda: swarm.hosts["h2"].engine.cluster.is_manager, 20)

    simulate(main())


def test_a_host_whose_disk_is_full_can_be_stopped() -> None:
    async def main() -> None:
        async with SimulatedSwarm(7, 2) as swarm:
            await swarm.form()
            await swarm.api("h1", "POST", "/networks/create", {"Name": "ov", "Driver": "overlay", "Attachable": True})
            await swarm.run("h2", "c2", ["sleep", "600"], network="ov")
            swarm.fill_disk("h2", True)

    simulate(main())
