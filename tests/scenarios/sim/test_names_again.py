"""The name of a removed overlay network is free at once, on every host."""

from __future__ import annotations

import asyncio

from scenarios.sim.swarm import SimulatedSwarm, simulate


def test_a_removed_networks_name_can_be_had_again() -> None:
    async def story() -> None:
        async with SimulatedSwarm(21, 2) as swarm:
            await swarm.form()
            network = {"Name": "ov", "Driver": "overlay", "Attachable": True}
            for n in range(3):
                await swarm.api("h1", "POST", "/networks/create", network)
                await swarm.run("h2", f"c{n}", ["sleep", "60"], network="ov")
                await swarm.api("h2", "DELETE", f"/containers/c{n}?force=1")
                await swarm.until(lambda: not _endpoints(swarm), 5)
                await swarm.api("h1", "DELETE", "/networks/ov")
                await asyncio.sleep(2)

    simulate(story())


def _endpoints(swarm: SimulatedSwarm) -> list[str]:
    """Containers' endpoints that h1 has heard of and that would keep the network in use."""
    gossip = swarm.hosts["h1"].engine.cluster.gossip
    assert gossip is not None
    return [row.key for row in gossip.rows("endpoints") if row.value.get("container")]
