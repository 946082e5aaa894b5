"""A removed overlay goes for good when all have left it, in whatever order that is heard."""

from __future__ import annotations

import pytest

from daemon.cluster.network_rows import ACKNOWLEDGED, NETWORKS
from scenarios.sim.swarm import SimulatedSwarm, simulate


@pytest.mark.parametrize("last", ["dies", "leaves"])
def test_whose_last_word_comes_after_it_was_seen_dead_is_counted(last: str) -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, 3) as swarm:
            await swarm.form()
            body = {"Name": "ov", "Driver": "overlay", "Attachable": True}
            made = await swarm.api("h1", "POST", "/networks/create", body)
            assert isinstance(made, dict)
            await swarm.run("h3", "c3", ["sleep", "1000"], network="ov")
            await swarm.api("h3", "DELETE", "/containers/c3?force=1")
            first, second = (swarm.hosts[name].engine.cluster.gossip for name in ("h1", "h2"))
            third = swarm.hosts["h3"].engine.cluster.gossip
            assert first is not None and second is not None and third is not None
            id, h3 = str(made["Id"]), third.node_id

            def pending() -> bool:
                return first.row(NETWORKS, id) is not None

            swarm.partition(["h1", "h2"], ["h3"])
            await swarm.until(lambda: "h3" not in swarm.alive("h1") + swarm.alive("h2"), 30)
            await swarm.api("h1", "DELETE", "/networks/ov")
            await swarm.until(lambda: second.row(ACKNOWLEDGED, id, second.node_id) is not None, 10)
            swarm.partition(["h1"], ["h2", "h3"])
            if last == "dies":
                await swarm.until(lambda: second.row(ACKNOWLEDGED, id, h3) is not None, 60)
                await swarm.crash("h3")
            else:
                await swarm.until(lambda: "h3" in swarm.alive("h2"), 60)
                await swarm.api("h3", "POST", "/swarm/leave")
            await swarm.until(lambda: swarm.alive("h1") == ["h1"] and swarm.alive("h2") == ["h2"], 60)
            assert pending(), "or nothing is staged"
            swarm.heal()
            await swarm.until(lambda: not pending(), 30)

    simulate(main(), limit=400)
