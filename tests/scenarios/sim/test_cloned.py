"""A host's disk is copied to another host, and both run: two that hold themselves for one give no number twice."""

from __future__ import annotations

import asyncio

import pytest

from scenarios.sim.quiet import Errors
from scenarios.sim.swarm import ApiRefused, SimulatedSwarm, simulate


@pytest.mark.parametrize("cut", [False, True])
def test_two_hosts_of_one_identity_give_no_address_twice(cut: bool) -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, 3) as swarm:
            with Errors(lambda host: False):
                await swarm.form()
                body = {"Name": "ov", "Driver": "overlay", "Attachable": True}
                await swarm.api("h1", "POST", "/networks/create", body)
                await swarm.run("h2", "first", ["sleep", "1000"], network="ov")
                await swarm.crash("h3")
                if cut:
                    swarm.partition(["h1", "h2"], ["h3"])
                swarm.disks["h3"].put_back(swarm.disks["h2"].copy())
                await swarm.boot("h3")
                await asyncio.sleep(20)
                ids = [await swarm.api(host, "GET", "/info") for host in ("h2", "h3")]
                assert len({str(info["Swarm"]["NodeID"]) for info in ids}) == 1, "or nothing is staged"  # type: ignore[index]
                given: list[str] = []
                refused = 0
                for number in range(3):
                    for host in ("h2", "h3"):
                        name = f"{host}-{number}"
                        try:
                            await swarm.run(host, name, ["sleep", "1000"], network="ov")
                        except ApiRefused as error:
                            assert "may be an older one" in error.message, error
                            refused += 1
                            continue
                        found = await swarm.api(host, "GET", f"/containers/{name}/json")
                        given.append(str(found["NetworkSettings"]["Networks"]["ov"]["IPAddress"]))  # type: ignore[index]
                assert len(given) == len(set(given)), given
                assert refused >= 3, "the copy at least is in doubt of its disk, and gives nothing"

    simulate(main(), limit=300)
