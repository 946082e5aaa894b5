"""What is meant by the name of an overlay, on a host that is not on it."""

from __future__ import annotations

from scenarios.sim.swarm import SimulatedSwarm, simulate


def test_a_name_goes_before_the_beginning_of_an_id() -> None:
    async def main() -> None:
        async with SimulatedSwarm(1, 2) as swarm:
            await swarm.form()
            ingress = await swarm.api("h2", "GET", "/networks/ingress")
            assert isinstance(ingress, dict)
            for length in (2, 3):  # the first is not known on h2 when it is asked for
                name = str(ingress["Id"])[:length]
                overlay = {"Name": name, "Driver": "overlay", "Attachable": True}
                await swarm.api("h1", "POST", "/networks/create", overlay)
                await swarm.run("h2", f"c{length}", ["sleep", "100"], network=name)
                found = await swarm.api("h2", "GET", f"/containers/c{length}/json")
                assert list(found["NetworkSettings"]["Networks"]) == [name]  # type: ignore[index]

    simulate(main(), limit=100)
